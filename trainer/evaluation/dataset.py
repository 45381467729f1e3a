"""Observations -> what is learned from: feature tables, truth, pairs of origin and lead. Pure.

The split is chronological. Normals, calibration and every fitted number see training hours only;
a training target ends at least `embargo_hours` before the first holdout origin, so that no rolling
window and no target reaches across.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, gcd
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from edge_agent.contract import climatology, features
from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import LEADS, OPTIONAL_TARGETS, TARGETS, TIME, Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WARM_UP_HOURS = features.LOOKBACK_HOURS
"""First hours of a record, in which windows are not full; no origin lies there."""
HOURS_OF_YEAR = 365 * 24

LEAST_TRAINED = HOURS_OF_YEAR
"""Hours that a record must have before its holdout: one of each season."""
USUAL_HOURS = 2 * HOURS_OF_YEAR
"""Two winters and two summers; what is trained on a shorter record says so."""
JUDGED_DAYS = 180
"""Days that a holdout must have to be judged by."""
SCORED_HOURS = 30 * 24
"""Holdout of a short record that is too short to be judged by: for scores alone."""


@dataclass(frozen=True, slots=True)
class Split:
    """Borders in time; training uses targets before `train_end`, scoring origins from `holdout`."""

    first: datetime
    train_end: datetime
    holdout: datetime
    last: datetime


class Source(Protocol):
    """A place that is made ready on demand, to the same each time; its extent is known before."""

    @property
    def number(self) -> int:
        """KMA number of a station, another one of a farm; places take turns by it."""

    @property
    def place(self) -> features.Place:
        """Coordinates and normals."""

    @property
    def first(self) -> datetime:
        """First observed hour, UTC."""

    @property
    def hours(self) -> int:
        """Number of hours from the first to the last observed one."""

    def load(self) -> StationSeries:
        """The station, ready for gathering."""


@dataclass(frozen=True, slots=True)
class StationSeries:
    """One station, ready for gathering; a `Source` of itself.

    Attributes:
        number: See `Source`.
        place: Coordinates and normals.
        frame: Clean hourly observations.
        table: `features.compute(frame, place)`.
        truth: Per target, optional ones too, observed values by row of `table`; NaN = none.
        lent: Whether its normals are another place's, and none of its hours is in them.
    """

    number: int
    place: features.Place
    frame: pl.DataFrame
    table: pl.DataFrame
    truth: Mapping[str, np.ndarray]
    lent: bool = False

    @property
    def first(self) -> datetime:
        """First observed hour, UTC."""
        first: datetime = self.frame[TIME][0]
        return first

    @property
    def hours(self) -> int:
        """Number of hours from the first to the last observed one."""
        return self.frame.height

    def load(self) -> StationSeries:
        """Itself."""
        return self


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of origin and lead: index into the series, row of the origin, hours ahead; all (N,)."""

    series: np.ndarray
    origins: np.ndarray
    leads: np.ndarray

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.origins)

    def take(self, keep: np.ndarray) -> Pairs:
        """The pairs selected by a mask or by positions."""
        return Pairs(self.series[keep], self.origins[keep], self.leads[keep])

    def alone(self, index: int) -> Pairs:
        """The pairs of one series, counted as the only one."""
        here = self.take(self.series == index)
        return Pairs(np.zeros_like(here.series), here.origins, here.leads)


def split(first: datetime, last: datetime, holdout_share: float, embargo_hours: int) -> Split:
    """Chronological split of a record from `first` to `last`.

    The holdout is a year at least, so that the gate sees each season, as long as `USUAL_HOURS`
    stay for training; a shorter record gives up what it can, and never less than its share. Below
    `USUAL_HOURS` a share of less than `JUDGED_DAYS` decides nothing: it is `SCORED_HOURS` then.

    Raises:
        BadData: Fewer than `LEAST_TRAINED` hours would stay for training.
    """
    hours = int((last - first) / timedelta(hours=1)) + 1
    year = min(HOURS_OF_YEAR, hours - USUAL_HOURS - embargo_hours)
    before = min(int(hours * (1.0 - holdout_share)), hours - year)
    if hours < USUAL_HOURS and hours - before < JUDGED_DAYS * 24:
        before = max(before, hours - SCORED_HOURS)
    lacking = LEAST_TRAINED + embargo_hours - before
    if lacking > 0:
        raise BadData(
            f"observations of {hours // 24} days are too few to train on: {lacking // 24 + 1} more "
            f"are needed, so that {LEAST_TRAINED // 24} come before the holdout of "
            f"{(hours - before) // 24} days (holdout_share in trainer.toml); ingest or import more"
        )
    holdout = first + timedelta(hours=before)
    return Split(first, holdout - timedelta(hours=embargo_hours), holdout, last)


def fit_normals(frame: pl.DataFrame, train_end: datetime) -> dict[str, tuple[float, ...]]:
    """Harmonic normals of each target from hours before `train_end`; checked here.

    Raises:
        BadData: Too few values.
    """
    return _normals(clean(frame.filter(pl.col(TIME) < train_end)))


def without(series: StationSeries, first: datetime, last: datetime, end: datetime) -> StationSeries:
    """The station as it would be known had its hours from `first` to `last` never been seen.

    Its normals are fitted anew on the other hours before `end`; where these are fewer than a year,
    or hardly hold a target, or the normals are lent, the series is returned as it is.
    """
    time = pl.col(TIME)
    others = series.frame.filter((time < end) & ~time.is_between(first, last))
    values = min(others[target].count() for target in TARGETS)
    if series.lent or others.height < HOURS_OF_YEAR or values < climatology.COEFFICIENTS:
        return series
    place = features.Place(series.place.site, _normals(others))
    return replace(series, place=place, table=features.compute(series.frame, place))


def _normals(frame: pl.DataFrame) -> dict[str, tuple[float, ...]]:
    day = frame[TIME].dt.ordinal_day().to_numpy().astype(np.float64)
    hour = frame[TIME].dt.hour().to_numpy().astype(np.float64)
    normals = {}
    for target in TARGETS:
        try:
            normals[target] = climatology.fit(day, hour, frame[target].to_numpy())
        except ValueError as fault:
            raise BadData(f"{target}: {fault}") from fault
    return normals


def prepare(
    number: int,
    frame: pl.DataFrame,
    site: Site,
    normals: Mapping[str, tuple[float, ...]],
    *,
    lent: bool = False,
) -> StationSeries:
    """Feature table and truth of one place; `frame` is cleaned here. See `StationSeries`."""
    cleaned = clean(frame)
    place = features.Place(site, dict(normals))
    table = features.compute(cleaned, place)
    ahead = np.full(max(LEADS), np.nan)
    truth = {
        target: np.concatenate([cleaned[target].to_numpy().astype(np.float64), ahead])
        for target in (*TARGETS, *OPTIONAL_TARGETS)
    }
    return StationSeries(number, place, cleaned, table, truth, lent)


def row_of(source: Source, time: datetime) -> int:
    """Row of `time` in the table; may lie outside of it."""
    return int((time - source.first) / timedelta(hours=1))


def stride(pairs: int, most: int) -> int:
    """Step between origins that keeps to `most` pairs and still meets every hour of the day."""
    step = max(1, ceil(pairs / most))
    while gcd(step, 24) != 1:
        step += 1
    return step


def training_pairs(all_series: Sequence[Source], end: datetime, limit: int, seed: int) -> Pairs:
    """At most `limit` pairs whose target lies before `end`, drawn evenly and reproducibly."""
    stops = [min(row_of(series, end), series.hours) for series in all_series]
    borders = np.cumsum([0, *(max(0, stop - WARM_UP_HOURS) * len(LEADS) for stop in stops)])
    total = int(borders[-1])
    if total > limit:
        random = np.random.default_rng(seed)
        chosen = np.sort(random.choice(total, limit, replace=False, shuffle=False))
    else:
        chosen = np.arange(total)
    index = np.searchsorted(borders, chosen, side="right") - 1
    offset = chosen - borders[index]
    origins = WARM_UP_HOURS + offset // len(LEADS)
    leads = np.array(LEADS)[offset % len(LEADS)]
    return Pairs(index, origins, leads).take(origins + leads < np.array(stops)[index])


def scoring_pairs(
    all_series: Sequence[Source],
    start: datetime,
    end: datetime,
    leads: Iterable[int],
    every: int = 1,
) -> Pairs:
    """Origins from `start` whose longest target is not after `end`, at each of `leads`.

    Args:
        all_series: Stations.
        start: First origin.
        end: Last target.
        leads: Hours ahead.
        every: Only every so many-th origin; stations take turns.
    """
    ahead = np.array(sorted(leads))
    parts = []
    for index, series in enumerate(all_series):
        first = max(row_of(series, start), WARM_UP_HOURS)
        stop = min(row_of(series, end), series.hours - 1) - int(ahead.max()) + 1
        starts = np.arange(first, max(first, stop))
        starts = starts[(starts + series.number) % every == 0]
        origins = np.repeat(starts, len(ahead))
        parts.append(
            (np.full(len(origins), index), origins, np.tile(ahead, len(origins) // len(ahead)))
        )
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def gather(all_series: Sequence[StationSeries], pairs: Pairs) -> np.ndarray:
    """Model input of the pairs: float32 (N, len(FEATURES)), NaN = missing."""
    out = np.empty((len(pairs), len(NAMES)), np.float32)
    for index, series in enumerate(all_series):
        rows = np.flatnonzero(pairs.series == index)
        if len(rows):
            out[rows] = features.matrix(series.table, pairs.origins[rows], pairs.leads[rows])
    return out


def truth(all_series: Sequence[StationSeries], pairs: Pairs, target: str) -> np.ndarray:
    """Observed value at the target hour of each pair: float64 (N,), NaN = none."""
    out = np.full(len(pairs), np.nan)
    for index, series in enumerate(all_series):
        rows = np.flatnonzero(pairs.series == index)
        out[rows] = series.truth[target][pairs.origins[rows] + pairs.leads[rows]]
    return out


def times(all_series: Sequence[StationSeries], pairs: Pairs) -> pl.Series:
    """Target hour of each pair, UTC."""
    out = np.empty(len(pairs), "datetime64[us]")
    for index, series in enumerate(all_series):
        rows = np.flatnonzero(pairs.series == index)
        hours = series.table[TIME].dt.replace_time_zone(None).to_numpy()
        out[rows] = hours[pairs.origins[rows] + pairs.leads[rows]]
    return pl.Series(out).dt.replace_time_zone("UTC")
