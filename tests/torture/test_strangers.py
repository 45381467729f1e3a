"""Whatever strangers publish: counted rejections, no crash, no growth."""

from __future__ import annotations

import json
import random
import resource
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from edge_agent import config
from edge_agent.alerts.evidence import from_readings
from edge_agent.alerts.state_machine import Latch, Level
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.mqtt.commands import NAMES
from edge_agent.mqtt.connection import Received
from tests.fakes.clock import FakeClock
from tests.fakes.farm import ROOT, no_update, write_config
from tests.fakes.mutation import mutated

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from edge_agent.core.events import Item

SENSOR = """[[sensors]]
topic = "g/1"
field = "a.b[0]"
time_field = "t"
quantity = "air_temperature_c"
unit = "C"
[[sensors]]
topic = "g/2"
quantity = "relative_humidity_pct"
unit = "%"
"""
RULE = """[limits]
alerts_per_day = 1000
[builtin]
off = ["heat", "dryness", "frost", "frost-watch", "vpd-high"]
[[rules]]
name = "hot"
quantity = "air_temperature_c"
operator = ">="
threshold = 38.0
now = true
cooldown_s = 0
severity = "critical"
"""
GROWTH_LIMIT_KB = 20_000


def _payload(dice: random.Random) -> bytes:  # noqa: PLR0911 - one line a kind
    kind = dice.randrange(8)
    if kind == 0:
        return dice.randbytes(dice.randrange(300))
    if kind == 1:
        return b"[" * dice.randrange(60_000)
    if kind == 2:
        number = dice.choice(["nan", "inf", "-inf", "1e999", "21.5", "-300", "0x1p3", "٣", ""])
        return number.encode()
    if kind == 3:
        return json.dumps({"a": {"b": [dice.uniform(-1e9, 1e9)]}, "t": dice.choice(
            ["2026-07-01T12:00:00Z", "1970-01-01", "9999-12-31T23:59:59Z", -1, 1e300, None, []]
        )}).encode()  # fmt: skip
    if kind == 4:
        return json.dumps({"a": {"b": dice.choice([[], {}, None, [[]], ["x"], [True]])}}).encode()
    if kind == 5:
        request = {"id": str(dice.random()), "rule": "x" * dice.randrange(80), "minutes": -1}
        return json.dumps(request).encode()
    if kind == 6:
        return b'{"a":' * dice.randrange(5000) + b"1" + b"}" * dice.randrange(5000)
    return b'"\\ud800' + dice.randbytes(5)


def _fuzz(folder: Path, count: int) -> None:
    dice = random.Random(7)
    clock = FakeClock()
    path = write_config(folder, 1, SENSOR)
    wishes: list[Item] = []
    topics = ["g/1", "g/2", "g/3", "homeassistant/status"]
    topics += [f"{ROOT}/cmd/{name}" for name in (*NAMES, "no")]
    agent = Worker(
        lambda: Runtime(config.load(path, {}), folder / "state", clock, lambda: True),
        wishes.append,
        no_update,
    )
    with closing(agent):
        settled_kb = 0
        for number in range(count):
            clock.advance(1)
            message = Received(
                dice.choice(topics), _payload(dice), dice.random() < 0.1, clock.now()
            )
            agent.take(message)
            if number == count // 5:
                settled_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - settled_kb
        assert grown_kb < GROWTH_LIMIT_KB
        assert sum(agent._runtime.intake.refused.values()) > count / 20
        waiting = agent._runtime.outbox.counts().waiting
        assert set(waiting) <= {"telemetry"}, "strangers cause answers and nothing else"
        assert len(wishes) < count / 6, "requests are paced"


def _watched(folder: Path, count: int) -> None:
    """Strangers on the topic of a sensor that a rule watches, and now and then its own reading."""
    dice = random.Random(11)
    clock = FakeClock()
    path = write_config(folder, 1, RULE + SENSOR)
    agent = Worker(
        lambda: Runtime(config.load(path, {}), folder / "state", clock, lambda: True),
        lambda _: None,
        no_update,
    )
    with closing(agent):
        runtime = agent._runtime
        (rule,) = (rule for rule in runtime.config.rules if rule.name == "hot")
        readings = runtime.context().readings
        celsius, unknown = 20.0, 0
        for number in range(count):
            clock.advance(1)
            if number % 50 == 0:
                clock.advance(600)
                celsius = 43.5 if number // 50 % 3 == 1 else dice.uniform(-39.0, 37.0)
                payload = _own(celsius, clock.now())
            else:
                good = _own(dice.choice([celsius, 999.0]), clock.now())
                payload = mutated(good, dice) if number % 2 else _payload(dice)
                if _number_in(payload):
                    continue
            agent.take(Received("g/1", payload, retain=False, at=clock.now()))
            evidence = from_readings(rule, readings(rule, clock.now()))
            unknown += evidence.met is None
            assert evidence.met in {celsius >= 38.0, None}, payload
            if number % 50 == 0:
                assert evidence.met is not None
                agent.watch(clock.now())
                level = runtime.latches.all().get("hot", Latch(rule="hot")).level
                assert (level is Level.RAISED) == (celsius >= 38.0), payload
        assert 0 < unknown < count


def _own(celsius: float, at: datetime) -> bytes:
    return json.dumps({"a": {"b": [celsius]}, "t": at.isoformat()}).encode()


def _number_in(payload: bytes) -> bool:
    """Whether damage has made another number that may be: no stranger, but a reading."""
    try:
        document = json.loads(payload.decode("utf-8-sig", "replace"), strict=False)
        value = float(document["a"]["b"][0])
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    return -40.0 <= value <= 45.0


def test_strangers_move_no_rule(tmp_path: Path) -> None:
    """A rule's state is what the sensor's own readings say, or unknown."""
    _watched(tmp_path, 3000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_strangers_move_no_rule(tmp_path: Path) -> None:
    """The same, long."""
    _watched(tmp_path, 100_000)


def test_five_thousand_strange_messages(tmp_path: Path) -> None:
    """No payload on any topic does harm."""
    _fuzz(tmp_path, 5000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_strange_messages(tmp_path: Path) -> None:
    """The same, long."""
    _fuzz(tmp_path, 100_000)
