"""SIGKILL at random moments, under load, in front of a broker that comes and goes."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.system.database import set_aside_files
from tests.fakes.gate import Gate
from tests.fakes.loaded_agent import ROOT, RULES
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.subscriber import Subscriber

PROJECT = Path(__file__).parents[2]
RATE = 4
FLAP_EVERY = 6


def _agent(database: Path, port: int, rate: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.loaded_agent", str(database), str(port), str(rate)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
    )


def _flap(gate: Gate, broker: Mosquitto, controller: Subscriber) -> None:
    """Cut the agent in the middle of whatever it sends, then kill the broker and start it again.

    What the broker had acknowledged is the broker's to deliver. A mark from another client shows
    that it has, so that whatever is missing in the end was lost by the agent.
    """
    gate.swallow()
    time.sleep(0.05)
    gate.shut()
    controller.mark()
    controller.broker_will_be_killed()
    broker.kill()
    broker.start()
    controller.wait_subscribed_again()
    gate.open()


def _ledger(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        verdict = db.execute("PRAGMA integrity_check").fetchone()
        assert verdict == ("ok",)
        found = db.execute("SELECT name FROM sqlite_master WHERE name = 'ledger'").fetchone()
        if found is None:
            return []
        return [name for (name,) in db.execute("SELECT id FROM ledger ORDER BY seq")]


def _torture(folder: Path, kills: int, seed: int) -> int:
    """Kill `kills` times; returns how many alerts were committed."""
    dice = random.Random(seed)
    database = folder / "agent.db"
    broker = Mosquitto(folder / "broker", ["max_queued_messages 0", "max_inflight_messages 0"])
    with broker, Subscriber(broker.port) as controller, Gate(broker.port) as gate:
        for number in range(kills):
            agent = _agent(database, gate.port, RATE)
            time.sleep(0.25 + dice.random() * 0.6)
            if number % FLAP_EVERY == 2:
                _flap(gate, broker, controller)
                time.sleep(dice.random() * 0.3)
            dead_link = number % 2 == 1
            if dead_link:
                # What is on its way is lost: only the outbox still has it.
                gate.swallow()
                time.sleep(0.05)
            agent.kill()
            agent.wait()
            if dead_link:
                gate.shut()
                gate.open()
            if database.exists():
                _ledger(database)
            assert set_aside_files(database) == ()
        last = _agent(database, gate.port, 0)
        assert last.wait(120) == 0
        controller.mark()
        committed = _ledger(database)
        for rule in RULES:
            heard = [
                payload.split()[0].decode()
                for payload in controller.payloads(f"{ROOT}/alert/{rule}/event")
            ]
            first_heard = list(dict.fromkeys(heard))
            assert first_heard == [name for name in committed if name.startswith(rule)]
            assert (
                controller.payloads(f"{ROOT}/alert/{rule}/state")[-1].decode()
                == ([name for name in committed if name.startswith(rule)][-1])
            )
    return len(committed)


def test_twelve_kills_lose_nothing(tmp_path: Path) -> None:
    """Every committed alert is heard, in order per rule, none invented; the last state is true."""
    assert _torture(tmp_path, 12, seed=1) > 50


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_a_thousand_kills_lose_nothing(tmp_path: Path) -> None:
    """The same a thousand times."""
    committed = _torture(tmp_path, 1000, seed=2)
    print(f"{committed} alerts committed, all heard")  # noqa: T201 - for RESULTS
    assert committed > 5000
