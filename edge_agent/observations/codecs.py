"""Payload formats of sensors: the bytes of a message -> values with their times. Pure.

A codec is a function that is registered under a name. A sensor uses the codec that its `field`
begins with, such as `csv:1`; without one, a path into JSON where it has a `field` or a
`time_field`, else the payload as a number. docs/extending.md shows how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import BadData
from edge_agent.observations import foreign_json
from edge_agent.observations.text_values import number, time

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.settings import Sensor


@dataclass(frozen=True, slots=True)
class Reading:
    """One value in the sensor's unit, and when it was measured.

    A time without a zone is local time of the farm; None: when the message arrived.
    """

    value: float
    at: datetime | None = None


Codec = Callable[[bytes, "Sensor"], Sequence[Reading]]
"""Payload and settings -> readings. Raises `BadData` where any of them cannot be read."""

CODECS: Final[dict[str, Codec]] = {}
"""By name."""


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


@codec("number")
def _number(payload: bytes, sensor: Sensor) -> Sequence[Reading]:
    return (Reading(number(_text(payload), sensor)),)


@codec("json")
def _json(payload: bytes, sensor: Sensor) -> Sequence[Reading]:
    """Values at the paths `field` and `time_field`; without `field` the payload is the value."""
    try:
        document = foreign_json.decode(payload)
    except BadData as fault:
        raise BadData(f"{sensor.topic}: {fault}") from fault
    path = sensor.field.removeprefix("json:")
    raw = foreign_json.find(document, path) if path else _text(payload)
    value = number(raw, sensor)
    at = time(foreign_json.find(document, sensor.time_field), sensor) if sensor.time_field else None
    return (Reading(value, at),)


def _text(payload: bytes) -> str:
    """Text of a payload. A byte that is no UTF-8 is most often the sign of degrees in Latin-1."""
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError:
        return payload.decode("latin-1")
