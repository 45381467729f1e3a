"""MQTT payloads of the farm's sensors -> samples -> hours. Pure.

S1  A payload that is no number, or not plausible for its quantity, is refused with a reason:
    a wrong value is worse than none.
S2  Time is the event's own where the payload has it, else the arrival. A time more than
    five minutes ahead of the arrival, or older than three days, is refused.
S3  One sample a minute and sensor, the latest of that minute: order and repetition of
    messages change nothing, and memory is bounded.
S4  As at a KMA station, the value of an hour is the state at the full hour. It is the median of
    the ten minutes before it, which an outlier does not move, else the newest reading of the
    hour that is not older than the sensor's `max_age_s`.
    Wind is the mean of those minutes, directions as vectors.
S5  Rain and radiation are sums, and need the whole hour: there is a value when no gap within it
    is longer than `max_age_s`. Rain is a running total: the hour is the sum of its rises, and a
    fall is a reset to zero. Radiation is the mean of the hour's power.
S6  The value now is the median of the newest three readings, as far as they came within five
    minutes: one outlier raises no alert.
S7  Several sensors of one quantity and role: their median (of directions the first).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData
from edge_agent.observations import codecs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

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
_SUMS: Final = frozenset({schema.RAIN, schema.SOLAR})


@dataclass(frozen=True, slots=True)
class Sample:
    """One value in the schema's unit, and when it was measured."""

    at: datetime
    value: float


def key_of(sensor: Sensor) -> str:
    """Name of a sensor in the store."""
    return f"{sensor.topic}|{sensor.field}|{sensor.quantity}"


def source_of(role: str) -> str:
    """Name of the source that the sensors of a role form."""
    return f"sensor:{role}"


def read(sensor: Sensor, payload: bytes, received_at: datetime) -> list[Sample]:
    """Samples from one message (S1, S2): all of them, or an error.

    Raises:
        BadData: No usable number, or no usable time; the text says which.
    """
    if len(payload) > MAX_BYTES:
        raise BadData(f"{sensor.topic}: {len(payload)} bytes, more than {MAX_BYTES}")
    return [_sample(sensor, reading, received_at) for reading in codecs.decode(payload, sensor)]


def _sample(sensor: Sensor, reading: Reading, received_at: datetime) -> Sample:
    limits = schema.MEASURED[sensor.quantity]
    value = limits.convert(reading.value, sensor.unit)
    low, high = limits.low, limits.high
    if sensor.quantity == schema.RAIN:
        high = 100_000.0  # a running total, see S5
    if not low <= value <= high:
        raise BadData(
            f"{sensor.topic}: {sensor.quantity} = {value:g} is outside {low:g} to {high:g}"
        )
    at = reading.at or received_at
    if not received_at - BEHIND <= at <= received_at + AHEAD:
        raise BadData(f"{sensor.topic}: its time {at:%Y-%m-%dT%H:%M:%SZ} is not near the arrival")
    return Sample(at, value)


def hour_value(
    sensor: Sensor, samples: Sequence[Sample], hour: datetime, before: Sample | None = None
) -> float | None:
    """Value for the full hour `hour`; None where the sensor was silent too long (S4, S5).

    Args:
        sensor: Which sensor.
        samples: Its samples, any order; those outside the hour are left out.
        hour: End of the hour.
        before: Last sample before the hour, if any: a running total starts from it.
    """
    start = hour - _HOUR
    inside = sorted((s for s in samples if start < s.at <= hour), key=lambda s: s.at)
    if not inside:
        return None
    limit = timedelta(seconds=sensor.max_age_s)
    if sensor.quantity in _SUMS:
        times = [start, *(sample.at for sample in inside), hour]
        covered = max(later - earlier for earlier, later in pairwise(times)) <= limit
        return _sum(sensor.quantity, inside, before) if covered else None
    if hour - inside[-1].at > limit:
        return None
    return _state(
        sensor.quantity, [s.value for s in inside if s.at > hour - SPAN] or [inside[-1].value]
    )


def settled(quantity: str, samples: Sequence[Sample]) -> Sample | None:
    """The value now, at the time of the newest sample; None without samples (S6)."""
    if not samples:
        return None
    *others, newest = sorted(samples, key=lambda s: s.at)[-3:]
    if quantity == schema.WIND_FROM_DIRECTION:
        return newest
    recent = [sample.value for sample in others if sample.at > newest.at - RECENT]
    return Sample(newest.at, statistics.median([*recent, newest.value]))


def together(quantity: str, values: Sequence[float | None]) -> float | None:
    """One value from several sensors of one quantity and role (S7)."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    return present[0] if quantity == schema.WIND_FROM_DIRECTION else statistics.median(present)


def _sum(quantity: str, samples: Sequence[Sample], before: Sample | None) -> float:
    values = [sample.value for sample in samples]
    if quantity == schema.SOLAR:
        return statistics.fmean(values)
    return _rises([before.value, *values] if before is not None else values)


def _state(quantity: str, values: Sequence[float]) -> float | None:
    if quantity == schema.WIND_FROM_DIRECTION:
        return _mean_direction(values)
    mean = statistics.fmean if quantity == schema.WIND_SPEED else statistics.median
    return mean(values)


def _rises(totals: Sequence[float]) -> float:
    steps = pairwise(totals)
    return sum(later - earlier if later >= earlier else later for earlier, later in steps)


def _mean_direction(degrees: Sequence[float]) -> float | None:
    east = statistics.fmean(math.sin(math.radians(d)) for d in degrees)
    north = statistics.fmean(math.cos(math.radians(d)) for d in degrees)
    if math.hypot(east, north) < 1e-6:
        return None  # they cancel out, so there is no mean direction
    return math.degrees(math.atan2(east, north)) % 360.0
