"""Sensor payloads to samples to hours (rules S1 to S6)."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest

from edge_agent.contract import schema
from edge_agent.observations import sensors
from edge_agent.observations.foreign_json import find
from edge_agent.observations.sensors import Refusal, Sample
from edge_agent.settings import Sensor
from tests.fakes.forecasts import NOW

if TYPE_CHECKING:
    from datetime import tzinfo

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SEOUL = ZoneInfo("Asia/Seoul")


def sensor(**keys: object) -> Sensor:
    """Temperature sensor with some keys changed."""
    base: dict[str, object] = {"topic": "a/b", "quantity": schema.AIR_TEMPERATURE, "unit": "C"}
    return msgspec.convert(base | keys, Sensor)


def refusal(one: Sensor, payload: bytes, zone: tzinfo = UTC) -> Refusal:
    """The refusal that one message gives, and nothing else."""
    (result,) = sensors.read(one, payload, NOW, zone)
    assert isinstance(result, Refusal)
    assert result.reason.startswith("a/b")
    assert len(result.value) <= 80
    return result


@pytest.mark.parametrize(
    ("path", "payload", "value"),
    [
        ("temperature", b'{"temperature": 21.5, "battery": 97}', 21.5),
        ("SHT31.Temperature", b'{"Time":"2026-07-01T05:00:00","SHT31":{"Temperature":21.5}}', 21.5),
        ("values[1]", b'{"values": [1, 21.5]}', 21.5),
        ("$.a.b[0].c", b'{"a": {"b": [{"c": "21.5"}]}}', 21.5),
        ("a.b", b'{"a.b": 21.5}', 21.5),
        ("", b"21.5", 21.5),
        ("", b" 21.5 \n", 21.5),
        ("", b"-0.0", 0.0),
    ],
    ids=["zigbee2mqtt", "tasmota", "list", "nested", "dotted", "raw", "spaces", "minus zero"],
)
def test_reads_the_shapes_in_use(path: str, payload: bytes, value: float) -> None:
    """JSON by path, and raw numbers."""
    assert list(sensors.read(sensor(field=path), payload, NOW)) == [Sample(NOW, value)]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"unavailable",
        b"nan",
        b"inf",
        b"warm",
        b"\xff\xfe",
        b"true",
        b"1e999",
        b"130.0",
        b"-60",
    ],
)
def test_refuses_raw_payloads_that_are_no_plausible_number(payload: bytes) -> None:
    """A word, an infinity, a logger's fault (S1)."""
    refusal(sensor(), payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"21.5",
        b"{}",
        b'{"t": null}',
        b'{"t": true}',
        b'{"t": [1]}',
        b'{"t": "x"}',
        b"[" * 9999,
    ],
)
def test_refuses_json_without_the_number(payload: bytes) -> None:
    """Another shape of JSON, or none at all (S1)."""
    refusal(sensor(field="t"), payload)


def test_refuses_a_long_payload() -> None:
    """Size is bounded before anything is parsed."""
    assert "65536" in refusal(sensor(), b" " * 70_000 + b"1").reason


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ('"2026-07-01T13:59:00+09:00"', -60),
        ('"2026-07-01T04:59:00Z"', -60),
        ('"2026-07-01T13:59:00"', -60),
        ('"2026-07-01 13:59:00.123456789"', -60),
        ("1782881940", -60),
        ("1782881940000", -60),
        ("1782881940000000", -60),
        ("1782881940000000000", -60),
        ('"1782881940"', -60),
        ('" 1782881940.25 "', -60),
        ('"1782881940000"', -60),
        ('"1782881940000000000"', -60),
    ],
)
def test_event_time(raw: str, seconds: int) -> None:
    """The payload's own time counts, whatever its form (S2)."""
    payload = f'{{"t": 20, "at": {raw}}}'.encode()
    (read,) = sensors.read(sensor(field="t", time_field="at"), payload, NOW, SEOUL)
    assert read.at.replace(microsecond=0) == NOW + timedelta(seconds=seconds)
    assert isinstance(read, Sample)


@pytest.mark.parametrize(
    "raw",
    [
        '"1970-01-01T00:00:00Z"',
        '"2026-07-01T05:06:00Z"',
        '"soon"',
        "null",
        "1e30",
        "{}",
        "true",
        '"1_782_881_940"',
        '"0001-01-01T00:00:00"',
        '"9999-12-31T23:59:59-09:00"',
        "1e300",
    ],
)
def test_refuses_a_time_that_cannot_be(raw: str) -> None:
    """Long ago, in the future, no time at all (S2)."""
    payload = f'{{"t": 20, "at": {raw}}}'.encode()
    assert "time" in refusal(sensor(field="t", time_field="at"), payload, SEOUL).reason


@pytest.mark.parametrize(
    ("quantity", "unit", "given", "value"),
    [
        (schema.AIR_TEMPERATURE, "F", 212.0, 100.0),
        (schema.AIR_TEMPERATURE, "F", -40.0, -40.0),
        (schema.AIR_TEMPERATURE, "K", 273.15, 0.0),
        (schema.RELATIVE_HUMIDITY, "fraction", 0.65, 65.0),
        (schema.STATION_PRESSURE, "kPa", 101.325, 1013.25),
        (schema.STATION_PRESSURE, "inHg", 29.92, 1013.2),
        (schema.WIND_SPEED, "km/h", 36.0, 10.0),
        (schema.WIND_SPEED, "mph", 10.0, 4.4704),
        (schema.WIND_SPEED, "kn", 10.0, 5.1444),
        (schema.SOLAR, "W/m2", 1000.0, 3.6),
        (schema.RAIN, "in", 1.0, 25.4),
    ],
)
def test_units(quantity: str, unit: str, given: float, value: float) -> None:
    """Known conversions."""
    assert schema.QUANTITIES[quantity].convert(given, unit) == pytest.approx(value, abs=0.02)


def test_every_quantity_can_be_given_in_its_own_unit() -> None:
    """Each quantity of a sensor has a unit that changes nothing."""
    for name in schema.SENSED:
        assert (1.0, 0.0) in schema.QUANTITIES[name].sensor_units.values(), name


def minutes(*values: float, step: int = 10) -> list[Sample]:
    """Samples each `step` minutes, the last one at NOW."""
    last = len(values) - 1
    return [Sample(NOW - (last - i) * step * MINUTE, v) for i, v in enumerate(values)]


def test_hour_is_the_state_at_its_end() -> None:
    """The median of the last ten minutes up to the full hour, in any order (S4)."""
    samples = [*minutes(1.0, 2.0, 3.0, 4.0, 5.0, 45.0, step=4), Sample(NOW + MINUTE, 99.0)]
    samples.append(Sample(NOW - sensors.SPAN, 99.0))
    assert sensors.hour_value(sensor(), samples, NOW) == 5.0
    assert sensors.hour_value(sensor(), list(reversed(samples)), NOW) == 5.0
    wind = sensor(quantity=schema.WIND_SPEED, unit="m/s")
    assert sensors.hour_value(wind, samples, NOW) == pytest.approx(18.0)


def test_one_odd_reading_is_not_the_value_now() -> None:
    """The median of three within five minutes, at the time of the newest (S6)."""
    samples = minutes(1.0, 2.0, 20.2, 20.4, 44.0, step=1)
    assert sensors.settled(sensor(), list(reversed(samples))) == Sample(NOW, 20.4)
    wind = sensor(quantity=schema.WIND_FROM_DIRECTION, unit="deg")
    assert sensors.settled(wind, minutes(350.0, 10.0, 20.0, step=1)) == Sample(NOW, 20.0)
    assert sensors.settled(sensor(), []) is None


@pytest.mark.parametrize("values", [(60.0,), (47.2, 60.0), (20.0, 47.2, 60.0)])
def test_the_value_now_was_measured(values: tuple[float, ...]) -> None:
    """With fewer than three samples the newest counts, and no mean of two (S6)."""
    settled = sensors.settled(sensor(), minutes(*values, step=1))
    assert settled == Sample(NOW, 47.2 if len(values) == 3 else 60.0)


@pytest.mark.parametrize(("step", "max_age_s"), [(5, 900), (2, 239)])
def test_old_samples_take_no_part_in_the_value_now(step: int, max_age_s: int) -> None:
    """Those five minutes older than the newest, or older than the sensor's limit (S6)."""
    one = sensor(max_age_s=max_age_s)
    assert sensors.settled(one, minutes(20.0, 21.0, 30.0, step=step)) == Sample(NOW, 30.0)


def test_a_sample_as_old_as_the_limit_takes_part() -> None:
    """The limit itself is not beyond it (S6)."""
    one = sensor(max_age_s=240)
    assert sensors.settled(one, minutes(20.0, 21.0, 30.0, step=2)) == Sample(NOW, 21.0)


@pytest.mark.parametrize(("length", "words"), [(1, "1 minute"), (2, "2 minutes")])
def test_a_leap_of_the_gauge_names_its_minutes(length: int, words: str) -> None:
    """One minute is no plural."""
    gauge = sensor(quantity=schema.RAIN, unit="mm")
    before, after = minutes(0.0, 150.0, step=length)
    refused = sensors.leap(gauge, before, after)
    assert refused is not None
    assert refused.reason == (
        f"a/b: rain_mm went from 0 to 150 within {words}, more than 200 mm an hour: not counted"
    )


def test_hour_of_a_slow_sensor_is_its_newest_reading() -> None:
    """Without one in the last ten minutes, as long as it is not too old (S4)."""
    samples = [Sample(NOW - 40 * MINUTE, 1.0), Sample(NOW - 14 * MINUTE, 2.0)]
    assert sensors.hour_value(sensor(), samples, NOW) == 2.0
    assert sensors.hour_value(sensor(max_age_s=600), samples, NOW) is None
    assert sensors.hour_value(sensor(max_age_s=7200), [Sample(NOW - HOUR, 1.0)], NOW) is None


@pytest.mark.parametrize("lost", [slice(0, 2), slice(2, 4), slice(4, 6), slice(0, 6)])
@pytest.mark.parametrize("quantity", [schema.RAIN, schema.SOLAR])
def test_sum_with_a_long_gap_has_no_value(quantity: str, lost: slice) -> None:
    """At the start, in the middle, at the end, everywhere (S5)."""
    samples = minutes(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    del samples[lost]
    one = sensor(quantity=quantity)
    assert sensors.hour_value(one, samples, NOW) is None
    slow = sensor(quantity=quantity, max_age_s=7200)
    assert (sensors.hour_value(slow, samples, NOW) is None) == (not samples)


def test_radiation_is_the_mean_of_the_whole_hour() -> None:
    """Power over the hour is its energy; sun at the end alone is not (S5)."""
    samples = minutes(0.0, 0.0, 0.0, 0.0, 0.0, 3.6)
    assert sensors.hour_value(sensor(quantity=schema.SOLAR), samples, NOW) == pytest.approx(0.6)


def test_rain_is_the_rise_of_a_running_total() -> None:
    """A reset loses nothing but what fell in between (S5)."""
    gauge = sensor(quantity=schema.RAIN, unit="mm")
    before = Sample(NOW - HOUR - MINUTE, 9.0)
    samples = minutes(10.0, 10.0, 12.5, 0.5, 1.0, 1.0)
    amounts = sensors.amounts(gauge, [before, *samples])
    assert sensors.hour_value(gauge, amounts, NOW) == pytest.approx(4.5)
    assert sensors.hour_value(gauge, sensors.amounts(gauge, samples), NOW) == pytest.approx(3.5)


def test_wind_directions_are_averaged_as_vectors() -> None:
    """350 and 10 degrees meet at north, not at south (S5)."""
    vane = sensor(quantity=schema.WIND_FROM_DIRECTION, unit="deg")
    mean = sensors.hour_value(vane, minutes(350.0, 10.0, 350.0, 10.0, step=2), NOW)
    assert mean is not None
    assert min(mean, 360 - mean) == pytest.approx(0.0, abs=1e-6)
    opposite = minutes(90.0, 270.0, 90.0, 270.0, step=2)
    assert sensors.hour_value(vane, opposite, NOW) is None


def test_several_sensors_give_their_median() -> None:
    """One that is far off does not move the value (S7)."""
    assert sensors.together(schema.AIR_TEMPERATURE, [20.0, None, 21.0, 45.0]) == 21.0
    assert sensors.together(schema.AIR_TEMPERATURE, [None]) is None
    assert sensors.together(schema.WIND_FROM_DIRECTION, [None, 350.0, 10.0]) == 350.0


def test_path_that_is_not_there() -> None:
    """A missing place is None, never an error."""
    for path in ("x", "a.x", "a[0]", "l[9]", "l.a", "a.b.c"):
        assert find({"a": {"b": 1}, "l": [1]}, path) is None


@pytest.mark.parametrize(
    ("keys", "payload", "value"),
    [
        ({"scale": 0.1}, b"215", 21.5),
        ({"scale": 0.01, "offset": -40.0}, b"6150", 21.5),
        ({"unit": "F", "offset": -1.8}, b"72.5", 21.5),
        ({"unit": "K", "scale": 0.1}, b"2946.5", 21.5),
        (
            {"quantity": schema.WIND_FROM_DIRECTION, "unit": "deg", "offset": -10.0},
            b"5",
            355.0,
        ),
        ({"quantity": schema.WIND_FROM_DIRECTION, "unit": "deg", "offset": 90.0}, b"300", 30.0),
        ({"quantity": schema.WIND_FROM_DIRECTION, "unit": "deg"}, b"360.0", 360.0),
    ],
)
def test_scale_and_offset_come_before_the_unit(
    keys: dict[str, object], payload: bytes, value: float
) -> None:
    """Tenths, an Arduino's offset, a vane that is turned."""
    (read,) = sensors.read(sensor(**keys), payload, NOW)
    assert isinstance(read, Sample)
    assert read.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("quantity", "unit", "role", "given", "kept"),
    [
        (schema.AIR_TEMPERATURE, "C", "outdoor", 45.0, 45.0),
        (schema.AIR_TEMPERATURE, "C", "outdoor", 45.1, None),
        (schema.AIR_TEMPERATURE, "C", "indoor", 70.0, 70.0),
        (schema.AIR_TEMPERATURE, "C", "indoor", 85.0, None),
        (schema.AIR_TEMPERATURE, "C", "soil", -127.0, None),
        (schema.GROUND_TEMPERATURE, "C", "soil", 79.9, 79.9),
        (schema.GROUND_TEMPERATURE, "C", "soil", 85.0, None),
        (schema.DEW_POINT, "C", "indoor", 55.0, 55.0),
        (schema.VAPOUR_PRESSURE, "hPa", "indoor", 199.0, 199.0),
        (schema.VAPOUR_PRESSURE, "hPa", "outdoor", 199.0, None),
        (schema.RELATIVE_HUMIDITY, "%", "outdoor", 105.0, 100.0),
        (schema.RELATIVE_HUMIDITY, "%", "indoor", 105.1, None),
        (schema.RELATIVE_HUMIDITY, "%", "indoor", 0.0, None),
        (schema.RELATIVE_HUMIDITY, "fraction", "indoor", 1.017, 100.0),
        (schema.SOIL_MOISTURE, "%", "soil", 105.0, 100.0),
        (schema.SOIL_MOISTURE, "%", "soil", -2.0, 0.0),
        (schema.SOIL_MOISTURE, "%", "soil", 110.0, None),
        (schema.SOLAR, "W/m2", "outdoor", -12.0, 0.0),
        (schema.SOLAR, "W/m2", "outdoor", -100.0, None),
        (schema.SOLAR, "W/m2", "outdoor", 1500.0, 4.6),
        (schema.SOLAR, "W/m2", "outdoor", 2000.0, None),
        (schema.WIND_SPEED, "m/s", "outdoor", -0.3, 0.0),
        (schema.WIND_SPEED, "m/s", "outdoor", -3.0, None),
        (schema.WIND_SPEED, "m/s", "outdoor", 983.0, None),
        (schema.RAIN, "mm", "outdoor", 99_999.0, 99_999.0),
        (schema.RAIN, "mm", "outdoor", -1.0, None),
        (schema.WIND_FROM_DIRECTION, "deg", "outdoor", 999.0, None),
    ],
)
def test_limits_are_those_of_the_role(
    quantity: str, unit: str, role: str, given: float, kept: float | None
) -> None:
    """What can be is kept, a little beyond is the limit, the rest is refused and told (S1)."""
    one = sensor(quantity=quantity, unit=unit, role=role)
    (read,) = sensors.read(one, str(given).encode(), NOW)
    if kept is None:
        assert isinstance(read, Refusal)
        assert read.out_of_limits
        assert (read.value, read.at) == (format(given, ".10g"), NOW)
    else:
        assert read == Sample(NOW, kept)
