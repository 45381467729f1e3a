"""Numbers and times as devices write them (rules F1 to F5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData
from edge_agent.observations import codecs, foreign_json
from edge_agent.observations.text_values import BadValue, in_utc, time
from edge_agent.settings import Sensor
from tests.fakes.forecasts import NOW


def sensor(unit: str = "C", quantity: str = schema.AIR_TEMPERATURE, field: str = "") -> Sensor:
    """A sensor in a unit."""
    return Sensor(topic="a/b", field=field, quantity=quantity, unit=unit)


def value(payload: bytes, one: Sensor) -> float:
    """The number that a message holds."""
    (reading,) = codecs.decode(payload, one)
    return reading.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21.5", 21.5),
        ("21,5", 21.5),
        ("-,5", -0.5),
        ("+.5", 0.5),
        ("21.", 21.0),
        ("2.15e1", 21.5),
        ("2,15E+01", 21.5),
        ("21.5 °C", 21.5),
        ("21.5°C", 21.5),
        ("21,5C", 21.5),
        ("21.5 ℃", 21.5),
        ("21.5\u00a0°C", 21.5),
        ("21.5 degC", 21.5),
        (" 21.5 \r\n\x00", 21.5),
    ],
)
def test_numbers_of_devices(text: str, expected: float) -> None:
    """Point or comma, exponent, the sensor's own unit, white space and zero bytes around."""
    assert value(text.encode(), sensor()) == expected
    quoted = msgspec.json.encode({"t": text})
    assert value(quoted, sensor(field="t")) == expected


@pytest.mark.parametrize(
    ("payload", "one", "expected"),
    [
        (b"55 %", sensor("%", schema.RELATIVE_HUMIDITY), 55.0),
        (b"55 %RH", sensor("%", schema.RELATIVE_HUMIDITY), 55.0),
        (b"1013,25 hPa", sensor("hPa", schema.STATION_PRESSURE), 1013.25),
        (b"1013.25 mbar", sensor("hPa", schema.STATION_PRESSURE), 1013.25),
        (b"3.5m/s", sensor("m/s", schema.WIND_SPEED), 3.5),
        (b"12.4 mm", sensor("mm", schema.RAIN), 12.4),
        (b"0.49 in", sensor("in", schema.RAIN), 0.49),
        ("812 W/m²".encode(), sensor("W/m2", schema.SOLAR), 812.0),
        (b"21.5 \xb0C", sensor(), 21.5),
        ("21.5 ℃".encode("cp949"), sensor(), 21.5),
        (b"\xef\xbb\xbf21.5", sensor(), 21.5),
    ],
)
def test_units_behind_numbers(payload: bytes, one: Sensor, expected: float) -> None:
    """The units of all quantities, also where the sign of degrees is one byte of Latin-1."""
    assert value(payload, one) == expected


@pytest.mark.parametrize("text", ["70.7 °F", "294.6 K", "55 %", "12 lx", "21.5 CF"])
def test_another_unit_is_refused_by_name(text: str) -> None:
    """Both are named: what came and what the configuration says."""
    with pytest.raises(BadValue, match=r"is in '[^']+', and the configuration says 'C'"):
        value(text.encode(), sensor())


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1_2",
            "٥٠",
            "２１",
            "0x10",
            "0X1F",
            "1,013.25",
            "1.013,25",
            "21.5.3",
            "1 2",
            "--5",
            "5-",
        ),
        *("e5", "1e999", "inf", "-Infinity", "12:30", "warm", "21.5_C", "not available", "½"),
    ],
)
def test_texts_that_are_no_numbers(text: str) -> None:
    """Digits of other scripts, other notations, two separators."""
    with pytest.raises(BadData, match=r"is no number$"):
        value(text.encode(), sensor())


@pytest.mark.parametrize("raw", [b"true", b"False", b'{"t": true}', b'{"t": "false"}'])
def test_booleans_are_refused_by_name(raw: bytes) -> None:
    """An open door is no temperature of 1 C."""
    with pytest.raises(BadData, match="is a boolean"):
        value(raw, sensor(field="t" if raw.startswith(b"{") else ""))


@pytest.mark.parametrize(
    "raw", [b'{"t": null}', b"{}", b'{"t": NaN}', b'{"t": "nan"}', b'{"t":""}']
)
def test_missing_values_are_named_so(raw: bytes) -> None:
    """Null, not there, not a number, empty."""
    with pytest.raises(BadData, match="has no value"):
        value(raw, sensor(field="t"))


@pytest.mark.parametrize(
    ("raw", "word"), [(None, "null"), (True, "true"), ({"a": [1]}, '{"a": [1]}'), ("None", "None")]
)
def test_what_was_sent_is_shown_as_json(raw: object, word: str) -> None:
    """People see what the sensor sent, not how this program writes it."""
    with pytest.raises(BadValue) as fault:
        time(raw, sensor())
    assert fault.value.value == word


@pytest.mark.parametrize(
    "payload",
    [
        b'{"x": nan, "t": 21.5}',
        b'{"x": -nan, "t": 21.5}',
        b'{"x": -Infinity, "y": [inf, NaN], "t": 21.5}',
        b'{"name": "nan, \\"inf\\", NaN", "x": nan, "t": 21.5}',
        b'{"x": 1e999, "t": 21.5}',
        b'{"name": "Gew\xe4chshaus", "t": 21.5}',
        b'{"na\xb0me": 1, "t": 21.5}',
        b'{"name": "a\tb\x01", "t": 21.5}',
        b'\xef\xbb\xbf{"t": 21.5}',
        b'{"t": 21.5}\x00\x00',
    ],
)
def test_one_bad_value_costs_no_other(payload: bytes) -> None:
    """Not a number, an infinity, a foreign byte, a control character, a byte order mark."""
    assert value(payload, sensor(field="t")) == 21.5


@pytest.mark.parametrize(
    "payload", [b"{nan: 1}", b'{"t": nano}', b'{"t": 1nan}', b'{"t" 21.5}', b"{"]
)
def test_lenient_json_is_still_json(payload: bytes) -> None:
    """Only values that stand for themselves become null."""
    with pytest.raises(BadData, match="not JSON"):
        value(payload, sensor(field="t"))


def test_texts_that_hold_bare_words_stay_as_they_are() -> None:
    """A text is no place to replace anything in."""
    document = foreign_json.decode(b'{"a": nan, "b": "nan inf \\" NaN", "c": "Infinity"}')
    assert document == {"a": None, "b": 'nan inf " NaN', "c": "Infinity"}


def test_json_within_a_text() -> None:
    """The path of ChirpStack's objectJSON goes on inside the text."""
    inner = '{"temperature": 21.5, "deep": "{\\"h\\": [55]}", "broken": nan}'
    payload = msgspec.json.encode({"objectJSON": inner, "name": "plain"})
    assert value(payload, sensor(field="objectJSON.temperature")) == 21.5
    assert value(payload, sensor(field="objectJSON.deep.h[0]")) == 55.0
    assert value(msgspec.json.encode(inner), sensor(field="temperature")) == 21.5
    for path in ("name.temperature", "objectJSON.nothing", "objectJSON[0]"):
        with pytest.raises(BadData, match="has no value"):
            value(payload, sensor(field=path))


def test_named_formats_take_what_stands_behind_the_colon() -> None:
    """`json:` and a path, `number:` alone."""
    assert value(b'{"a": {"b": 21.5}}', sensor(field="json:a.b")) == 21.5
    assert value(b"21.5", sensor(field="number:")) == 21.5
    assert value(b'{"number:x": 1, "a:b": 21.5}', sensor(field="a:b")) == 21.5


SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "arrival", "expected"),
    [
        # The clock goes back at 03:00 summer time, 01:00 UTC.
        ("2026-10-25T02:30:00", "2026-10-25T00:30:10Z", "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30:00", "2026-10-25T01:30:10Z", "2026-10-25T01:30:00Z"),
        ("2026-10-25T02:30:00", "2026-10-25T01:00:00Z", "2026-10-25T00:30:00Z"),
        # It goes forward at 02:00, 01:00 UTC: 02:30 is of a device that does not know.
        ("2026-03-29T02:30:00", "2026-03-29T01:30:10Z", "2026-03-29T01:30:00Z"),
        ("2026-07-01T12:00:00", "2026-07-01T10:00:10Z", "2026-07-01T10:00:00Z"),
        ("2026-07-01T12:00:00+09:00", "2026-07-01T10:00:10Z", "2026-07-01T03:00:00Z"),
    ],
)
def test_local_times_where_the_clock_changes(text: str, arrival: str, expected: str) -> None:
    """The later of two that is not ahead of the arrival."""
    latest = datetime.fromisoformat(arrival) + timedelta(minutes=5)
    assert in_utc(time(text, sensor()), BERLIN, latest) == datetime.fromisoformat(expected)


def test_a_local_time_of_seoul() -> None:
    """Nine hours ahead of UTC, all the year."""
    local = time("2026-07-01 14:00:00", sensor())
    assert in_utc(local, SEOUL, NOW + timedelta(minutes=5)) == NOW == NOW.astimezone(UTC)


LONG = 300_000
"""Several times what a message may have: work that grows by its square ends in no test's time."""
HOSTILE = {
    "quotes": b'"\\' * LONG,
    "quotes behind a bare word": b"nan" + b'"\\' * LONG,
    "text without an end": b'{"a":"' + b"\\" * LONG,
    "bare words": b"nan " * LONG,
    "signs": b"-" * LONG,
    "digits": b"1" * LONG,
    "digits around a point": b"1" * LONG + b"." + b"1" * LONG + b"_",
    "exponents": b"1e" * LONG,
    "numbers": b"1 " * LONG,
    "spaces": b"1" + b" " * LONG + b"_",
    "lists in lists": b"[" * LONG,
    "objects in objects": b'{"a":' * LONG,
    "an integer": b'{"a":' + b"9" * LONG + b"}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_payload_takes_long(name: str) -> None:
    """Whatever comes is refused; where it is not at once, the time limit of a test ends this."""
    for one in (sensor(), sensor(field="t"), sensor(field="a.b.c[0]")):
        with pytest.raises(BadData):
            codecs.decode(HOSTILE[name], one)
