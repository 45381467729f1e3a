"""The farm's own samples -> hours in the store, and the sources of a forecast's input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, reduce
from operator import and_
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import quality
from edge_agent.contract.bundles import VALID
from edge_agent.contract.forecast import Source
from edge_agent.contract.hours import start_of_hour
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    DEW_POINT,
    OBSERVED,
    TARGETS,
    TIME,
    TIME_DTYPE,
)
from edge_agent.contract.stations import stations
from edge_agent.observations import bundles, sensors, source_gap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_agent.observations.store import Store
    from edge_agent.settings import Device, Sensor

_HOUR: Final = timedelta(hours=1)
GUIDANCE: Final = "guidance:village"
"""KMA's forecast as a source."""
MAX_SILENCE: Final = timedelta(hours=3)
"""A source without newer hours than this is not used."""
MIN_HOURS: Final = 18
"""A source needs so many of the last 24 hours before a forecast uses it."""


def aggregate(
    store: Store,
    configured: Sequence[Sensor],
    start: datetime,
    end: datetime,
    *,
    sure: bool = True,
) -> int:
    """Compute the hours that end after `start` and at or before `end`; returns rows changed.

    Args:
        store: Samples, and where the hours go.
        configured: The sensors of the configuration.
        start: UTC.
        end: UTC.
        sure: The clock is surely right; else no hour of a source is changed while there are later
            ones than `end`.

    Raises:
        StorageError: The disk refused.
    """
    first = start_of_hour(start) + _HOUR
    hours = [first + step * _HOUR for step in range(max(int((end - first) / _HOUR) + 1, 0))]
    changed = 0
    for role in sorted({sensor.role for sensor in configured}):
        columns: dict[str, list[float | None]] = {}
        of_role = [sensor for sensor in configured if sensor.role == role]
        for quantity in sorted({sensor.quantity for sensor in of_role}):
            series = [
                _series(store, sensor, hours) for sensor in of_role if sensor.quantity == quantity
            ]
            columns[quantity] = [
                sensors.together(quantity, values) for values in zip(*series, strict=True)
            ]
        frame = pl.DataFrame(
            {TIME: hours} | columns,
            schema={TIME: TIME_DTYPE} | dict.fromkeys(columns, pl.Float64),
        )
        source = sensors.source_of(role)
        newest = None if sure else store.newest(source)
        behind = newest is not None and newest > end
        changed += store.put_hourly(source, frame, replace=not behind)
    return changed


def _series(store: Store, sensor: Sensor, hours: Sequence[datetime]) -> list[float | None]:
    if not hours:
        return []
    samples = store.samples(sensors.key_of(sensor), hours[0] - sensors.BEFORE, hours[-1])
    amounts = sensors.amounts(sensor, samples)
    return [sensors.hour_value(sensor, amounts, hour) for hour in hours]


@dataclass(frozen=True, slots=True)
class Choice:
    """Sources of a forecast's input: one for all, and others for what it does not measure.

    Attributes:
        source: Name in the store.
        rung: `source` of a forecast made on it.
        substitutes: Pairs of a quantity and the source that it is taken from instead.
        warmer_c: To add to its air temperature and dew point, for the farm's height.
    """

    source: str
    rung: Source
    substitutes: tuple[tuple[str, str], ...]
    warmer_c: float = 0.0


def names(device: Device) -> tuple[str, ...]:
    """Sources that a farm's forecast may use, the better first."""
    return (sensors.source_of("outdoor"), *bundles.sources(device))


def choose(
    frames: Mapping[str, pl.DataFrame],
    now: datetime,
    known: Mapping[str, pl.Series] | None = None,
) -> Choice:
    """Sources for a forecast.

    O1  The first steady one of: the farm's own outdoor sensors, the relayed station, the nowcasts
        of the farm's grid cell. Steady: it has temperature and humidity for most of the last day,
        and last had them within `MAX_SILENCE`. A value that fails `quality.clean` is not there.
    O2  Where none is steady, the relayed source with the newest hour.
    O3  A quantity that it does not have at all is taken from the best relayed source that has it.
        A gap in a series is never filled from another source: that would be a jump.

    Args:
        frames: Hours of the lookback by source, in the order of `names`.
        now: Time of the decision, UTC.
        known: `known_hours` of each, where they are at hand.
    """
    own, *relayed = frames

    # Mostly the first is steady, and the quality control of a source takes milliseconds.
    @cache
    def times(name: str) -> pl.Series:
        return known[name] if known else known_hours(frames[name])

    steady = (name for name in frames if _steady(times(name), now))
    source = next(steady, "") or max(relayed, key=lambda name: _newest(times(name)))
    substitutes: list[tuple[str, str]] = []
    for quantity in OBSERVED:
        if not knows(frames[source], quantity):
            others = (o for o in relayed if o != source and knows(frames[o], quantity))
            substitutes.extend((quantity, other) for other in list(others)[:1])
    rung = Source.MODEL if source == own else Source.MODEL_RELAYED
    return Choice(source, rung, tuple(substitutes))


def choose_relayed(
    frames: Mapping[str, pl.DataFrame],
    now: datetime,
    warmer: Mapping[str, float],
    known: Mapping[str, pl.Series] | None = None,
) -> Choice:
    """Sources for a forecast that the farm's own sensors have no part in: O1 to O3 without them.

    Args:
        frames: Hours of the lookback by source, in the order of `names`.
        now: Time of the decision, UTC.
        warmer: See `source_gap.heights`.
        known: See `choose`.
    """
    own = next(iter(frames))
    choice = choose(
        {**frames, own: frames[own].clear()}, now, known and {**known, own: known[own].clear()}
    )
    return replace(choice, warmer_c=warmer.get(choice.source, 0.0))


def join(frames: Mapping[str, pl.DataFrame], choice: Choice) -> pl.DataFrame:
    """Hours of the chosen source, with the substitutes: `time` and `schema.OBSERVED`."""
    frame = frames[choice.source]
    for quantity, other in choice.substitutes:
        frame = frame.drop(quantity).join(
            frames[other].select(TIME, quantity), on=TIME, how="left", maintain_order="left"
        )
    if choice.warmer_c:
        frame = frame.with_columns(pl.col(AIR_TEMPERATURE, DEW_POINT) + choice.warmer_c)
    return frame[[TIME, *OBSERVED]]


def observe(
    store: Store, device: Device, now: datetime, history_hours: int
) -> tuple[pl.DataFrame, Source, str]:
    """Raw hours up to `now` for a forecast, its rung, and their source: see `choose`.

    Raises:
        StorageError: The disk refused.
    """
    frames = believed_hours(store, device, now, history_hours)
    choice = choose(frames, now)
    return join(frames, choice), choice.rung, choice.source


def hours(
    store: Store, device: Device, now: datetime, history_hours: int
) -> dict[str, pl.DataFrame]:
    """Raw hours up to `now` of every source that a forecast may use, in the order of `names`.

    Raises:
        StorageError: The disk refused.
    """
    start = now - timedelta(hours=history_hours)
    return {name: store.hourly(name, start, now) for name in names(device)}


def believed_hours(
    store: Store, device: Device, now: datetime, history_hours: int
) -> dict[str, pl.DataFrame]:
    """The same, without values of own sensors that contradict all others: see `believed`.

    Raises:
        StorageError: The disk refused.
    """
    start = now - timedelta(hours=history_hours)
    frames = hours(store, device, now, history_hours)
    return believed(frames, lambda: store.guidance(start, now), device)


def believed(
    frames: Mapping[str, pl.DataFrame], guidance: Callable[[], pl.DataFrame], device: Device
) -> dict[str, pl.DataFrame]:
    """Hours by source, without values of own sensors that `source_gap.believed` refuses.

    Args:
        frames: Raw hours by source, in the order of `names`.
        guidance: Gives KMA's forecasts, see `guided_hours`; called only where they are needed.
        device: Where the farm is.
    """
    own, *relayed = frames
    others = {name: frames[name] for name in relayed}
    sites = {str(number): station.site for number, station in stations().items()}
    warmer = source_gap.heights(device, sites)
    trusted = source_gap.believed(frames[own], others, lambda: guided_hours(guidance()), warmer)
    return {**frames, own: trusted}


def guided_hours(guidance: pl.DataFrame) -> pl.DataFrame:
    """KMA's newest forecast of each hour, as hours of a source.

    Args:
        guidance: Columns of `contract.bundles.GUIDANCE`, ascending by issue.
    """
    newest = guidance.unique(VALID, keep="last", maintain_order=True)
    return newest.select(pl.col(VALID).alias(TIME), *TARGETS)


def knows(frame: pl.DataFrame, quantity: str) -> bool:
    """Whether any hour has the quantity."""
    return frame[quantity].null_count() < frame.height


def known_hours(frame: pl.DataFrame) -> pl.Series:
    """Hours, ascending, that have every target after quality control.

    Args:
        frame: Raw hours; what is within the first `quality.LOOKBACK_HOURS` may pass wrongly.
    """
    if not frame.height:
        return frame[TIME]
    checked = quality.clean(frame.select(TIME, *TARGETS))
    return checked[TIME].filter(reduce(and_, [checked[name].is_not_null() for name in TARGETS]))


def _steady(times: pl.Series, now: datetime) -> bool:
    return (
        len(times) >= MIN_HOURS
        and times[-MIN_HOURS] > now - 24 * _HOUR
        and now - times[-1] <= MAX_SILENCE
    )


def _newest(times: pl.Series) -> datetime:
    return times[-1] if len(times) else datetime.min.replace(tzinfo=UTC)
