"""What holds for every stream of sensor messages."""

from __future__ import annotations

import math
import re
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random  # noqa: TC003 - hypothesis reads the annotation
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData
from edge_agent.observations import counters, sensors, text_values
from edge_agent.observations.intake import Intake
from edge_agent.observations.sensors import Refusal, Sample
from edge_agent.observations.source_choice import aggregate
from edge_agent.observations.store import Store
from edge_agent.settings import Sensor
from edge_agent.system.database import connect
from tests.fakes.examples import examples
from tests.fakes.forecasts import NOW

SENSORS = tuple(
    Sensor(
        topic=topic,
        field="t",
        time_field="at",
        quantity=schema.AIR_TEMPERATURE,
        unit="C",
        max_age_s=7200,
    )
    for topic in "ab"
)
# Few minutes, so that samples meet in one of them; long gaps are allowed, so that hours come out.
messages = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 30).map(lambda n: 20 * n), st.floats(-60, 60)),
    max_size=40,
)


def hours(stream: list[tuple[str, int, float]], flush_each: int) -> list[tuple[object, ...]]:
    """Hours that a stream of messages comes to."""
    with closing(connect(Path(":memory:"))) as db:
        store, intake = Store(db), Intake(SENSORS)
        for count, (topic, seconds, value) in enumerate(stream):
            at = NOW + timedelta(seconds=seconds)
            payload = msgspec.json.encode({"t": value, "at": at})
            intake.take(topic, payload, NOW + timedelta(hours=4))
            if count % flush_each == 0:
                intake.flush(store)
        intake.flush(store)
        aggregate(store, SENSORS, NOW, NOW + timedelta(hours=4))
        return store.hourly("sensor:outdoor", NOW, NOW + timedelta(hours=5)).rows()


@settings(max_examples=examples(50))
@given(messages, st.randoms(), st.integers(1, 9), st.integers(1, 9))
def test_order_duplication_and_batching_change_nothing(
    stream: list[tuple[str, int, float]], random: Random, one: int, other: int
) -> None:
    """The hours depend on what was measured, not on how the messages travelled."""
    shuffled = [*stream, *stream[::2]]
    random.shuffle(shuffled)
    assert hours(stream, one) == hours(shuffled, other)


@given(st.binary(max_size=200))
def test_no_payload_raises(payload: bytes) -> None:
    """Anything a sensor may send is taken or counted."""
    intake = Intake(SENSORS)
    given_samples = intake.take("a", payload, NOW)
    assert given_samples + sum(intake.refused.values()) == 1


def test_event_times_are_datetimes() -> None:
    """The strategy above really produces hours."""
    stream = [("a", 60 * m, 20.0) for m in range(0, 120, 5)]
    rows = hours(stream, 1)
    assert len(rows) == 2
    assert isinstance(rows[0][0], datetime)


ZONES = st.sampled_from(["Asia/Seoul", "Europe/Berlin", "America/St_Johns", "UTC"]).map(ZoneInfo)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-200, 400)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@given(st.data(), NUMBERS)
def test_what_is_taken_lies_within_the_limits_of_its_role(data: st.DataObject, raw: float) -> None:
    """Of every quantity, unit, role, scale and offset: a value that may be stored, or a refusal."""
    quantity = data.draw(st.sampled_from(schema.SENSED))
    row = schema.MEASURED[quantity]
    sensor = Sensor(
        topic="a",
        quantity=quantity,
        unit=data.draw(st.sampled_from(sorted(row.sensor_units))),
        role=data.draw(st.sampled_from(schema.ROLES)),
        scale=data.draw(st.sampled_from([1.0, 0.1, -1.0, 1e300])),
        offset=data.draw(st.sampled_from([0.0, -40.0, 1e300])),
    )
    (read,) = sensors.read(sensor, repr(raw).encode(), NOW)
    low, high = row.limits(sensor.role)
    given_value = row.convert(raw * sensor.scale + sensor.offset, sensor.unit)
    if low <= given_value <= high:
        assert read == Sample(NOW, given_value)
    elif isinstance(read, Sample):
        assert low <= read.value <= high
        below, above = row.overshoot
        assert low - below <= given_value <= high + above
    else:
        assert read.out_of_limits


NEIGHBOURS = st.lists(
    st.sampled_from(
        [
            *(b"nan", b"NaN", b"-Infinity", b"inf", b"1e999", b"null", b"-nan", b"[nan,{}]"),
            *(
                b'"\xff\xfe"',
                b'"nan"',
                b'"a\\"nan\\""',
                b'"\xbf\xc2\xbd\xc7"',
                b'"\t"',
                b"{}",
                b"1",
            ),
        ]
    ),
    max_size=5,
)


@given(NEIGHBOURS, NEIGHBOURS, st.booleans())
def test_one_bad_value_costs_no_other(before: list[bytes], after: list[bytes], mark: bool) -> None:
    """Whatever stands beside a good value in the message, that is read."""
    fields = [b'"x%d":%b' % (place, raw) for place, raw in enumerate(before)]
    fields += [b'"t":21.5', *(b'"y%d":%b' % (place, raw) for place, raw in enumerate(after))]
    payload = b"\xef\xbb\xbf" * mark + b"{" + b",".join(fields) + b"}"
    sensor = Sensor(topic="a", field="t", quantity=schema.AIR_TEMPERATURE, unit="C")
    assert list(sensors.read(sensor, payload, NOW)) == [Sample(NOW, 21.5)]


@given(st.decimals(-40, 45, places=3), st.sampled_from(["", "C", " C", " °C", "℃", " degC"]))
def test_every_form_of_a_number_is_the_same_number(number: object, unit: str) -> None:
    """With a point or a comma, with or without the unit, alone or in JSON."""
    for text in (f"{number}{unit}", f"{number}{unit}".replace(".", ",")):
        for payload, field in ((text.encode(), ""), (msgspec.json.encode({"t": text}), "t")):
            sensor = Sensor(topic="a", field=field, quantity=schema.AIR_TEMPERATURE, unit="C")
            assert list(sensors.read(sensor, payload, NOW)) == [Sample(NOW, float(str(number)))]


DECIMAL = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?")


@given(st.text(max_size=12) | st.text("0123456789.,eE+-_x° CF%٠", max_size=8))
@example("1_0")
@example("٥٠")
@example("2e")
def test_any_text_is_a_decimal_number_or_none(text: str) -> None:
    """What is read is what the digits say, in no other notation."""
    sensor = Sensor(topic="a", quantity=schema.AIR_TEMPERATURE, unit="C")
    value = None
    with suppress(BadData):
        value = text_values.number(text, sensor)
    if value is None:
        return
    assert math.isfinite(value)
    digits = DECIMAL.match(text.strip(" \t\r\n\x00"))
    assert digits is not None
    assert value == float(digits[0].replace(",", "."))


@given(st.integers(-3 * 86_400_000 + 1, 300_000), ZONES, st.integers(0, 10**10))
def test_every_form_of_a_time_is_the_same_time(ms: int, zone: ZoneInfo, start: int) -> None:
    """ISO with and without a zone, epochs in four units, as numbers and as texts."""
    arrival = datetime.fromtimestamp(start, UTC)
    at = arrival + timedelta(milliseconds=ms)
    epoch_ms = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    forms: list[object] = [at.isoformat(), at.astimezone(zone).isoformat()]
    if epoch_ms >= 10**11:
        forms += [epoch_ms / 1000, epoch_ms, epoch_ms * 1000, epoch_ms * 10**6]
        forms += [str(form) for form in forms[2:]]
    local = at.astimezone(zone).replace(tzinfo=None)
    twice = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    if len(twice) == 1:
        forms += [local.isoformat(), local.isoformat(" ", timespec="microseconds") + "000"]
    sensor = Sensor(
        topic="a", field="t", time_field="at", quantity=schema.AIR_TEMPERATURE, unit="C"
    )
    for form in forms:
        payload = msgspec.json.encode({"t": 20.0, "at": form})
        (read,) = sensors.read(sensor, payload, arrival, zone)
        assert isinstance(read, Sample), (form, read)
        assert abs(read.at - at) < timedelta(milliseconds=1), form


# Seconds between readings, and what the gauge does: rain, a dip, one odd total, a reset.
STEPS = st.lists(
    st.tuples(
        st.integers(61, 3600),
        st.sampled_from(["dry", "dry", "rain", "dip", "spike", "zero", "reset"]),
        st.integers(1, 100),
    ),
    max_size=60,
)


@given(STEPS, st.integers(0, 90_000))
def test_a_counter_adds_up_what_fell(steps: list[tuple[int, str, int]], start: int) -> None:
    """Dips and single odd totals change nothing; the sum is the rain, whatever the total."""
    total = (start + 1000) / 10.0
    at, fell, last = NOW, 0.0, ""
    totals = [(at, total)]
    for seconds, given_kind, amount in steps:
        # Two odd readings in a row are not told from a reset.
        kind = given_kind if last in {"", "dry", "rain"} else "dry"
        kind = "dry" if kind == "reset" and total < 5.0 else kind
        at += timedelta(seconds=seconds)
        reading = total
        if kind == "rain":
            rain = min(amount / 10, 200 * seconds / 3600)
            total, fell = total + rain, fell + rain
            reading = total
        elif kind == "dip":
            reading = max(total - 0.49 * amount / 100, total / 2)
        elif kind == "spike":
            reading = total + 1000
        elif kind == "zero":
            reading = 0.0
        totals.append((at, reading))
        if kind == "reset":
            total = amount / 1000
            fell += total
            totals[-1:] = [(at, total), (at + MINUTE, total)]
            at += MINUTE
        last = kind
    totals.append((at + MINUTE, total))
    added = counters.increments(schema.MEASURED[schema.RAIN], totals)
    assert min(added) >= 0.0
    assert math.fsum(added) == pytest.approx(fell, abs=1e-6)


@settings(max_examples=examples(50))
@given(
    st.lists(st.tuples(st.integers(1, 400), st.floats(0, 100_000)), max_size=40),
    st.randoms(),
    st.integers(1, 9),
)
def test_no_stream_of_totals_makes_rain_that_cannot_be(
    stream: list[tuple[int, float]], random: Random, flush_each: int
) -> None:
    """Hours lie within 0 and 200 mm, in whatever order the messages come."""
    gauge = Sensor(
        topic="r", field="r", time_field="at", quantity=schema.RAIN, unit="mm", max_age_s=7200
    )
    messages = [
        msgspec.json.encode({"r": total, "at": NOW + minute * MINUTE}) for minute, total in stream
    ]
    found = []
    for _ in range(2):
        with closing(connect(Path(":memory:"))) as db:
            store, intake = Store(db), Intake([gauge])
            for count, payload in enumerate(messages):
                intake.take("r", payload, NOW + 8 * HOUR)
                if count % flush_each == 0:
                    intake.flush(store)
            intake.flush(store)
            aggregate(store, [gauge], NOW, NOW + 8 * HOUR)
            found.append(store.hourly("sensor:outdoor", NOW, NOW + 8 * HOUR)[schema.RAIN].to_list())
        random.shuffle(messages)
    assert found[0] == found[1]
    assert all(0.0 <= value <= 200.0 for value in found[0] if value is not None)


READINGS = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.sampled_from(["20", "30.5", "85", "-127", "null", '"on"', "true"]),
    ),
    max_size=30,
    unique_by=lambda reading: reading[0],
)


@given(READINGS)
def test_the_newest_reading_decides_whether_a_sensor_is_known(
    stream: list[tuple[int, str]],
) -> None:
    """Unknown from a reading out of limits until one within them; words and nulls say nothing."""
    intake = Intake(SENSORS)
    numbers = {}
    for minute, value in stream:
        payload = f'{{"t": {value}, "at": "{(NOW + minute * MINUTE).isoformat()}"}}'
        intake.take("a", payload.encode(), NOW + HOUR)
        if value in {"20", "30.5", "85", "-127"}:
            numbers[minute] = value
            known = numbers[max(numbers)] in {"20", "30.5"}
            assert (intake.newest(SENSORS[0]) is not None) == known
            assert intake.out_of_range(SENSORS[0]) == (not known)
    (state, _) = intake.states()
    assert state.refused == sum(value not in {"20", "30.5"} for _, value in stream)
    assert (state.last_refused is None) == (state.refused == 0)


@given(st.binary(max_size=300), st.sampled_from(["", "t", "a.b[0]", "json:t", "number:"]))
def test_refusals_can_be_shown(payload: bytes, field: str) -> None:
    """Value and reason of a refusal are short, and of one line that can be printed."""
    sensor = Sensor(topic="a", field=field, quantity=schema.AIR_TEMPERATURE, unit="C")
    for read in sensors.read(sensor, payload, NOW):
        if isinstance(read, Refusal):
            assert len(read.value) <= 80
            assert read.value.isprintable()
            assert read.reason.isprintable()
            assert len(read.reason) < 300
