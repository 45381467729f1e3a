"""MQTT payloads of the farm's sensors -> samples -> hours. Pure.

S1  A payload that is no number, or lies beyond the limits of its quantity and role, is refused with
    a reason: a wrong value is worse than none. A little beyond the limit is the limit itself.
S2  Time is the event's own where the payload has it, else the arrival; a message that the broker
    had kept has only its own. A time more than five minutes ahead of the arrival, or older than
    three days, is refused.
S3  One sample a minute and sensor, the latest of that minute: order and repetition of
    messages change nothing, and memory is bounded.
S4  As at a KMA station, the value of an hour is the state at the full hour. It is the median of
    the ten minutes before it, which an outlier does not move, else the newest reading of the
    hour that is not older than the sensor's `max_age_s`.
    Wind is the mean of those minutes, directions as vectors.
S5  Rain and radiation are sums, and need the whole hour: there is a value when no gap within it
    is longer than `max_age_s`. Rain is a running total: see `counters`. Radiation is the mean of
    the hour's power.
S6  The value now is the median of the newest three readings, where they came within five minutes
    and within `max_age_s`: one outlier raises no alert. With fewer it is the newest, so that it was
    always measured.
    A reading beyond its limits makes it unknown until the next one within them.
S7  Several sensors of one quantity and role: their median, which of an even number is the mean of
    the two in the middle (of directions the first).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData
from edge_agent.contract.quantity import HourMethod
from edge_agent.observations import codecs, counters
from edge_agent.observations.text_values import BadValue, in_utc, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from edge_agent.observations.codecs import Reading
    from edge_agent.settings import Sensor

MAX_BYTES: Final = 65_536
AHEAD: Final = timedelta(minutes=5)
BEHIND: Final = timedelta(days=3)
_HOUR: Final = timedelta(hours=1)
SPAN: Final = timedelta(minutes=10)
"""KMA's span of mean wind. On 15 months of minutes the median of ten was within 0.19 C and 0.8 %
(RMSE) of the reading at the full hour; the mean of sixty, half an hour late, 0.69 C and 2.9 %."""
RECENT: Final = timedelta(minutes=5)
BEFORE: Final = timedelta(days=1)
"""A running total is followed from so long before an hour: to know it before a dip, and before a
time without readings."""
_MOST_SHOWN: Final = 200
"""Bytes of a payload that are looked at to show it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value in the schema's unit, and when it was measured."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reading or a message that was not accepted.

    Attributes:
        at: When it was measured, where that is known, else when it came; UTC.
        value: What was sent, at most 80 characters.
        reason: Why it was refused, with its topic.
        out_of_limits: Whether it was a number beyond the limits of its quantity and role.
    """

    at: datetime
    value: str
    reason: str
    out_of_limits: bool = False


@dataclass(frozen=True, slots=True)
class RefusalRecord:
    """Refusals of one sensor.

    Attributes:
        count: How many.
        last: The newest.
        out_since: Time of a reading out of limits with none within them after it; else None.
    """

    count: int
    last: Refusal
    out_since: datetime | None


class SensorName(Protocol):
    """What a sensor is named by: in the configuration and in reports."""

    @property
    def topic(self) -> str:
        """Its topic."""

    @property
    def field(self) -> str:
        """Its field; empty: the payload is the value."""

    @property
    def quantity(self) -> str:
        """What it measures."""


def key_of(sensor: SensorName) -> str:
    """Name of a sensor in the store and in metrics."""
    return f"{sensor.topic}|{sensor.field}|{sensor.quantity}"


def source_of(role: str) -> str:
    """Name of the source that the sensors of a role form."""
    return f"sensor:{role}"


def read(
    sensor: Sensor, payload: bytes, received_at: datetime, zone: tzinfo = UTC, *, live: bool = True
) -> Iterator[Sample | Refusal]:
    """What one message gives (S1, S2): a sample or a refusal for each of its readings.

    Args:
        sensor: Which sensor.
        payload: The message.
        received_at: When it came.
        zone: Of times that name none.
        live: Published just now; without it a reading that has no time of its own gives nothing.
    """
    if len(payload) > MAX_BYTES:
        reason = f"{sensor.topic}: {len(payload)} bytes, more than {MAX_BYTES}"
        yield Refusal(received_at, f"{len(payload)} bytes", reason)
        return
    try:
        readings = codecs.decode(payload, sensor)
    except BadValue as fault:
        yield Refusal(received_at, fault.value, str(fault))
        return
    except BadData as fault:
        yield Refusal(
            received_at, shown(payload[:_MOST_SHOWN].decode("utf-8", "replace")), str(fault)
        )
        return
    for reading in readings:
        if live or reading.at is not None:
            yield _checked(sensor, reading, received_at, zone)


def _checked(
    sensor: Sensor, reading: Reading, received_at: datetime, zone: tzinfo
) -> Sample | Refusal:
    at = received_at
    if reading.at is not None:
        try:
            at = in_utc(reading.at, zone, received_at + AHEAD)
        except OverflowError:  # A year at an end of the calendar, shifted beyond it.
            at = reading.at.replace(tzinfo=UTC)
        if not received_at - BEHIND <= at <= received_at + AHEAD:
            when = f"{at:%Y-%m-%dT%H:%M:%SZ}"
            reason = f"{sensor.topic}: its time {when} is not near the arrival"
            return Refusal(received_at, when, reason)
    row = schema.MEASURED[sensor.quantity]
    given = row.convert(reading.value * sensor.scale + sensor.offset, sensor.unit)
    value = row.settled(given, sensor.role)
    if value is None:
        low, high = row.limits(sensor.role)
        reason = f"{sensor.topic}: {sensor.quantity} = {given:g} is outside {low:g} to {high:g}"
        return Refusal(at, shown(reading.value), reason, out_of_limits=True)
    return Sample(at, value)


def leap(sensor: Sensor, before: Sample, sample: Sample) -> Refusal | None:
    """Refusal of the amount between two readings of a counter, where so much cannot be."""
    row = schema.MEASURED[sensor.quantity]
    if row.hourly is not HourMethod.COUNTER or sample.at <= before.at:
        return None
    totals = (before.at, before.value), (sample.at, sample.value)
    if counters.too_fast(row, *totals):
        why = f"more than {row.high:g} {row.unit} an hour"
    elif counters.rise(row, before.value, sample.value) > row.high:
        why = f"more than the {row.high:g} {row.unit} of an hour at once"
    else:
        return None
    length = f"{(sample.at - before.at) / timedelta(minutes=1):.3g}"
    reason = (
        f"{sensor.topic}: {sensor.quantity} went from {before.value:g} to {sample.value:g} within "
        f"{length} {'minute' if length == '1' else 'minutes'}, {why}: not counted"
    )
    return Refusal(sample.at, shown(sample.value), reason)


def amounts(sensor: Sensor, samples: Sequence[Sample]) -> Sequence[Sample]:
    """Samples as `hour_value` takes them: of a counter what was added up to each.

    Args:
        sensor: Which sensor.
        samples: Its samples, oldest first, from well before the first hour on.
    """
    row = schema.MEASURED[sensor.quantity]
    if row.hourly is not HourMethod.COUNTER:
        return samples
    added = counters.increments(row, [(sample.at, sample.value) for sample in samples])
    return [Sample(s.at, amount) for s, amount in zip(samples, added, strict=True)]


def hour_value(sensor: Sensor, samples: Sequence[Sample], hour: datetime) -> float | None:
    """Value for the full hour `hour`; None where the sensor was silent too long (S4, S5).

    None as well where more was added than an hour can bring.

    Args:
        sensor: Which sensor.
        samples: From `amounts`, any order; those outside the hour are left out.
        hour: End of the hour.
    """
    row, start = schema.MEASURED[sensor.quantity], hour - _HOUR
    inside = sorted((s for s in samples if start < s.at <= hour), key=lambda s: s.at)
    if not inside:
        return None
    limit = timedelta(seconds=sensor.max_age_s)
    if row.hourly in {HourMethod.COUNTER, HourMethod.POWER}:
        times = [start, *(sample.at for sample in inside), hour]
        covered = max(later - earlier for earlier, later in pairwise(times)) <= limit
        value = _combined(row.hourly, [sample.value for sample in inside])
        return value if covered and value is not None and value <= row.high else None
    if hour - inside[-1].at > limit:
        return None
    return _combined(
        row.hourly, [s.value for s in inside if s.at > hour - SPAN] or [inside[-1].value]
    )


def settled(sensor: Sensor, samples: Sequence[Sample]) -> Sample | None:
    """The value now, at the time of the newest sample; None without samples (S6)."""
    if not samples:
        return None
    *others, newest = sorted(samples, key=lambda s: s.at)[-3:]
    oldest = newest.at - timedelta(seconds=sensor.max_age_s)
    recent = [s.value for s in others if s.at > newest.at - RECENT and s.at >= oldest]
    direction = schema.MEASURED[sensor.quantity].hourly is HourMethod.DIRECTION
    # The median of two would be their mean, which nobody measured.
    if direction or len(recent) < 2:
        return newest
    return Sample(newest.at, statistics.median([*recent, newest.value]))


def together(quantity: str, values: Sequence[float | None]) -> float | None:
    """One value from several sensors of one quantity and role (S7)."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    first = schema.MEASURED[quantity].hourly is HourMethod.DIRECTION
    return present[0] if first else statistics.median(present)


def _combined(hourly: HourMethod, values: Sequence[float]) -> float | None:
    combine: Mapping[HourMethod, Callable[[Sequence[float]], float | None]] = {
        HourMethod.MEDIAN: statistics.median,
        HourMethod.MEAN: statistics.fmean,
        HourMethod.DIRECTION: _mean_direction,
        HourMethod.POWER: statistics.fmean,
        HourMethod.COUNTER: math.fsum,
    }
    return combine[hourly](values)


def _mean_direction(degrees: Sequence[float]) -> float | None:
    east = statistics.fmean(math.sin(math.radians(d)) for d in degrees)
    north = statistics.fmean(math.cos(math.radians(d)) for d in degrees)
    if math.hypot(east, north) < 1e-6:
        return None  # they cancel out, so there is no mean direction
    return math.degrees(math.atan2(east, north)) % 360.0
