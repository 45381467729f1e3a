"""One hour from observations to messages, on a real database and without a network."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import polars as pl
import pytest

from edge_agent import config
from edge_agent.alerts.state_machine import Edge, Level
from edge_agent.contract.forecast import Forecast, NoForecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.core.runtime import Runtime
from tests.fakes.clock import FakeClock
from tests.fakes.farm import OWN_RULES_ALONE
from tests.fakes.forecasts import NOW
from tests.fakes.loaded import FakeRelease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from edge_agent.messages.message import Message

HOUR = timedelta(hours=1)
DOCS = Path(__file__).parents[3] / "docs" / "mqtt"
RULES = f"""{OWN_RULES_ALONE}
[[rules]]
name = "heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
clear = 28.0
cooldown_s = 0
"""
LIVE = """
[[sensors]]
topic = "house/air"
field = "t"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"

[[rules]]
name = "house-hot"
quantity = "air_temperature_c"
operator = ">="
threshold = 35.0
clear = 33.0
now = true
role = "indoor"
cooldown_s = 0

[rules.action]
command = "vent_open"
"""


class Farm:
    """A runtime whose release and weather a test sets."""

    def __init__(self, folder: Path, text: str = RULES) -> None:
        self.folder, self.text = folder, text
        self.processes = ExitStack()
        self.clock = FakeClock(NOW + timedelta(minutes=2))
        self.models = FakeRelease()
        self.runtime = self.start()

    def start(self) -> Runtime:
        """A new process on the same files."""
        self.runtime = Runtime(
            config.decode(self.text.encode(), "c.toml"), self.folder, self.clock, lambda: True
        )
        self.processes.callback(self.runtime.db.close)
        self.runtime.release = lambda: self.models  # type: ignore[method-assign,assignment,return-value]
        return self.runtime

    def weather(self, until: datetime, hours: int = 150) -> None:
        """Plain weather at the station up to an hour."""
        times = [until - i * HOUR for i in range(hours)]
        step = np.arange(hours)
        self.runtime.store.put_hourly(
            "station:108",
            pl.DataFrame(
                {
                    TIME: times,
                    AIR_TEMPERATURE: np.round(20 + 5 * np.sin(step / 24 * 2 * np.pi), 1),
                    RELATIVE_HUMIDITY: np.round(60 + 20 * np.cos(step / 24 * 2 * np.pi), 0),
                },
                schema_overrides={TIME: TIME_DTYPE},
            ),
        )

    def waiting(self) -> list[Message]:
        """What the outbox holds."""
        return [entry.message for entry in self.runtime.outbox.due(None, limit=1000)]

    def events(self) -> list[dict[str, Any]]:
        """Payloads of the alert events that wait."""
        return [json.loads(m.payload) for m in self.waiting() if m.topic.endswith("/event")]


@pytest.fixture
def new_farm(tmp_path: Path) -> Iterator[Callable[..., Farm]]:
    """Makes a farm without weather; takes its configuration."""
    with ExitStack() as stack:

        def new(text: str = RULES) -> Farm:
            made = Farm(tmp_path, text)
            stack.enter_context(made.processes)
            return made

        yield new


@pytest.fixture
def farm(new_farm: Callable[..., Farm]) -> Farm:
    """A farm with weather up to now and one heat rule."""
    made = new_farm()
    made.weather(NOW)
    return made


def test_quiet_hour_says_forecast_state_model_and_health(farm: Farm) -> None:
    """Everything a controller relies on is there, each once."""
    decision, new = farm.runtime.run_cycle()
    assert isinstance(decision.forecast, Forecast)
    assert decision.forecast.source is Source.MODEL_RELAYED
    topics = [m.topic.removeprefix("farm/v1/farm/edge-1/") for m in farm.waiting()]
    assert sorted(topics) == [
        "alert/heat/state",
        "forecast/humidity",
        "forecast/temperature",
        "fresh",
        "health",
        "model",
    ]
    assert new == 6
    assert all(m.retain and m.expires_at is not None for m in farm.waiting())
    for made in farm.waiting():
        said = json.loads(made.payload)
        kind = said["schema"].split("/")[1]
        jsonschema.validate(said, json.loads((DOCS / f"{kind}.schema.json").read_bytes()))
    temperature = json.loads(farm.waiting()[1].payload)
    assert temperature["hours"][0]["valid_at"] == "2026-07-01T06:00:00Z"
    assert len(temperature["hours"]) == 48


def test_same_hour_twice_says_nothing_twice(farm: Farm) -> None:
    """Neither again in the process nor after a restart."""
    farm.models.predictors[AIR_TEMPERATURE].value = 32.0
    first, _ = farm.runtime.run_cycle()
    before = [m.id for m in farm.waiting()]
    assert [edge for _, edge, _ in first.edges] == [Edge.RAISED]
    farm.clock.advance(600)
    assert farm.runtime.run_cycle()[1] == 0
    farm.runtime.close()
    farm.start()
    assert farm.runtime.run_cycle()[1] == 0
    assert [m.id for m in farm.waiting()] == before


def test_latch_survives_a_restart(farm: Farm) -> None:
    """Raised before, still raised after, cleared once when it is over."""
    farm.models.predictors[AIR_TEMPERATURE].value = 32.0
    farm.runtime.run_cycle()
    farm.runtime.close()
    farm.start()
    farm.clock.advance(3600)
    farm.models.predictors[AIR_TEMPERATURE].value = 20.0
    farm.runtime.run_cycle()
    assert [e["event_type"] for e in farm.events()] == ["raised", "cleared"]
    assert farm.events()[1]["lasted_s"] == 3600


def test_an_outage_ends_with_each_start_and_end_and_the_last_update(farm: Farm) -> None:
    """Of a day's updates that nobody could hear the last is sent; starts and ends all are."""
    said = []
    for hour in range(24):
        farm.weather(NOW + hour * HOUR)
        farm.models.predictors[AIR_TEMPERATURE].value = (29.6, 30.5, 33.0, 22.0)[hour % 4]
        decision, _ = farm.runtime.run_cycle()
        said += [edge for _, edge, _ in decision.edges]
        farm.clock.advance(3600)
    assert said.count(Edge.UPDATED) >= 6
    assert said.count(Edge.CLEARED) >= 5
    waiting = [event["event_type"] for event in farm.events()]
    last = len(said) - said[::-1].index(Edge.UPDATED) - 1
    assert waiting == [
        edge.value for at, edge in enumerate(said) if edge is not Edge.UPDATED or at == last
    ]


def test_alert_and_latch_are_one_transaction(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a message cannot be written, the latch is not written either: no alert is lost."""
    farm.models.predictors[AIR_TEMPERATURE].value = 32.0
    put = farm.runtime.outbox.put

    def fails(message: Message) -> bool:
        if message.topic.endswith("/state"):
            raise OSError("disk")
        return put(message)

    monkeypatch.setattr(farm.runtime.outbox, "put", fails)
    with pytest.raises(OSError, match="disk"):
        farm.runtime.run_cycle()
    assert farm.waiting() == []
    assert farm.runtime.latches.all() == {}
    monkeypatch.undo()
    farm.runtime.run_cycle()
    assert [e["event_type"] for e in farm.events()] == ["raised"]


def test_no_release_is_said_and_nothing_fires(farm: Farm) -> None:
    """Without models: no forecast, no alert, an unknown state, and health says why."""
    farm.models = None  # type: ignore[assignment]
    decision, _ = farm.runtime.run_cycle()
    assert isinstance(decision.forecast, NoForecast)
    assert decision.unknown == ("heat",)
    by_topic = {m.topic.rpartition("/")[2]: json.loads(m.payload) for m in farm.waiting()}
    assert set(by_topic) == {"health", "model", "fresh", "state"}
    assert by_topic["state"]["level"] == "unknown"
    assert "edge-agent sync" in by_topic["health"]["forecast_reason"]
    assert by_topic["health"]["rules_unknown"] == ["heat"]


def test_old_observations_fall_back_rung_by_rung(new_farm: Callable[..., Farm]) -> None:
    """Models, then the kept forecast, then normals, each named; normals raise nothing."""
    farm = new_farm()
    farm.weather(NOW)
    farm.models.predictors[AIR_TEMPERATURE].value = 32.0
    sources = []
    for _ in range(60):
        decision, _ = farm.runtime.run_cycle()
        assert isinstance(decision.forecast, Forecast)
        sources.append(decision.forecast.source)
        farm.clock.advance(3600)
    assert sources[:12] == [Source.MODEL_RELAYED] * 12
    order = list(dict.fromkeys(sources))
    assert order == [Source.MODEL_RELAYED, Source.CACHED, Source.CLIMATOLOGY]
    assert [e["event_type"] for e in farm.events()][:1] == ["raised"]
    assert "cleared" not in [e["event_type"] for e in farm.events()], "unknown ends nothing"


def test_normals_rest_on_no_observation(new_farm: Callable[..., Farm]) -> None:
    """Without a new hour for two days: offline, no age, no input that never was (T3)."""
    farm = new_farm()
    farm.weather(NOW)
    farm.clock.advance(48 * 3600)
    decision, _ = farm.runtime.run_cycle()
    assert isinstance(decision.forecast, Forecast)
    assert decision.forecast.source is Source.CLIMATOLOGY
    by_topic = {m.topic.rpartition("/")[2]: json.loads(m.payload) for m in farm.waiting()}
    fresh, health, temperature = (by_topic[name] for name in ("fresh", "health", "temperature"))
    assert (fresh["state"], fresh["data_age_s"]) == ("offline", None)
    assert health["data_age_s"] is None
    assert (temperature["source"], temperature["inputs"]) == ("climatology", [])


def test_own_sensors_come_before_the_station(farm: Farm) -> None:
    """With a day of own temperature and humidity the forecast rests on them."""
    own = pl.DataFrame(
        {
            TIME: [NOW - i * HOUR for i in range(30)],
            AIR_TEMPERATURE: [25.0 + i % 7 for i in range(30)],
            RELATIVE_HUMIDITY: [50.0 + i % 9 for i in range(30)],
        },
        schema_overrides={TIME: TIME_DTYPE},
    )
    farm.runtime.store.put_hourly("sensor:outdoor", own)
    decision, _ = farm.runtime.run_cycle()
    assert decision.origin_source == "sensor:outdoor"
    assert isinstance(decision.forecast, Forecast)
    assert decision.forecast.source is Source.MODEL
    farm.clock.advance(4 * 3600)
    farm.weather(NOW + 4 * HOUR)
    assert farm.runtime.run_cycle()[0].origin_source == "station:108", "silent for four hours"


def test_live_rule_between_hours(new_farm: Callable[..., Farm]) -> None:
    """A hot greenhouse is told by the second hot minute, once, with its action, and ends once."""
    farm = new_farm(LIVE)

    def minute(celsius: float) -> int:
        farm.clock.advance(60)
        payload = json.dumps({"t": celsius}).encode()
        farm.runtime.intake.take("house/air", payload, farm.clock.now())
        return farm.runtime.run_watch()

    said = [minute(celsius) for celsius in (30.0, 39.0, 34.9, 35.0, 36.0, 34.0, 32.9, 32.0)]
    assert said == [1, 2, 0, 0, 0, 0, 0, 2], "the first minute tells that it is known"
    raised, cleared = farm.events()
    assert raised["action"]["command"] == "vent_open"
    assert raised["source"] == "sensor"
    assert raised["inputs"][0]["name"] == "sensor:indoor"
    assert (cleared["event_type"], cleared["lasted_s"]) == ("cleared", 360)


def test_silent_sensor_raises_and_ends_nothing(new_farm: Callable[..., Farm]) -> None:
    """A reading older than its limit is no reading."""
    farm = new_farm(LIVE)
    farm.runtime.intake.take("house/air", b'{"t": 36.0}', farm.clock.now())
    farm.clock.advance(901)
    assert farm.runtime.run_watch() == 0
    farm.runtime.intake.take("house/air", b'{"t": 36.0}', farm.clock.now())
    assert farm.runtime.run_watch() == 2
    farm.clock.advance(5000)
    assert farm.runtime.run_watch() == 1
    states = [json.loads(m.payload) for m in farm.waiting() if m.topic.endswith("/state")]
    assert states[-1]["level"] == "unknown"
    assert farm.runtime.run_watch() == 0
    assert farm.runtime.latches.all()["house-hot"].level is Level.RAISED
    decision, _ = farm.runtime.run_cycle()
    assert decision.raised == (), "what is not known is not raised"
    assert "house-hot" in decision.unknown


def test_live_rule_after_a_restart_reads_what_was_written(new_farm: Callable[..., Farm]) -> None:
    """The last readings of the old process count in the new one."""
    farm = new_farm(LIVE)
    farm.runtime.intake.take("house/air", b'{"t": 36.0}', farm.clock.now())
    farm.runtime.close()
    farm.start()
    farm.clock.advance(60)
    assert farm.runtime.run_watch() == 2


def test_power_cut_costs_half_an_hour_of_samples(new_farm: Callable[..., Farm]) -> None:
    """Samples are written down between the hours, and late ones still make their hour."""
    farm = new_farm(LIVE)
    start = NOW + HOUR
    farm.clock.advance(3600 - 120)
    for _ in range(12):
        farm.runtime.intake.take("house/air", b'{"t": 20.0}', farm.clock.now())
        farm.clock.advance(300)
        farm.runtime.run_watch()
    farm.runtime.db.close()  # a cut: nothing is flushed any more
    farm.start()
    kept = farm.runtime.store.samples("house/air|t|air_temperature_c", start, start + HOUR)
    assert len(kept) >= 6


def test_an_own_rule_takes_no_other_protection_away(new_farm: Callable[..., Farm]) -> None:
    """A farm that adds a rule of its own is still told of frost, except where it is off."""
    own = RULES[RULES.index("[[rules]]") :].replace('"heat"', '"hot-day"')
    for switched, frost in (("", True), ('[builtin]\noff = ["frost", "frost-watch"]\n', False)):
        farm = new_farm(switched + own)
        farm.weather(NOW)
        farm.models.predictors[AIR_TEMPERATURE].value = -5.0
        rules = {name for name, _, _ in farm.runtime.decide().edges}
        assert ({"frost", "frost-watch"} <= rules) is frost
        farm.runtime.close()


def test_rule_taken_out_ends_its_alert(farm: Farm) -> None:
    """Its alert is cleared, its retained state is taken back, its latch is gone."""
    farm.models.predictors[AIR_TEMPERATURE].value = 32.0
    farm.runtime.run_cycle()
    farm.runtime.close()
    farm.text = RULES.replace('"heat"', '"other"').replace("30.0", "50.0")
    farm.start()
    farm.clock.advance(3600)
    farm.runtime.run_cycle()
    assert [e["event_type"] for e in farm.events()] == ["raised", "cleared"]
    forgotten = [m for m in farm.waiting() if m.payload == b""]
    assert [m.topic for m in forgotten] == ["farm/v1/farm/edge-1/alert/heat/state"]
    assert set(farm.runtime.latches.all()) == {"other"}


def test_untrusted_clock_is_said(new_farm: Callable[..., Farm]) -> None:
    """A clock behind a time that has surely passed marks every message."""
    farm = new_farm()
    farm.weather(NOW)
    farm.runtime.time.learn(NOW + 48 * HOUR)
    farm.runtime.run_cycle()
    assert {json.loads(m.payload)["clock"] for m in farm.waiting()} == {"untrusted"}
    assert farm.runtime.known_time() is None


def test_decide_alone_changes_nothing(farm: Farm) -> None:
    """A dry run leaves no message, no latch and no forecast behind."""
    farm.models.predictors[AIR_TEMPERATURE].value = 32.0
    assert farm.runtime.decide().edges
    assert farm.waiting() == []
    assert farm.runtime.latches.all() == {}
    assert farm.runtime.store.forecasts(NOW - HOUR, NOW + HOUR) == []


TOMATO = """
[irrigation]
crop = "tomato"
area_m2 = 500.0
covered = true

[[sensors]]
topic = "soil"
quantity = "soil_moisture_pct"
unit = "%"
role = "soil"

[[sensors]]
topic = "house"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
"""


def test_watering_advice_with_the_hour(new_farm: Callable[..., Farm]) -> None:
    """Advice from the soil sensor is retained state; without fresh weather it stops, said why."""
    farm = new_farm(TOMATO)
    farm.weather(NOW, hours=400)
    farm.runtime.intake.take("soil", b"15.0", farm.clock.now())
    farm.runtime.run_cycle()
    said = [json.loads(m.payload) for m in farm.waiting() if m.topic.endswith("/irrigation")]
    assert said[0]["measured"] is True
    assert said[0]["volume_l"] == pytest.approx(500 * said[0]["need_mm"], abs=50)
    jsonschema.validate(said[0], json.loads((DOCS / "advice.schema.json").read_bytes()))
    farm.clock.advance(8 * 3600)
    decision, _ = farm.runtime.run_cycle()
    health = [json.loads(m.payload) for m in farm.waiting() if m.topic.endswith("/health")][-1]
    assert "old" in health["advice_reason"]
    assert not any("/advice/" in m.topic for m in decision.messages)


def test_crop_brings_its_own_limits_indoors(new_farm: Callable[..., Farm]) -> None:
    """Tomatoes suffer at 30 C in the house: raised within a minute, without any rule written."""
    farm = new_farm(TOMATO)
    farm.runtime.intake.take("house", b"30.5", farm.clock.now())
    farm.runtime.run_watch()
    assert [e["rule"] for e in farm.events()] == ["house-hot"]
    assert farm.events()[0]["text"].startswith("[주의] 온실 고온: 지금 온실 기온 30.5°C")
