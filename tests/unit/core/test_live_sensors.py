"""What a live rule makes of what sensors send: limits, overshoot, broken neighbours, counters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent import config
from edge_agent.agronomy.psychrometrics import deficit_kpa
from edge_agent.alerts.evidence import from_readings
from edge_agent.alerts.state_machine import Level
from edge_agent.core.runtime import Runtime
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOUR = timedelta(hours=1)
START = datetime(2026, 7, 1, 5, 10, tzinfo=UTC)
HOUSE = """
[[sensors]]
topic = "gh/hum"
quantity = "relative_humidity_pct"
unit = "%"
role = "indoor"
[[sensors]]
topic = "gh/temp"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
[[rules]]
name = "gh-wet"
quantity = "relative_humidity_pct"
operator = ">="
threshold = 95.0
now = true
role = "indoor"
[[rules]]
name = "gh-heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 40.0
now = true
role = "indoor"
[[rules]]
name = "gh-dry"
quantity = "vapour_pressure_deficit_kpa"
operator = ">="
threshold = 2.0
now = true
role = "indoor"
"""
GAUGE = """
[[sensors]]
topic = "st/rain"
quantity = "rain_mm"
unit = "mm"
max_age_s = 7200
[[rules]]
name = "downpour"
quantity = "rain_mm"
operator = ">="
threshold = 10.0
now = true
"""


class House:
    """A device without forecasts, on a clock that the test moves."""

    def __init__(self, folder: Path, text: str) -> None:
        self.clock = FakeClock(START)
        self._folder = folder
        self._text = text
        self.open()

    def open(self) -> None:
        """Start the process."""
        made = config.decode(self._text.encode(), "config.toml")
        self.runtime = Runtime(made, self._folder, self.clock, lambda: True)

    def restart(self) -> None:
        """End the process as a service does, and start it."""
        self.runtime.close()
        self.open()

    def send(self, topic: str, *payloads: bytes | str, step_s: float = 61) -> None:
        """Messages, each `step_s` after the one before, with a watch after each."""
        for payload in payloads:
            self.clock.advance(step_s)
            raw = payload.encode() if isinstance(payload, str) else payload
            self.runtime.intake.take(topic, raw, self.clock.now())
            self.runtime.run_watch()

    def value(self, name: str) -> float | None:
        """What the rule compares now; None: unknown."""
        rule = next(rule for rule in self.runtime.config.rules if rule.name == name)
        readings = self.runtime.context().readings(rule, self.clock.now())
        return from_readings(rule, readings).value

    def raised(self) -> set[str]:
        """Rules that stand."""
        found = self.runtime.latches.all().items()
        return {name for name, latch in found if latch.level is Level.RAISED}

    def hours(self, quantity: str, role: str = "outdoor") -> list[float | None]:
        """The stored hours of a role, after a cycle."""
        now = self.clock.now()
        self.runtime.run_cycle(now)
        frame = self.runtime.store.hourly(f"sensor:{role}", now - 72 * HOUR, now)
        return frame[quantity].to_list()


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Callable[[str], House]]:
    """Houses by their configuration, closed in the end."""
    made: list[House] = []

    def new(text: str = HOUSE) -> House:
        made.append(House(tmp_path / str(len(made)), text))
        return made[-1]

    yield new
    for house in made:
        house.runtime.close()


@pytest.fixture
def house(open_house: Callable[[str], House]) -> House:
    """A greenhouse with two sensors and three live rules."""
    return open_house(HOUSE)


def test_heat_of_a_closed_house_is_a_measurement(house: House) -> None:
    """Case 02: 47.2 C is beyond any open field and raises the alert indoors."""
    house.send("gh/temp", "38.9", "47.2", "47.2", "47.2")
    assert house.value("gh-heat") == 47.2
    assert house.raised() == {"gh-heat"}


@pytest.mark.parametrize("fault", ["85.0", "-127", "327.6"])
def test_a_reading_out_of_limits_makes_the_rule_unknown(house: House, fault: str) -> None:
    """A power-on value of a probe is no reading, and the good one before it is not the present."""
    house.send("gh/temp", "38.9")
    assert house.value("gh-heat") == 38.9
    house.send("gh/temp", fault)
    assert house.value("gh-heat") is None
    house.send("gh/temp", "39.1")
    assert house.value("gh-heat") == 39.1


def test_a_missing_value_ages_out(house: House) -> None:
    """What is not there says nothing against the reading before."""
    house.send("gh/temp", "38.9", "nan", "unavailable")
    assert house.value("gh-heat") == 38.9
    house.clock.advance(901)
    assert house.value("gh-heat") is None


def test_a_refused_reading_outlasts_a_restart_and_a_reload(house: House) -> None:
    """The older good value is in the store, and is not taken from there."""
    house.send("gh/temp", "38.9", "85.0")
    house.restart()
    assert house.value("gh-heat") is None
    fresh = Runtime(house.runtime.config, house.runtime.state, house.clock, lambda: True)
    fresh.take_over(house.runtime)
    house.runtime.close()
    house.runtime = fresh
    assert house.value("gh-heat") is None
    house.send("gh/temp", "41.0")
    assert house.value("gh-heat") == pytest.approx(41.0, abs=1.1)


def test_a_refused_reading_outlasts_a_power_cut(house: House) -> None:
    """What makes a rule unknown is on the disk with the next watch, before the samples are due."""
    house.send("gh/temp", "38.9")
    house.runtime.intake.flush(house.runtime.store)
    house.send("gh/temp", "85.0")
    house.runtime.db.close()
    house.open()
    house.clock.advance(60)
    assert house.value("gh-heat") is None


def test_a_late_good_reading_does_not_end_the_unknown(open_house: Callable[[str], House]) -> None:
    """The order of measurement counts, not that of arrival."""
    house = open_house(HOUSE.replace('topic = "gh/temp"', 'topic = "gh/temp"\nfield = "t"\n'
                                     'time_field = "at"'))  # fmt: skip
    at = house.clock.now().timestamp()
    house.send("gh/temp", f'{{"t": 38.9, "at": {at}}}', f'{{"t": 85, "at": {at + 60}}}')
    house.send("gh/temp", f'{{"t": 38.8, "at": {at + 30}}}')
    assert house.value("gh-heat") is None
    house.send("gh/temp", f'{{"t": 39.2, "at": {at + 120}}}')
    assert house.value("gh-heat") is not None


def test_a_late_reading_after_a_start_hides_no_newer_one(
    open_house: Callable[[str], House],
) -> None:
    """The newer one is in the store, and is still the value of now."""
    house = open_house(HOUSE.replace('topic = "gh/temp"', 'topic = "gh/temp"\nfield = "t"\n'
                                     'time_field = "at"'))  # fmt: skip
    at = house.clock.now().timestamp()
    house.send("gh/temp", f'{{"t": 38.9, "at": {at}}}')
    house.restart()
    house.send("gh/temp", f'{{"t": 20.0, "at": {at - 3600}}}')
    assert house.value("gh-heat") == pytest.approx(38.9)


def test_a_minute_of_a_wrong_clock_blinds_no_sensor(house: House) -> None:
    """Readings and refusals dated 2099 do not outlive the clock's return."""
    house.clock.jump(73 * 366 * 86_400)
    house.send("gh/temp", "38.0", "85.0")
    house.send("gh/hum", "60.0")
    house.clock.jump(-73 * 366 * 86_400)
    house.send("gh/temp", "39.0")
    house.send("gh/hum", "61.0")
    assert house.value("gh-heat") == 39.0
    assert house.value("gh-wet") == 61.0


def test_humidity_above_saturation_is_saturation(house: House) -> None:
    """Case 03: sensors in fog read up to 105 %."""
    house.send("gh/hum", "93.1", "101.7", "101.7", "104.9")
    assert house.value("gh-wet") == 100.0
    assert house.raised() == {"gh-wet"}
    house.send("gh/hum", "0.0")
    assert house.value("gh-wet") is None, "a DHT without contact"


def test_deficit_of_a_hot_house(house: House) -> None:
    """Air of 60 C at 30 %: 13.95 kPa by the formula of FAO-56, beyond the 10 of the field."""
    house.send("gh/temp", "60.0", "60.0")
    house.send("gh/hum", "30.0", "30.0")
    assert house.value("gh-dry") == pytest.approx(float(deficit_kpa(60.0, 30.0)), abs=0.005)
    assert house.value("gh-dry") == pytest.approx(13.95, abs=0.01)
    house.send("gh/hum", "255")
    assert house.value("gh-dry") is None


def test_one_broken_probe_leaves_the_other(open_house: Callable[[str], House]) -> None:
    """Case 10: a bare nan, a mark of byte order and a foreign byte cost one field."""
    house = open_house(
        HOUSE.replace('topic = "gh/temp"', 'topic = "gh/temp"\nfield = "SI7021-00.Temperature"')
    )
    broken = '"SI7021-02":{"Temperature":nan,"Humidity":-Infinity}'
    house.send("gh/temp", f'{{"SI7021-00":{{"Temperature":41.1,"Humidity":70.0}},{broken}}}')
    assert house.value("gh-heat") == 41.1
    house.send("gh/temp", b'\xef\xbb\xbf{"SI7021-00":{"Temperature":41.1}}')
    house.send("gh/temp", b'{"name":"Gew\xe4chshaus","SI7021-00":{"Temperature":41.1}}')
    house.send("gh/temp", '{"name":"온실"'.encode("cp949") + b',"SI7021-00":{"Temperature":41.1}}')
    (state,) = (s for s in house.runtime.intake.states() if s.sensor.topic == "gh/temp")
    assert state.refused == 0
    assert house.raised() == {"gh-heat"}


@pytest.mark.parametrize(
    ("totals", "rain"),
    [
        (("128.6", "128.4", "128.6"), 0.0),
        (("812.4", "812.2", "812.4", "812.6"), 0.2),
        (("0.6", "0.4", "0.6"), 0.0),
        (("9.0", "12.4", "0.0", "0.4"), 3.8),
        (("9.0", "12.4", "0.6", "1.0"), 4.4),
        (("128.6", "0.0", "128.6", "128.8"), 0.2),
        (("128.6", "900.0", "128.6", "128.8"), 0.2),
        (("128.6", "0.0", "0.0", "128.6", "128.6"), 0.0),
        (("128.6", "900.0", "900.2", "900.4"), 0.4),
    ],
    ids=[
        *("case 01", "a dip and a tip", "a dip of a small total", "reset", "reset in the rain"),
        *("one zero", "one spike", "a start from zero that is taken back", "another gauge"),
    ],
)
def test_a_counter_counts_rain_alone(
    open_house: Callable[[str], House], totals: tuple[str, ...], rain: float
) -> None:
    """Every ten minutes a total: dips are noise, a reset counts from zero, a leap is no rain."""
    house = open_house(GAUGE)
    house.clock.advance(10 * 60)
    house.send("st/rain", *totals[:1] * 6, *totals, *totals[-1:] * 12, step_s=600)
    hours = [value for value in house.hours("rain_mm") if value is not None]
    assert sum(hours) == pytest.approx(rain, abs=1e-9)


def test_rain_over_a_gap_is_bounded_by_its_length(open_house: Callable[[str], House]) -> None:
    """90 mm over an hour and a half may be; 390 mm may not, and it is told."""
    house = open_house(GAUGE)
    house.clock.advance(10 * 60)
    house.send("st/rain", *["10.0"] * 6, step_s=600)
    house.clock.advance(80 * 60)
    house.send("st/rain", *["100.0"] * 8, step_s=600)
    hours = [value for value in house.hours("rain_mm") if value is not None]
    assert sum(hours) == pytest.approx(90.0)
    house.clock.advance(80 * 60)
    house.send("st/rain", *["490.0"] * 8, step_s=600)
    hours = [value for value in house.hours("rain_mm") if value is not None]
    assert sum(hours) == pytest.approx(90.0)
    (state,) = house.runtime.intake.states()
    assert state.refused == 1
    assert state.last_refused is not None
    assert state.last_refused.value == "490"
    assert "200 mm an hour" in state.last_refused.reason
    house.clock.advance(110 * 60)
    house.send("st/rain", "790.0", *["791.0"] * 8, step_s=600)
    hours = [value for value in house.hours("rain_mm") if value is not None]
    assert sum(hours) == pytest.approx(90.0), "300 mm at once have no hour"
    (state,) = house.runtime.intake.states()
    assert state.refused == 2
    assert state.last_refused is not None
    assert "200 mm of an hour at once" in state.last_refused.reason


def test_a_live_rule_on_rain_compares_the_last_hour(open_house: Callable[[str], House]) -> None:
    """The total of a gauge since it was hung up says nothing about now."""
    house = open_house(GAUGE)
    house.send("st/rain", *["812.4"] * 7, step_s=600)
    assert house.value("downpour") == 0.0
    house.restart()
    house.send("st/rain", "812.2", "815.4", "818.4", "822.4", step_s=600)
    assert house.value("downpour") == pytest.approx(10.0)
    assert house.raised() == {"downpour"}
    house.send("st/rain", *["822.4"] * 6, step_s=600)
    assert house.value("downpour") == 0.0
    assert house.raised() == set()
    house.clock.advance(7201)
    assert house.value("downpour") is None


def test_a_dip_at_the_end_of_an_hour(open_house: Callable[[str], House]) -> None:
    """The total before the dip is remembered into the next hour."""
    house = open_house(GAUGE)
    totals = ["128.6"] * 8
    for place in range(1, 8):
        house.send("st/rain", *totals[:place], "128.4", *totals[place:], step_s=600)
    assert {value for value in house.hours("rain_mm") if value is not None} == {0.0}


def test_what_is_stored_is_clipped(open_house: Callable[[str], House]) -> None:
    """Soil at 100.3 and -0.4 %, radiation below zero at night, wind of -0.1: the nearest limit."""
    kinds = {
        "soil_moisture_pct": ("%", [("100.3", 100.0), ("-0.4", 0.0)]),
        "solar_mj_m2": ("W/m2", [("-1.2", 0.0)]),
        "wind_speed_ms": ("m/s", [("-0.1", 0.0)]),
        "relative_humidity_pct": ("%", [("100.4", 100.0)]),
    }
    for quantity, (unit, cases) in kinds.items():
        for text, value in cases:
            house = open_house(
                f'[[sensors]]\ntopic = "s"\nquantity = "{quantity}"\nunit = "{unit}"\n'
            )
            house.send("s", text)
            (state,) = house.runtime.intake.states()
            assert state.sample is not None, (quantity, text)
            assert state.sample.value == value
            house.runtime.intake.flush(house.runtime.store)
            kept = house.runtime.store.samples(f"s||{quantity}", START, house.clock.now())
            assert [sample.value for sample in kept] == [value]


def test_states_say_what_was_refused_and_why(house: House) -> None:
    """Count, last refused value, reason and time of each sensor, also after a start."""
    house.send("gh/temp", "38.9", msgspec.json.encode({"t": 1}), "85.0")
    refused_at = house.clock.now()
    house.send("gh/hum", "true")
    house.restart()
    humidity, temperature = house.runtime.intake.states()
    assert (temperature.sensor.topic, temperature.sensor.field) == ("gh/temp", "")
    assert (temperature.sensor.quantity, temperature.sensor.role) == ("air_temperature_c", "indoor")
    assert temperature.refused == 2
    assert temperature.out_of_range
    assert temperature.last_refused is not None
    assert temperature.last_refused.value == "85"
    assert "-40 to 80" in temperature.last_refused.reason
    assert temperature.last_refused.at == refused_at
    assert humidity.last_refused is not None
    assert "is a boolean" in humidity.last_refused.reason
    assert not humidity.out_of_range


def test_what_the_broker_had_kept_counts_with_its_own_time_alone(
    open_house: Callable[[str], House],
) -> None:
    """Without a time it is nothing, good or bad; with one it is judged, and counted once."""
    house = open_house(HOUSE.replace('"gh/temp"\n', '"gh/temp"\nfield = "t"\ntime_field = "at"\n'))
    intake, now = house.runtime.intake, house.clock.now()
    for payload in (b"71", b"250", b"unavailable"):
        assert intake.take("gh/hum", payload, now, live=False) == 0
    humidity, temperature = intake.states()
    assert (humidity.sample, humidity.refused) == (None, 0)

    def kept(degrees: float, age: timedelta) -> None:
        payload = msgspec.json.encode({"t": degrees, "at": now - age})
        intake.take("gh/temp", payload, now, live=False)

    kept(20.0, timedelta(days=9))
    kept(21.0, timedelta(minutes=5))
    _, temperature = intake.states()
    assert temperature.refused == 0
    assert temperature.sample is not None
    assert (temperature.sample.value, temperature.sample.at) == (21.0, now - timedelta(minutes=5))
    for _ in range(3):
        kept(93.0, timedelta(minutes=1))
    _, temperature = intake.states()
    assert (temperature.refused, temperature.out_of_range) == (1, True)
