"""The farm's own samples -> hours in the store, and the frame a forecast rests on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.forecast import Source
from edge_agent.contract.schema import OBSERVED, TARGETS, TIME, TIME_DTYPE
from edge_agent.observations import sensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.config_structs import Sensor
    from edge_agent.observations.store import Store

_HOUR: Final = timedelta(hours=1)
OWN_MAX_AGE: Final = timedelta(hours=3)
"""Own sensors silent for longer give way to the relayed station."""
OWN_MIN_HOURS: Final = 18
"""Of the last 24 hours, so many must be known before a forecast rests on own sensors."""


def aggregate(store: Store, configured: Sequence[Sensor], start: datetime, end: datetime) -> int:
    """Work out the hours that end after `start` and at or before `end`; number of rows changed.

    Raises:
        StorageError: The disk refused.
    """
    first = start.replace(minute=0, second=0, microsecond=0) + _HOUR
    hours = [first + step * _HOUR for step in range(max(int((end - first) / _HOUR) + 1, 0))]
    changed = 0
    for role in sorted({sensor.role for sensor in configured}):
        columns: dict[str, list[float | None]] = {}
        mine = [sensor for sensor in configured if sensor.role == role]
        for quantity in sorted({sensor.quantity for sensor in mine}):
            series = [
                _series(store, sensor, hours) for sensor in mine if sensor.quantity == quantity
            ]
            columns[quantity] = [
                sensors.together(quantity, values) for values in zip(*series, strict=True)
            ]
        frame = pl.DataFrame(
            {TIME: hours} | columns,
            schema={TIME: TIME_DTYPE} | dict.fromkeys(columns, pl.Float64),
        )
        changed += store.put_hourly(sensors.source_of(role), frame)
    return changed


def _series(store: Store, sensor: Sensor, hours: Sequence[datetime]) -> list[float | None]:
    if not hours:
        return []
    # One hour more in front: a running total starts from the last sample before.
    samples = store.samples(sensors.key_of(sensor), hours[0] - 2 * _HOUR, hours[-1])
    values = []
    for hour in hours:
        before = [sample for sample in samples if sample.at <= hour - _HOUR]
        values.append(sensors.hour_value(sensor, samples, hour, before[-1] if before else None))
    return values


def observe(
    store: Store, station: int, now: datetime, history_hours: int
) -> tuple[pl.DataFrame, Source, str]:
    """Frame for the forecast, the rung it stands for, and the name of its source.

    The farm's own outdoor sensors come first when temperature and humidity are there for most of
    the last day; what the farm does not measure is then taken from the relayed station. A gap in
    an own series is never filled with the station's value: that would be a jump in the weather.
    """
    start = now - timedelta(hours=history_hours)
    relayed = store.hourly(f"station:{station}", start, now).select(TIME, *OBSERVED)
    name = sensors.source_of("outdoor")
    own = store.hourly(name, start, now).select(TIME, *OBSERVED)
    both = own.filter(pl.all_horizontal(pl.col(t).is_not_null() for t in TARGETS))
    recent = both.filter(pl.col(TIME) > now - 24 * _HOUR)
    if recent.height < OWN_MIN_HOURS or now - recent[TIME][-1] > OWN_MAX_AGE:
        return relayed, Source.MODEL_RELAYED, f"station:{station}"
    measured = [q for q in OBSERVED if own[q].null_count() < own.height]
    rest = [q for q in OBSERVED if q not in measured]
    frame = own.select(TIME, *measured).join(
        relayed.select(TIME, *rest), on=TIME, how="left", maintain_order="left"
    )
    return frame.select(TIME, *OBSERVED), Source.MODEL, name
