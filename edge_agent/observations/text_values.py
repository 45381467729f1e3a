"""Numbers and times as devices write them. Pure.

F1  A number is a number of JSON, or a text of digits with a decimal point or comma, and an exponent
    as in JSON. `1_2`, `0x10`, digits of other scripts and two separators are none.
F2  A unit may stand behind it. It must be the sensor's own.
F3  A boolean is no number, nor is a word for a missing value.
F4  A time is ISO 8601, or seconds, ms, us or ns since 1970, as a number or a text.
F5  A time without a zone is local time of the farm. In the hour that a change of the clock repeats,
    it is the later of the two that is not ahead of the arrival.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edge_agent.contract import units
from edge_agent.contract.errors import BadData

if TYPE_CHECKING:
    from datetime import tzinfo

    from edge_agent.settings import Sensor

_NUMBER: Final = re.compile(
    # Digits, then perhaps a unit, which begins with a letter or a sign, and not as `0x10` goes on.
    r"([+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:e[+-]?[0-9]+)?)"
    r"(?:\s*((?!x[0-9a-f])(?:[^\W\d_]|[°º%℃℉\x22\uff05¡])[^_]*))?",
    re.IGNORECASE,
)
_EPOCH: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_NO_VALUE: Final = {"unavailable", "unknown", "nan", "null", "none", ""}
_BOOLEANS: Final = {"true", "false"}
_MOST_CHARACTERS: Final = 80
_MOST_SECONDS: Final = 10**11
"""Of seconds since 1970, in the year 5138. A larger number counts ms, us or ns."""


class BadValue(BadData):
    """A value that cannot be used, and its text."""

    def __init__(self, reason: str, value: object) -> None:
        super().__init__(reason)
        self.value = shown(value)


def shown(value: object) -> str:
    """A value from outside as people may see it: at most 80 characters, each of them printable.

    What is no text is written as in JSON: `null`, `true`.
    """
    if isinstance(value, float):
        text = format(value, ".10g")
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:_MOST_CHARACTERS])


def number(raw: object, sensor: Sensor) -> float:
    """A finite number in the sensor's unit, from a number or its text (F1 to F3).

    Raises:
        BadValue: It is none; the text says why.
    """
    where = f"{sensor.topic} {sensor.field}".rstrip()
    if raw is None:
        raise BadValue(f"{where}: has no value", raw)
    if isinstance(raw, str):
        return _from_text(raw.strip(" \t\r\n\x00"), sensor, where)
    if isinstance(raw, bool):
        raise BadValue(f"{where}: is a boolean", raw)
    if not isinstance(raw, int | float):
        raise BadValue(f"{where}: is no number", raw)
    return _finite(raw, where)


def time(raw: object, sensor: Sensor) -> datetime:
    """Time from one of the forms of F4; without a zone where it names none: see `in_utc`.

    Raises:
        BadValue: It is no time.
    """
    try:
        if isinstance(raw, str):
            text = raw.strip()
            if not _EPOCH.fullmatch(text):
                return datetime.fromisoformat(text)
            raw = float(text) if "." in text else int(text)
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            for _ in range(3):
                raw = raw / 1000 if abs(raw) >= _MOST_SECONDS else raw
            return datetime.fromtimestamp(raw, UTC)
    except (ValueError, OverflowError, OSError) as fault:
        raise BadValue(f"{sensor.topic}: {shown(raw)[:40]!r} is no time", raw) from fault
    raise BadValue(f"{sensor.topic}: has no time", raw)


def in_utc(at: datetime, zone: tzinfo, latest: datetime) -> datetime:
    """A time in UTC; one without a zone is local (F5).

    Args:
        at: From `time`.
        zone: The farm's.
        latest: The latest that it can be.
    """
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    both = {at.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return max((time for time in both if time <= latest), default=min(both))


def _from_text(text: str, sensor: Sensor, where: str) -> float:
    if text.casefold() in _NO_VALUE:
        raise BadValue(f"{where}: has no value ({text or 'empty'})", text)
    if text.casefold() in _BOOLEANS:
        raise BadValue(f"{where}: is a boolean", text)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadValue(f"{where}: {shown(text)[:40]!r} is no number", text)
    unit = match[2]
    if unit and units.named(unit) != sensor.unit and unit != sensor.unit:
        raise BadValue(
            f"{where}: is in {shown(unit)[:20]!r}, and the configuration says {sensor.unit!r}", text
        )
    return _finite(float(match[1].replace(",", ".")), where)


def _finite(value: float, where: str) -> float:
    try:
        exact = float(value)
    except OverflowError:
        exact = math.inf
    if not math.isfinite(exact):
        raise BadValue(f"{where}: is no number", exact)
    return exact
