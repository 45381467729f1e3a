"""The service's work on real parts: what goes where, without a network."""

from __future__ import annotations

import gc
import json
import sqlite3
import weakref
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent import config
from edge_agent.contract.errors import ConfigError, StorageError, TryLater
from edge_agent.core import soil_water
from edge_agent.core.events import Item, Signal
from edge_agent.core.interfaces import Schedule
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.mqtt.connection import Received
from edge_agent.observations import export
from edge_agent.system.disk_reserve import DiskReserve
from tests.fakes.certificates import Authority
from tests.fakes.clock import FakeClock
from tests.fakes.farm import ROOT, fill_weather, install_release, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.mqtt.outbox import QueuedMessage

NOW = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - the weather ends at the machine's now
HOUR = timedelta(hours=1)


class _Case:
    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOW)
        self.path = write_config(folder, 1)
        self.wishes: list[Item] = []
        self.pulled: list[Path] = []
        install_release(folder / "state")
        fill_weather(folder / "state")
        self.agent = Worker(
            lambda: self._open(folder),
            self.wishes.append,
            self._pull,
            check=lambda: config.load(self.path, {}),
        )

    def _open(self, folder: Path) -> Runtime:
        return Runtime(config.load(self.path, {}), folder / "state", self.clock, lambda: True)

    def _pull(self, state: Path) -> str:
        self.pulled.append(state)
        return "release 4 is live"

    def take(self, topic: str, payload: bytes = b"", *, retain: bool = False) -> None:
        self.agent.take(Received(topic, payload, retain=retain, at=self.clock.now()))

    def waiting(self) -> list[QueuedMessage]:
        return self.agent._runtime.outbox.due(None, limit=1000)

    def topics(self) -> list[str]:
        return [entry.message.topic.removeprefix(f"{ROOT}/") for entry in self.waiting()]

    def deliver(self) -> None:
        outbox = self.agent._runtime.outbox
        outbox.delivered([entry.message.id for entry in self.waiting()])


@pytest.fixture
def case(tmp_path: Path) -> Iterator[_Case]:
    """A device with a release and hot weather."""
    made = _Case(tmp_path)
    with closing(made.agent):
        yield made


def test_a_cycle_says_what_it_came_to(case: _Case) -> None:
    """The line names source and alerts; the same hour again says nothing new."""
    line = case.agent.cycle(NOW)
    assert "forecast from model_relayed_station; alerts: heat" in line
    assert case.agent.cycle(NOW).endswith("0 new messages")


def test_a_reload_leaves_no_models_behind(case: _Case) -> None:
    """Those of the former configuration go with it, and do not wait for a full collection."""
    case.agent.cycle(NOW)
    loaded = case.agent._runtime.release()
    assert loaded is not None
    before = [weakref.ref(predictor) for predictor in loaded.predictors.values()]
    del loaded
    gc.disable()
    try:
        case.agent.reload()
        case.agent.close_replaced()
        case.agent.cycle(NOW)
        assert [model() for model in before] == [None, None]
    finally:
        gc.enable()


def test_no_database_stays_open(case: _Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of two replaced in a row, nor of one that cannot be made ready."""
    first = case.agent._runtime
    case.agent.reload()
    case.agent.reload()
    opened: list[Runtime] = []
    newer = case.agent._open

    def refuses(_: DiskReserve) -> bool:
        raise StorageError("no room")

    def full_disk() -> Runtime:
        opened.append(newer())
        return opened[0]

    case.agent._open = full_disk
    monkeypatch.setattr(DiskReserve, "hold", refuses)
    with pytest.raises(StorageError, match="no room"):
        case.agent.reload()
    for runtime in (first, *opened):
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            runtime.db.execute("SELECT 1")


def test_home_assistants_birth_makes_all_states_come_again(case: _Case) -> None:
    """With the next watch: description, states and forecasts; no alert event, nothing expired."""
    case.agent.delivery()
    case.agent.cycle(NOW)
    case.agent.watch(NOW)
    case.deliver()
    case.take("homeassistant/status", b"offline")
    case.agent.watch(NOW)
    assert case.topics() == []
    case.take("homeassistant/status", b"online")
    case.agent.watch(NOW)
    again = case.topics()
    assert {"homeassistant/device/farm-edge-farm-edge-1/config", "forecast/temperature"} <= set(
        again
    )
    assert not [topic for topic in again if topic.endswith("/event")]
    case.deliver()
    case.clock.advance(7 * 86_400)
    case.take("homeassistant/status", b"online")
    case.agent.watch(case.clock.now())
    assert "forecast/temperature" not in case.topics()


@pytest.mark.parametrize(
    ("name", "wish"),
    [("predict", Signal.CYCLE), ("sync", Signal.FETCH), ("reload", Signal.RELOAD)],
)
def test_commands_become_wishes(case: _Case, name: str, wish: Signal) -> None:
    """The loop does the work; retained requests wish nothing."""
    case.take(f"{ROOT}/cmd/{name}", retain=True)
    assert case.wishes == []
    case.take(f"{ROOT}/cmd/{name}")
    assert case.wishes == [wish]
    assert case.topics() == [f"cmd/{name}/result"]


def test_snoozed_rules_hold_their_news(case: _Case) -> None:
    """A snoozed rule sends its state, and its start at the end of the snooze."""
    case.take(f"{ROOT}/cmd/snooze", b'{"rule": "heat", "minutes": 60}')
    case.agent.cycle(NOW)
    assert "alert/heat/state" in case.topics()
    assert "alert/heat/event" not in case.topics()
    assert "alert/vpd-high/event" in case.topics()
    case.clock.advance(3600)
    case.agent.watch(case.clock.now())
    assert "alert/heat/event" in case.topics()


def test_water_that_is_reported_is_answered_and_counted(case: _Case) -> None:
    """The answer names amount and time, the hour is worked again, and a repeat counts once."""
    text = case.path.read_text("utf-8")
    case.path.write_text(f'{text}[irrigation]\ncrop = "tomato"\ncovered = true\n', "utf-8")
    case.agent.reload()
    case.agent.cycle(NOW)
    for _ in range(2):
        case.take(f"{ROOT}/cmd/irrigated", b'{"id": "valve-1", "mm": 7.5}')
    assert case.wishes == [Signal.CYCLE]
    case.take(f"{ROOT}/cmd/irrigated", b'{"mm": 5}', retain=True)
    case.take(f"{ROOT}/cmd/irrigated", b'{"mm": -5}')
    answers = [
        json.loads(entry.message.payload)
        for entry in case.waiting()
        if entry.message.topic == f"{ROOT}/cmd/irrigated/result"
    ]
    assert [(answer["request_id"], answer["ok"]) for answer in answers] == [
        ("valve-1", True),
        ("valve-1", True),
        ("", False),
    ]
    assert answers[0]["text"] == f"noted: 7.5 mm at {NOW:%Y-%m-%d %H:%M} UTC"
    case.agent.cycle(case.clock.now())
    runtime = case.agent._runtime
    water = soil_water.reckon(runtime.context(), case.clock.now()).water
    assert (water.given_mm, water.last_given_mm) == (7.5, 7.5)


def test_own_hours_are_told_where_that_is_asked_for(case: _Case) -> None:
    """Off: nothing. On: with each hour, the newest in place of one that waits. Off: taken back."""
    store = case.agent._runtime.store
    hours = store.hourly("station:108", NOW - timedelta(days=8), NOW)
    store.put_hourly(export.SOURCE, hours)
    case.agent.cycle(NOW)
    assert "history" not in case.topics()
    plain = case.path.read_text("utf-8")
    sensor = '[[sensors]]\ntopic = "roof"\nquantity = "air_temperature_c"\nunit = "C"\n'
    sharing = plain.replace("[mqtt]", "[mqtt]\nshare_history = true") + sensor
    case.path.write_text(sharing, "utf-8")
    case.agent.reload()
    case.agent.cycle(NOW)
    case.agent.cycle(NOW + timedelta(hours=1))
    (entry,) = (e for e in case.waiting() if e.message.topic == f"{ROOT}/history")
    told = json.loads(entry.message.payload)
    assert len(told["values"]["air_temperature_c"]) in {166, 167, 168}
    assert len(entry.message.payload) < 4096
    case.deliver()
    case.agent.cycle(NOW + timedelta(hours=2))
    case.path.write_text(plain, "utf-8")
    case.agent.reload()
    (entry,) = (e for e in case.waiting() if e.message.topic == f"{ROOT}/history")
    assert (entry.message.payload, entry.message.retain) == (b"", True)
    case.deliver()
    case.agent.reload()
    assert "history" not in case.topics()
    # What was on its way may have arrived: it is taken back as well, until that is delivered.
    case.path.write_text(sharing, "utf-8")
    case.agent.reload()
    case.agent.cycle(NOW + timedelta(hours=3))
    case.path.write_text(plain, "utf-8")
    for _ in range(2):
        case.agent.reload()
        (entry,) = (e for e in case.waiting() if e.message.topic == f"{ROOT}/history")
        assert entry.message.payload == b""


def test_hours_that_passed_untold_follow_an_outage(case: _Case) -> None:
    """Nothing while all is delivered; then each hour once, apart from the values of now."""
    case.agent.cycle(NOW)
    case.deliver()
    case.agent.cycle(NOW + HOUR)
    assert "history/temperature" not in case.topics()
    for hours in (2, 3, 4):
        case.agent.cycle(NOW + hours * HOUR)
    (entry,) = (e for e in case.waiting() if e.message.topic == f"{ROOT}/history/temperature")
    told = json.loads(entry.message.payload)
    full = (NOW + HOUR).replace(minute=0, second=0)
    missed = [datetime.fromisoformat(hour["valid_at"]) for hour in told["hours"]]
    assert missed == [full + hours * HOUR for hours in (1, 2, 3)]
    assert told["historical"]
    assert "history/humidity" in case.topics()
    case.deliver()
    case.agent.cycle(NOW + 5 * HOUR)
    assert "history/temperature" not in case.topics()


def test_a_bad_reload_keeps_everything(case: _Case) -> None:
    """The old runtime works on; a good file then takes over, and the old one is closed."""
    good = case.path.read_text("utf-8")
    case.path.write_text(good + "nonsense = 1\n", "utf-8")
    with pytest.raises(ConfigError):
        case.agent.reload()
    before = case.agent._runtime
    assert "alerts: heat" in case.agent.cycle(NOW)
    case.path.write_text(good + "spread_s = 600\n", "utf-8")
    case.agent.reload()
    assert case.agent._runtime is not before
    assert case.agent.schedule == Schedule(3600, 600)
    case.agent.close_replaced()
    assert case.agent.cycle(NOW + timedelta(hours=1))


def test_retained_sensor_values_are_not_fresh(case: _Case) -> None:
    """Only live messages are counted as readings."""
    sensor = '[[sensors]]\ntopic = "g/1"\nquantity = "air_temperature_c"\nunit = "C"\n'
    case.path.write_text(case.path.read_text("utf-8") + sensor, "utf-8")
    case.agent.reload()
    case.agent.close_replaced()
    case.take("g/1", b"21.5", retain=True)
    assert case.agent._runtime.intake.accepted == 0
    case.take("g/1", b"unavailable", retain=True)
    assert not case.agent._runtime.intake.refused
    case.take("g/1", b"21.5")
    assert case.agent._runtime.intake.accepted == 1


def test_answers_are_json(case: _Case) -> None:
    """Every answer names its command and has a text."""
    case.take(f"{ROOT}/cmd/republish", b'{"id": "x"}')
    (entry,) = case.agent._runtime.outbox.due(None)
    document = json.loads(entry.message.payload)
    assert document["text"] == "0 messages are said again"
    assert (document["command"], document["request_id"], document["ok"]) == (
        "republish", "x", True,
    )  # fmt: skip


def test_a_certificate_that_ends_is_told_in_health(case: _Case, tmp_path: Path) -> None:
    """Within a month of its end it is among the problems, and forecasts go on."""
    cert, key = Authority(tmp_path / "ca").issue("agent")
    text = case.path.read_text("utf-8")
    case.path.write_text(
        f'{text}[mqtt.tls]\nenabled = true\ncert = "{cert}"\nkey = "{key}"\n', "utf-8"
    )
    case.agent.reload()
    case.agent.close_replaced()
    assert "forecast from model_relayed_station" in case.agent.cycle(NOW)
    entries = case.agent._runtime.outbox.due(None, limit=1000)
    health = next(e.message for e in entries if e.message.topic == f"{ROOT}/health")
    (said,) = [p for p in json.loads(health.payload)["problems"] if p.startswith("mqtt.tls.cert")]
    assert "URGENT, ends in " in said


def test_nothing_is_pulled_onto_a_disk_that_refuses(case: _Case) -> None:
    """An update is asked for the state folder; in shelter it waits, which is told."""
    text = case.path.read_text("utf-8")
    case.path.write_text(f'{text}[depot]\nurl = "http://127.0.0.1:1/"\n', "utf-8")
    case.agent.reload()
    case.agent.close_replaced()
    assert case.agent.fetch()
    assert case.pulled == [case.agent._runtime.state]
    while case.agent.move_to_memory() is None:
        pass
    case.agent.close_replaced()
    with pytest.raises(TryLater, match="the disk refuses"):
        case.agent.fetch()
    assert len(case.pulled) == 1
    assert "forecast from model_relayed_station" in case.agent.cycle(NOW)


def test_a_reload_of_a_wrong_configuration_is_refused(case: _Case) -> None:
    """The answer names what is wrong, and nothing is read anew."""
    case.path.write_text('[device]\nnam = "x"\n', "utf-8")
    case.take(f"{ROOT}/cmd/reload")
    answer = json.loads(case.waiting()[-1].message.payload)
    assert not answer["ok"]
    assert "device.nam" in answer["text"]
    assert case.wishes == []
