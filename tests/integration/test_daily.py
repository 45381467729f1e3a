"""`trainer daily` as a process against the stand-in: killed at any moment, and run too early."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.kma import KmaStandIn
from tests.fakes.depot import Device, set_clock
from tests.fakes.small_trainer import KEY, PROGRAM, settings, tree
from tests.fakes.weather import kma_record
from trainer import setup

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DAY = "2022-01-06"


@pytest.fixture(scope="module")
def kma() -> Iterator[KmaStandIn]:
    """KMA with two years of hours."""
    with KmaStandIn(kma_record(), key=KEY) as server:
        yield server


def start(root: Path, kma: KmaStandIn) -> subprocess.Popen[str]:
    """The command, running."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "daily", "--date", DAY, "--json", "--config", str(root)],
        cwd=ROOT,
        env=os.environ | settings(kma),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_at_any_moment_it_completes_and_a_second_run_changes_nothing(
    kma: KmaStandIn, tmp_path: Path
) -> None:
    """SIGKILL at seeded moments; then exit 0, a depot a device accepts, exit 11 and equal bytes."""
    root = tmp_path / "farm"
    setup.create(root, single_key=True)
    moments = random.Random(20)
    for _ in range(4):
        process = start(root, kma)
        time.sleep(moments.uniform(1.0, 7.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = start(root, kma)
    shown, said = process.communicate()
    if process.returncode != 11:
        assert process.returncode == 0, said
        assert json.loads(shown)["release"] == 1
    before = tree(root)
    again = start(root, kma)
    _, said = again.communicate()
    assert again.returncode == 11, said
    assert f"{DAY}: done already (release 1" in said
    after = tree(root)
    assert {n for n in before | after if before.get(n) != after.get(n)} == set()
    assert KEY not in said
    device = _device(tmp_path, root)
    assert device.sync(root / "depot") == 1


AT = """
from datetime import datetime
import edge_agent.system.clock as clock
clock.SystemClock.now = lambda _self: datetime.fromisoformat({now!r})
"""


def at_hour(root: Path, kma: KmaStandIn, hour: str) -> subprocess.CompletedProcess[str]:
    """The timer's run at a Korean time of the day, for the command and for KMA."""
    kma.now = datetime.fromisoformat(f"{DAY}T{hour}+09:00").astimezone(UTC)
    program = AT.format(now=kma.now.isoformat()) + PROGRAM
    return subprocess.run(
        [sys.executable, "-c", program, "daily", "--config", str(root)],
        cwd=ROOT,
        env=os.environ | settings(kma),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_timers_two_runs(tmp_path: Path) -> None:
    """02:00: exit 75, nothing trained; 11:30: one release of the day's data; then exit 11."""
    root = tmp_path / "farm"
    setup.create(root, single_key=True)
    with KmaStandIn(kma_record(), key=KEY) as late:
        night = at_hour(root, late, "02:00")
        assert night.returncode == 75, night.stderr
        assert "KMA does not have 2022-01-05 (KST) of 108 yet: nothing is trained" in night.stderr
        assert not list((root / "runs").glob("*"))
        assert not (root / "state" / "daily").exists()
        asked = len(late.requests)
        day = at_hour(root, late, "11:30")
        assert day.returncode == 0, day.stderr
        assert f"{DAY}: release 1 is live on stable" in day.stdout
        assert len(late.requests) == asked + 1
        assert at_hour(root, late, "12:30").returncode == 11
        assert len(late.requests) == asked + 1
    (run,) = (root / "runs").glob("2022*/manifest.json")
    assert json.loads(run.read_bytes())["lineage"]["data_to"] == "2022-01-05T14:00Z"


def _device(tmp_path: Path, root: Path) -> Device:
    from edge_agent.contract import features
    from edge_agent.system.clock import SystemClock

    clock = set_clock()
    clock.jump((SystemClock().now() - clock.now()).total_seconds())
    pinned = (root / "root.json").read_bytes()
    return Device(tmp_path / "device", pinned, clock, digest=features.digest())
