"""`trainer daily` as a process against the stand-in: killed at any moment, and run too early."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.kma import KmaStandIn
from edge_agent.contract.errors import TryLater
from tests.fakes import shipped_timer
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


def start(root: Path, kma: KmaStandIn, before: str = "") -> subprocess.Popen[str]:
    """The command, running."""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            before + PROGRAM,
            "daily",
            "--date",
            DAY,
            "--json",
            "--config",
            str(root),
        ],
        cwd=ROOT,
        env=os.environ | settings(kma),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
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
    _check_end(root, kma, tmp_path)


def _check_end(root: Path, kma: KmaStandIn, folder: Path) -> None:
    """The next run finishes the date with one release; the one after changes no byte."""
    shown, said, code = _ended(start(root, kma))
    if code != 11:
        assert code == 0, said
        assert json.loads(shown)["release"] == 1
    before = tree(root)
    _, said, code = _ended(start(root, kma))
    assert code == 11, said
    assert f"{DAY}: done already (release 1" in said
    after = tree(root)
    assert {n for n in before | after if before.get(n) != after.get(n)} == set()
    assert KEY not in said
    logged = (root / "releases.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["release"] for line in logged] == [1]
    assert _device(folder / "last", root).sync(root / "depot") == 1


def _ended(process: subprocess.Popen[str]) -> tuple[str, str, int]:
    shown, said = process.communicate()
    return shown, said, process.returncode


KILLED = """
import os, pathlib, signal
from trainer import daily
publish, fsync, replace = daily.publish_run, os.fsync, pathlib.Path.replace
left = {at}
def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
def counted_fsync(file):
    step()
    fsync(file)
def counted_replace(path, target):
    step()
    return replace(path, target)
def counted_publish(*args, **options):
    os.fsync, pathlib.Path.replace = counted_fsync, counted_replace
    return publish(*args, **options)
daily.publish_run = counted_publish
"""
"""SIGKILL before a step of publishing: each flush and each rename is one, the journal's last."""

STEPS = 46
"""From the first file of a release to the journal, where its folders are there already."""


def _killed_at(step: int, root: Path, kma: KmaStandIn) -> None:
    """Run until a step of publishing."""
    _, said, code = _ended(start(root, kma, KILLED.format(at=step)))
    assert code == -signal.SIGKILL, said


@pytest.fixture(scope="module")
def trained(kma: KmaStandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose day was killed before the first file of its release."""
    root = tmp_path_factory.mktemp("trained") / "farm"
    setup.create(root, single_key=True)
    _killed_at(1, root, kma)
    return root


def _check_kill_while_publishing(step: int, root: Path, kma: KmaStandIn, folder: Path) -> bool:
    """Kill at a step, look at the depot as a device does, finish; whether a release was live."""
    _killed_at(step, root, kma)
    device = _device(folder / "device", root)
    try:
        live = device.sync(root / "depot") == 1
    except TryLater as nothing_yet:
        assert "no release on this channel yet" in str(nothing_yet)  # noqa: PT017 - either way is right
        live = False
    _check_end(root, kma, folder)
    if not live:
        assert device.sync(root / "depot") == 1
    return live


def test_killed_while_it_publishes(kma: KmaStandIn, tmp_path: Path) -> None:
    """Once in the middle: no device sees half a release, and the next run finishes it."""
    root = tmp_path / "farm"
    setup.create(root, single_key=True)
    assert not _check_kill_while_publishing(STEPS // 2, root, kma, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_while_it_publishes_at_twenty_steps(
    trained: Path, kma: KmaStandIn, tmp_path: Path
) -> None:
    """From the first flush to the journal; a release is live from one step on, and before none."""
    steps = [1 + round(number * (STEPS - 1) / 19) for number in range(20)]
    live = []
    for step in steps:
        root = shutil.copytree(trained, tmp_path / str(step) / "farm")
        live.append(_check_kill_while_publishing(step, root, kma, tmp_path / str(step)))
    assert live == sorted(live)
    assert set(live) == {False, True}


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
    """By night exit 75, nothing trained; by day one release of the day's data; then exit 11."""
    first, second = (f"{at:%H:%M}" for at in shipped_timer.runs())
    root = tmp_path / "farm"
    setup.create(root, single_key=True)
    with KmaStandIn(kma_record(), key=KEY) as late:
        night = at_hour(root, late, first)
        assert night.returncode == 75, night.stderr
        assert "KMA does not have 2022-01-05 (KST) of 108 yet: nothing is trained" in night.stderr
        assert not list((root / "runs").glob("*"))
        assert not (root / "state" / "daily").exists()
        asked = len(late.requests)
        day = at_hour(root, late, second)
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
