"""Payload formats of sensors: the bytes of a message -> values with their times. Pure.

A codec is a function that is registered under a name. A sensor uses the codec that its `field`
begins with, such as `csv:1`; without one, a path into JSON where it has a `field` or a
`time_field`, else the payload as a number. docs/extending.md shows how to add one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.contract.errors import BadData

if TYPE_CHECKING:
    from edge_agent.settings import Sensor


@dataclass(frozen=True, slots=True)
class Reading:
    """One value in the sensor's unit, and when it was measured; None: when the message arrived."""

    value: float
    at: datetime | None = None


Codec = Callable[[bytes, "Sensor"], Sequence[Reading]]
"""Payload and settings -> readings. Raises `BadData` where any of them cannot be read."""

CODECS: Final[dict[str, Codec]] = {}
"""By name."""

_NO_VALUE: Final = {"unavailable", "unknown", "nan", "null", "none", ""}
_PATH_PART: Final = re.compile(r"([^.\[\]]+)|\[(\d{1,6})\]")


def codec(name: str) -> Callable[[Codec], Codec]:
    """Decorator that registers a codec under a name."""

    def register(function: Codec) -> Codec:
        CODECS[name] = function
        return function

    return register


def decode(payload: bytes, sensor: Sensor) -> Sequence[Reading]:
    """Readings of one message, by the codec of the sensor.

    Raises:
        BadData: A value or a time cannot be read; the text says which.
    """
    name, colon, _ = sensor.field.partition(":")
    if not colon or name not in CODECS:
        name = "json" if sensor.field or sensor.time_field else "number"
    return CODECS[name](payload, sensor)


def number(raw: object, where: str) -> float:
    """A finite number, from a number or its text.

    Raises:
        BadData: It is none, or stands for a missing value, such as `unavailable`.
    """
    if isinstance(raw, str):
        text = raw.strip()
        if text.lower() in _NO_VALUE:
            raise BadData(f"{where}: has no value ({text or 'empty'})")
        try:
            raw = float(text)
        except ValueError as fault:
            raise BadData(f"{where}: {text[:40]!r} is no number") from fault
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise BadData(f"{where}: is no number")
    return float(raw)


def time(raw: object, where: str) -> datetime:
    """Aware UTC time from ISO 8601 (UTC where it names no zone), or seconds or ms since 1970.

    Raises:
        BadData: It is no time.
    """
    try:
        if isinstance(raw, str):
            at = datetime.fromisoformat(raw)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            return datetime.fromtimestamp(raw / 1000 if raw > 1e11 else raw, UTC)
    except (ValueError, OverflowError, OSError) as fault:
        raise BadData(f"{where}: {str(raw)[:40]!r} is no time") from fault
    raise BadData(f"{where}: has no time")


def find(document: Any, path: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """The value at `path`; None where the document has no such place.

    Args:
        document: Decoded JSON.
        path: Names joined by dots, indices in brackets, such as `SHT31.Temperature` or
            `values[0]`; a leading `$.` is allowed. A name that itself has dots is found as a
            whole first.
    """
    if isinstance(document, dict) and path in document:
        return document[path]
    value = document
    for name, index in _PATH_PART.findall(path.removeprefix("$")):
        if name and isinstance(value, dict):
            value = value.get(name)
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            return None
    return value


@codec("number")
def _number(payload: bytes, sensor: Sensor) -> Sequence[Reading]:
    return (Reading(number(payload.decode("utf-8", "replace"), sensor.topic)),)


@codec("json")
def _json(payload: bytes, sensor: Sensor) -> Sequence[Reading]:
    """Values at the paths `field` and `time_field`; without `field` the payload is the value."""
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise BadData(f"{sensor.topic}: not JSON: {fault}") from fault
    raw = find(document, sensor.field) if sensor.field else payload.decode("utf-8", "replace")
    value = number(raw, f"{sensor.topic} {sensor.field}".rstrip())
    at = time(find(document, sensor.time_field), sensor.topic) if sensor.time_field else None
    return (Reading(value, at),)
