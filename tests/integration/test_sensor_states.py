"""Sensors that are refused or silent are told where people look, by the running service (T3)."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner

from edge_agent import config
from edge_agent.commands.doctor import doctor
from edge_agent.commands.status import status
from edge_agent.core.agent_facts import CLOCK_PROBLEMS
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.mqtt.connection import Received
from edge_agent.system.clock import SystemClock
from tests.fakes.clock import FakeClock
from tests.fakes.farm import (
    ROOT,
    ServiceProcess,
    fill_weather,
    install_release,
    no_update,
    write_config,
)
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click import Command

    from tests.fakes.mosquitto import Mosquitto

SENSORS: Final = """
[[sensors]]
topic = "gh/temp"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
[[sensors]]
topic = "gh/soil"
quantity = "soil_moisture_pct"
unit = "%"
role = "soil"
"""
ONLINE: Final = f"{ROOT}/availability", b"online"


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """State folder with a release and weather; the configuration comes with the broker."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    return tmp_path


def _json(command: Command, path: Path, *more: str) -> dict[str, Any]:
    done = CliRunner().invoke(command, ["--config", str(path), "--json", *more])
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _until(enough: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not enough():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_status_and_doctor_ask_the_running_service(device: Path, broker: Mosquitto) -> None:
    """Values of this moment, three refusals with value and reason; without a web page."""
    path = write_config(device, broker.port, SENSORS)
    with Subscriber(broker.port, f"{ROOT}/#") as sensor, ServiceProcess(path, device) as service:
        sensor.wait(lambda heard: any((h.topic, h.payload) == ONLINE for h in heard))
        sensor.publish("gh/soil", b"31.5")
        for _ in range(3):
            sensor.publish("gh/temp", b"93")
        _until(lambda: _json(status, path)["sensors"][0]["refused"] == 3)
        told = _json(status, path)
        temperature, soil = told["sensors"]
        assert (temperature["topic"], temperature["quantity"], temperature["role"]) == (
            "gh/temp", "air_temperature_c", "indoor",
        )  # fmt: skip
        assert (temperature["value"], temperature["age_s"], temperature["fresh"]) == (
            None, None, False,
        )  # fmt: skip
        assert temperature["last_refused"]["value"] == "93"
        assert "is outside -40 to 80" in temperature["last_refused"]["reason"]
        assert (soil["value"], soil["fresh"], soil["refused"]) == (31.5, True, 0)
        assert soil["age_s"] < 20
        problem = "sensor gh/temp: 3 refused, last 93: air_temperature_c = 93 is outside -40 to 80"
        assert _of_sensors(told["problems"]) == [problem]
        assert told["service"] == "runs"
        found = _json(doctor, path, "--offline")
        assert found["sensors"][1]["value"] == 31.5
        assert f"sensors: {problem}" in found["problems"]
        text = CliRunner().invoke(status, ["--config", str(path)]).stdout
        assert f"problem: {problem}\n" in text
        assert "sensor gh/soil (soil soil_moisture_pct): 31.5 % " in text
        assert service.stop()[0] == 0
    left = _json(status, path)
    assert left["service"] == "does not answer"
    assert _of_sensors(left["problems"]) == [problem]
    assert left["sensors"][1]["value"] == 31.5
    found = _json(doctor, path, "--offline")
    assert f"sensors: {problem}" in found["problems"]
    assert "service: does not run, or does not answer" in found["problems"]


def _of_sensors(problems: list[str]) -> list[str]:
    """All but what is said of this machine's clock."""
    return [problem for problem in problems if problem not in CLOCK_PROBLEMS.values()]


def test_where_all_is_well_no_problem_is_told(device: Path, broker: Mosquitto) -> None:
    """Nothing refused and nothing silent: an empty list, `none` in the text."""
    path = write_config(device, broker.port, SENSORS)
    with Subscriber(broker.port, f"{ROOT}/#") as sensor, ServiceProcess(path, device):
        sensor.wait(lambda heard: any((h.topic, h.payload) == ONLINE for h in heard))
        sensor.publish("gh/soil", b"31.5")
        sensor.publish("gh/temp", b"21")
        _until(lambda: all(s["fresh"] for s in _json(status, path)["sensors"]))
        told = _json(status, path)["problems"]
        assert _of_sensors(told) == []
        text = CliRunner().invoke(status, ["--config", str(path)]).stdout
        assert ("problem: none\n" in text) is (not told)
        found = {f["check"]: f["outcome"] for f in _json(doctor, path, "--offline")["findings"]}
        assert (found["service"], found["sensors"]) == ("WARN" if told else "OK", "OK")


class _House:
    """A worker on a fake clock, without a broker."""

    def __init__(self, device: Path) -> None:
        self.clock = FakeClock(SystemClock().now())
        path = write_config(device, 1, SENSORS)
        self.worker = Worker(
            lambda: Runtime(config.load(path, {}), device / "state", self.clock, lambda: True),
            lambda _: None,
            no_update,
        )

    def minutes(self, count: int, **values: bytes) -> None:
        """Pass time; each minute the sensors send and the rules are watched."""
        for _ in range(count):
            self.clock.advance(60)
            for name, payload in values.items():
                at = self.clock.now()
                self.worker.take(Received(f"gh/{name}", payload, retain=False, at=at))
            self.worker.watch(self.clock.now())

    def health(self) -> dict[str, Any]:
        """The newest `/health` that waits."""
        entries = self.worker._runtime.outbox.due(None, limit=1000)
        found = [e.message.payload for e in entries if e.message.topic == f"{ROOT}/health"]
        document: dict[str, Any] = json.loads(found[-1])
        return document


@pytest.fixture
def house(device: Path) -> Iterator[_House]:
    """A house whose first hour is worked."""
    made = _House(device)
    with closing(made.worker):
        made.worker.cycle(made.clock.now())
        yield made


def test_health_tells_within_a_minute_what_began_and_ended(house: _House) -> None:
    """A refusal is told with the next watch; an hour after its end it is no problem any more."""
    assert house.health()["problems"] == []
    house.minutes(2, temp=b"20", soil=b"30")
    house.minutes(1, temp=b"93", soil=b"30")
    told = house.health()
    assert [p for p in told["problems"] if p.startswith("sensor gh/temp: 1 refused, last 93: ")]
    assert told["sensors"][0]["value"] == 20.0
    assert not told["sensors"][0]["fresh"]
    house.minutes(59, temp=b"20", soil=b"30")
    assert house.health()["problems"]
    house.minutes(3, temp=b"20", soil=b"30")
    assert house.health()["problems"] == []
    assert house.health()["sensors"][0]["refused"] == 1


def test_a_silent_sensor_is_told(house: _House) -> None:
    """One never heard and one that fell silent, each after its `max_age_s` and not before."""
    house.minutes(5, temp=b"20.5")
    house.minutes(9)
    assert house.health()["problems"] == []
    house.minutes(2)
    assert house.health()["problems"] == ["sensor gh/soil: not heard since the start 16 min ago"]
    house.minutes(5)
    (never, silent) = sorted(house.health()["problems"])
    assert never.startswith("sensor gh/soil: not heard since the start ")
    assert silent == "sensor gh/temp: silent for 16 min, last 20.5 °C"
    house.minutes(1, temp=b"20", soil=b"30")
    assert house.health()["problems"] == []


def test_a_refusal_of_a_clock_far_ahead_is_no_problem_for_ever(house: _House) -> None:
    """A refusal that was dated in another century is not told after the clock is right again."""
    house.clock.jump(timedelta(days=20_000).total_seconds())
    house.minutes(1, temp=b"unavailable")
    house.clock.jump(-timedelta(days=20_000).total_seconds())
    house.minutes(2, temp=b"20", soil=b"30")
    assert not [p for p in house.health()["problems"] if p.startswith("sensor")]
