"""The farm's own outdoor sensors against station, cell and KMA's forecast. Pure.

Every limit is a share of the quantity's `neighbour_limit` in `contract.schema`. The figures are of
pairs of ASOS stations 32 and 40 km apart (108 and 112, 156 and 252, 2018 to 2020), their
temperature compared at one height.

G1  A gap is lasting when the median difference of the last 6 common hours is beyond the limit
    (8.0 C, 45 %), or that of the last 24 beyond three quarters of it (6.0 C, 34 %). Between the
    stations this is so in 0.1 % of hours, and from the coast to the plain in 0.3 to 0.5 %. A newest
    hour that G5 refuses is a gap at once.
G2  A sensor is stuck when it had one value for 8 hours in which the other source moved by half of
    the limit (4.0 C: never between the stations, in 0.1 % of hours where they are rounded to whole
    degrees). A humidity of 100 % may stay.
G3  Where a source agrees with the sensor, the place explains the difference to the others: nothing
    is told. No difference of the past is learned, so none can be taught slowly.
G4  Own sensors and a source agree for rules where no common hour of the last 24 differs by more
    than a third of the limit (2.7 C, 15 %).
G5  A value of an own sensor is refused where a relayed source knows the hour, and all sources that
    do are further away than twice the limit (16 C, 90 %). Six stations up to 325 km apart, 2015 to
    2020, never were, at one height: 14.9 C and 81 % at most. KMA's forecast alone refuses nothing:
    an issue may be wrong, and own values are what tells it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract.climatology import LAPSE_C_PER_M
from edge_agent.contract.numbers import fixed
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    QUANTITIES,
    TARGETS,
    TIME,
    neighbour_limit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_agent.contract.manifest import SiteNormals
    from edge_agent.contract.schema import Site
    from edge_agent.settings import Device

REFUSED_SHARE: Final = 2.0
WINDOWS: Final = ((1, REFUSED_SHARE), (6, 1.0), (24, 0.75))
"""Hours, and the share of the limit that the median of their differences may reach."""
STUCK_H: Final = 8
STUCK_SHARE: Final = 0.5
AGREE_SHARE: Final = 1 / 3
KNOWN_SHARE: Final = 0.75
"""Of the hours of a window so many must be known."""
MAX_AGE: Final = timedelta(hours=12)
"""With an older newest common hour nothing is compared."""
RECENT_H: Final = 48
"""Hours that decide whether there is a gap."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A lasting difference between the farm's own outdoor sensors and another source.

    Attributes:
        quantity: What is measured.
        source: The other source.
        hour: Newest common hour.
        own: Of the sensors at that hour.
        other: Of the source, as it gives it.
        median: Of the differences, own less other at the farm's height; None where the sensor is
            stuck and not far away.
        since: First hour of the difference, or of the value that stays.
        whole: The difference was there at the first common hour that was looked at.
    """

    quantity: str
    source: str
    hour: datetime
    own: float
    other: float
    median: float | None
    since: datetime
    whole: bool

    @property
    def text(self) -> str:
        """One line for people and logs."""
        quantity = QUANTITIES[self.quantity]
        own, other, apart = (
            f"{fixed(value, quantity.digits)}{quantity.unit}"
            for value in (self.own, self.other, abs(self.median or 0.0))
        )
        since = f"since {self.since:%Y-%m-%d %H:%M} UTC{' or earlier' if self.whole else ''}"
        head = f"own {quantity.en.text} is {own}, {self.source} {other} ({self.hour:%H:%M} UTC)"
        if self.median is None:
            return f"{head}: the same {since}"
        return f"{head}: {apart} apart {since}"


def heights(device: Device, sites: Mapping[str, SiteNormals | Site]) -> dict[str, float]:
    """Degrees to add to a source's air temperature for the farm's height; others are left out.

    Args:
        device: Where the farm is.
        sites: Stations by number.
    """
    return {
        f"station:{number}": LAPSE_C_PER_M * (site.elevation_m - device.elevation_m)
        for number, site in sites.items()
    }


def find(
    own: pl.DataFrame,
    others: Mapping[str, pl.DataFrame],
    warmer: Mapping[str, float],
    now: datetime,
) -> tuple[Gap, ...]:
    """Lasting gaps, at most one a quantity (G1 to G3).

    Args:
        own: Hours of the farm's own outdoor sensors.
        others: Hours of other sources, the better first.
        warmer: See `heights`.
        now: UTC.
    """
    gaps = []
    for quantity in TARGETS:
        compared = [
            _Pairs.of(quantity, own, frame, warmer.get(source, 0.0)).compare(source)
            for source, frame in others.items()
            if frame.height
        ]
        current = [gap for newest, gap in compared if newest is not None and newest > now - MAX_AGE]
        told = [gap for gap in current if gap is not None]
        if told and len(told) == len(current):
            gaps.append(told[0])
    return tuple(gaps)


def believed(
    own: pl.DataFrame,
    relayed: Mapping[str, pl.DataFrame],
    guided: Callable[[], pl.DataFrame],
    warmer: Mapping[str, float],
) -> pl.DataFrame:
    """The hours of the farm's own outdoor sensors; a value that G5 refuses is null.

    Args:
        own: Raw hours.
        relayed: Raw hours of relayed sources; a value out of its range says nothing.
        guided: Gives KMA's forecast of these hours. Reading it takes longer than all else here, so
            it is called only where relayed sources refuse a value.
        warmer: See `heights`.
    """
    far = {name: _far_from_all(name, own, relayed, warmer) for name in TARGETS}
    if not any(hours.any() for hours in far.values()):
        return own
    forecast = guided()
    columns = []
    for name, hours in far.items():
        near = _distance(name, own, forecast) <= REFUSED_SHARE * neighbour_limit(name)
        values = np.where(hours & ~near, np.nan, own[name].to_numpy())
        columns.append(pl.Series(name, values, nan_to_null=True))
    return own.with_columns(columns)


def agree(quantity: str, own: pl.DataFrame, other: pl.DataFrame, warmer: float) -> bool:
    """Whether two sources agree on every common hour of the last 24 (G4).

    Args:
        quantity: One of `schema.TARGETS`.
        own: Hours of the farm's own outdoor sensors.
        other: Hours of another source.
        warmer: See `heights`.
    """
    pairs = _Pairs.of(quantity, own, other, warmer).last(24)
    return bool((np.abs(pairs.difference) <= AGREE_SHARE * pairs.limit).all())


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Values of one quantity at the hours that both sources know, ascending."""

    quantity: str
    times: np.ndarray
    own: np.ndarray
    other: np.ndarray
    warmer: float

    @classmethod
    def of(cls, quantity: str, own: pl.DataFrame, other: pl.DataFrame, warmer: float) -> _Pairs:
        (own_times, mine), (other_times, theirs) = (_known(f, quantity) for f in (own, other))
        times, here, there = np.intersect1d(own_times, other_times, return_indices=True)
        height = warmer if quantity == AIR_TEMPERATURE else 0.0
        return cls(quantity, times, mine[here], theirs[there], height)

    @property
    def limit(self) -> float:
        return neighbour_limit(self.quantity)

    @property
    def difference(self) -> np.ndarray:
        difference: np.ndarray = self.own - self.other - self.warmer
        return difference

    def last(self, hours: int) -> _Pairs:
        """Those of so many hours up to the newest."""
        rows = self.times > self.times[-1:] - np.timedelta64(hours, "h")
        return _Pairs(
            self.quantity, self.times[rows], self.own[rows], self.other[rows], self.warmer
        )

    def compare(self, source: str) -> tuple[datetime | None, Gap | None]:
        """The newest hour, None where too few are known; and the gap, None where there is none."""
        if len(self.last(6).times) < KNOWN_SHARE * 6:
            return None, None
        for hours, share in WINDOWS:
            recent = self.last(hours)
            median = float(np.median(recent.difference))
            if len(recent.times) >= KNOWN_SHARE * hours and abs(median) > share * self.limit:
                near = np.abs(self.difference) <= STUCK_SHARE * self.limit
                # One hour that is near by chance ends no gap, three in a row do.
                near[2:] &= near[1:-1] & near[:-2]
                return self._newest, self._gap(source, near, median)
        moved = np.ptp(self.last(STUCK_H).other) >= STUCK_SHARE * self.limit
        if self._stays() and moved:
            return self._newest, self._gap(source, self.own != self.own[-1], None)
        return self._newest, None

    @property
    def _newest(self) -> datetime:
        return _aware(self.times[-1])

    def _stays(self) -> bool:
        recent = self.last(STUCK_H)
        low, high = QUANTITIES[self.quantity].bounds
        return (
            len(recent.times) >= KNOWN_SHARE * STUCK_H
            and bool((recent.own == recent.own[-1]).all())
            and low < recent.own[-1] < high
        )

    def _gap(self, source: str, before: np.ndarray, median: float | None) -> Gap:
        """The gap; `before` marks the hours at which it was not there yet."""
        earlier = np.flatnonzero(before)
        first = int(earlier[-1]) + 1 if len(earlier) else 0
        first = min(first, len(self.times) - 1)
        return Gap(
            quantity=self.quantity,
            source=source,
            hour=self._newest,
            own=float(self.own[-1]),
            other=float(self.other[-1]),
            median=median,
            since=_aware(self.times[first]),
            whole=not len(earlier),
        )


def _known(frame: pl.DataFrame, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Hours at which a source has the quantity, and its values."""
    times, values = frame[TIME].to_numpy(), frame[quantity].to_numpy()
    known = np.isfinite(values)
    return times[known], values[known]


def _far_from_all(
    name: str, own: pl.DataFrame, relayed: Mapping[str, pl.DataFrame], warmer: Mapping[str, float]
) -> np.ndarray:
    """Whether a relayed source knows the hour of each own value, and none is near (G5)."""
    nearest = np.full(own.height, np.nan)
    for source, frame in relayed.items():
        height = warmer.get(source, 0.0) if name == AIR_TEMPERATURE else 0.0
        nearest = np.fmin(nearest, _distance(name, own, frame, height))
    return np.asarray(nearest > REFUSED_SHARE * neighbour_limit(name))


def _distance(name: str, own: pl.DataFrame, other: pl.DataFrame, warmer: float = 0.0) -> np.ndarray:
    """Of each own value to that of another source; NaN where one of them is not known."""
    distance = np.full(own.height, np.nan)
    times, values = _known(other, name)
    plausible = (values >= QUANTITIES[name].low) & (values <= QUANTITIES[name].high)
    times, values = times[plausible], values[plausible]
    _, here, there = np.intersect1d(own[TIME].to_numpy(), times, return_indices=True)
    distance[here] = np.abs(own[name].to_numpy()[here] - values[there] - warmer)
    return distance


def _aware(time: np.datetime64) -> datetime:
    naive: datetime = time.astype("datetime64[us]").item()
    return naive.replace(tzinfo=UTC)
