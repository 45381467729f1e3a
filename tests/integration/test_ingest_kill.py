"""The command line killed at random moments: nothing is lost, nothing stored is asked for again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.places import SEOUL
from tests.fakes.kma_workspace import KEY
from tests.fakes.observed import assert_equals_source
from trainer.workspace.config import Config
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

FIRST, LAST = date(2018, 1, 2), date(2020, 12, 31)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 6))]
)
def test_sigkill_at_random_moments(tmp_path: Path, seed: int) -> None:
    """Kill the process as answers come in, start it again, and so on until it ends by itself."""
    frame = generate([SEOUL], datetime(2018, 1, 1, 1), datetime(2021, 1, 1, 1), seed=3)  # noqa: DTZ001 - KST
    (tmp_path / "trainer.toml").write_text("")
    dice = random.Random(seed)
    with KmaStandIn(frame, key=KEY, now=datetime(2021, 1, 2, 3, tzinfo=UTC)) as server:
        env = {
            **os.environ,
            "KMA_SERVICE_KEY": KEY,
            "TRAINER__KMA__ASOS_URL": server.asos_url,
            "TRAINER__KMA__REQUESTS_PER_SECOND": "1000",
        }
        command = [sys.executable, "-c", "from trainer.cli import main; main()", "ingest"]
        command += ["--from", FIRST.isoformat(), "--to", LAST.isoformat()]
        stored: set[str] = set()
        killed = 0
        while True:
            before = len(server.requests)
            child = subprocess.Popen(
                command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            if killed < 3:
                _wait_for_requests(server, before + dice.randint(1, 5), child)
                child.send_signal(signal.SIGKILL)
            output, _ = child.communicate(timeout=60)
            asked = {
                f"{r.query['startDt']}{r.query['startHh']}-{r.query['endDt']}{r.query['endHh']}"
                for r in server.requests[before:]
            }
            assert not asked & stored
            if child.returncode != -signal.SIGKILL:
                break
            killed += 1
            raw = (tmp_path / "lake" / "raw" / "asos" / "108").glob("*.gz")
            stored = {path.name.split("_")[1] for path in raw}
    assert child.returncode in {0, 11}, output.decode()
    assert killed >= 1
    assert_equals_source(Workspace(tmp_path, Config()).lake, frame, FIRST, LAST)


def _wait_for_requests(server: KmaStandIn, count: int, child: subprocess.Popen[bytes]) -> None:
    tick = threading.Event()
    while len(server.requests) < count and child.poll() is None:
        tick.wait(0.002)
