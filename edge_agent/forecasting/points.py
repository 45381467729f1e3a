"""What KMA's forecast has as single values, hour by hour: wind, rain, snow, sky. Pure.

P1  Each hour is that of the newest issue that can be read and has the hour. An older issue never
    fills what a newer one leaves out.
P2  Between hours that an issue gives every three hours, the wind is interpolated by its components,
    its speed and the chance of rain on a straight line; kinds are those of the nearer hour.
P3  Rain and snow belong to their hour: one that is not given is not known.
P4  Where the issues end nothing is known. Missing is never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract.bundles import GUIDANCE_RANGES, ISSUED, VALID
from edge_agent.contract.forecast import PointForecast, Source
from edge_agent.contract.guidance_course import AFTER_H, READABLE_AFTER_H, WIDEST_GAP_H
from edge_agent.contract.hours import hour_of
from edge_agent.contract.schema import (
    POINTS,
    QUANTITIES,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from edge_agent.forecasting.trusted_issues import GuidanceStore

_RECENT: Final = timedelta(hours=24)
_OLDEST: Final = timedelta(hours=AFTER_H)
_US_PER_H: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Issues:
    """Rows of issues, ascending by issue and valid hour.

    Attributes:
        issued: Base times in hours since 1970, shape (N,).
        valid: The hours that rows are for, the same.
        values: By quantity of `schema.POINTS`, float64 (N,); NaN = not given, or no forecast.
    """

    issued: np.ndarray
    valid: np.ndarray
    values: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, guidance: pl.DataFrame) -> Issues:
        """Issues of a frame with the columns of `bundles.GUIDANCE`."""
        issued, valid = (guidance[name].to_physical().to_numpy() for name in (ISSUED, VALID))
        values = {name: _checked(guidance, name) for name in POINTS}
        return cls(issued // _US_PER_H, valid // _US_PER_H, values)

    def without(self, issues: Collection[datetime]) -> Issues:
        """All but some issues, by their base times."""
        kept = ~np.isin(self.issued, [hour_of(at) for at in issues])
        values = {name: column[kept] for name, column in self.values.items()}
        return Issues(self.issued[kept], self.valid[kept], values)

    def points(self, hour: int, valid_at: Sequence[datetime]) -> Mapping[str, PointForecast]:
        """Values at hours, by quantity; without those of which no hour is known.

        Args:
            hour: Of the decision, since 1970.
            valid_at: Hours to give, ascending.
        """
        readable = int(np.searchsorted(self.issued, hour - READABLE_AFTER_H, side="right"))
        # The first of the reversed rows is the newest one of its hour (P1).
        given, first = np.unique(self.valid[:readable][::-1], return_index=True)
        if not len(given):
            return {}
        rows = readable - 1 - first
        wanted = np.array([hour_of(at) for at in valid_at], np.int64)
        columns = {name: values[rows] for name, values in self.values.items()}
        speed, bearing = columns[WIND_SPEED], np.radians(columns[WIND_FROM_DIRECTION])
        east = _between(given, speed * np.sin(bearing), wanted)
        north = _between(given, speed * np.cos(bearing), wanted)
        values = {
            name: _at(given, column, wanted)
            if QUANTITIES[name].sums
            else _between(given, column, wanted, nearest=QUANTITIES[name].code)
            for name, column in columns.items()
        }
        values[WIND_FROM_DIRECTION] = np.degrees(np.arctan2(east, north)) % 360.0
        return {
            name: PointForecast(QUANTITIES[name].unit, column, Source.GUIDANCE)
            for name, column in values.items()
            if np.isfinite(column).any()
        }


@dataclass
class NewestGuidance:
    """Takes the newest issues from a store, and holds them until others come.

    Args:
        store: Where they are.
    """

    store: GuidanceStore
    _held: tuple[tuple[float, ...], Issues] | None = field(init=False, default=None)

    def points(
        self, now: datetime, valid_at: Sequence[datetime], set_aside: Collection[datetime] = ()
    ) -> Mapping[str, PointForecast]:
        """Values at hours, see `Issues.points`.

        Args:
            now: Time of the decision, UTC.
            valid_at: Hours to give, ascending.
            set_aside: Base times of issues that do not count, see `trusted_issues`.

        Raises:
            StorageError: The disk refused.
        """
        mark = self.store.guidance_mark(now)
        if self._held is None or self._held[0] != mark:
            guidance = self.store.guidance(now - _RECENT, now)
            if guidance.is_empty():
                guidance = self.store.guidance(now - _OLDEST, now)
            self._held = mark, Issues.of(guidance)
        issues = self._held[1].without(set_aside) if set_aside else self._held[1]
        return issues.points(hour_of(now), valid_at)


def _checked(rows: pl.DataFrame, name: str) -> np.ndarray:
    """A column as float64; NaN where there is no value, or one that is no forecast."""
    low, high = GUIDANCE_RANGES[name]
    values = rows[name].cast(pl.Float64).to_numpy()
    return np.where((values >= low) & (values <= high), values, np.nan)


def _at(given: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    place = np.minimum(np.searchsorted(given, wanted), len(given) - 1)
    return np.where(given[place] == wanted, values[place], np.nan)


def _between(
    given: np.ndarray, values: np.ndarray, wanted: np.ndarray, *, nearest: bool = False
) -> np.ndarray:
    """Values between two known ones up to `WIDEST_GAP_H` apart, and at each."""
    known = np.isfinite(values)
    hours, values = given[known], values[known]
    if not len(hours):
        return np.full(len(wanted), np.nan)
    right = np.minimum(np.searchsorted(hours, wanted), len(hours) - 1)
    left = np.where(hours[right] == wanted, right, np.maximum(right - 1, 0))
    inside = (hours[left] <= wanted) & (wanted <= hours[right])
    inside &= hours[right] - hours[left] <= WIDEST_GAP_H
    share = (wanted - hours[left]) / np.maximum(hours[right] - hours[left], 1)
    share = np.round(share) if nearest else share
    return np.where(inside, values[left] + share * (values[right] - values[left]), np.nan)
