"""KMA's village forecast as it could be read at each issue, hour by hour. Pure.

An issue has values every hour (every three hours until 2021, and today far ahead) and begins some
hours after its base time. Between an issue's own values temperature follows a cubic through four of
them (Catmull-Rom), everything else a straight line; wind is interpolated by its components.
Humidity through the dew point was no better (Busan, 2018 and 2019). Only then is an hour that the
issue does not reach taken from the newest older issue that does, so no course runs to and fro
between two issues. Sums (rain, snow) belong to their period and are not interpolated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RAIN_CHANCE,
    RELATIVE_HUMIDITY,
    SKY,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

READABLE_AFTER_H: Final = 1
"""Full hours from an issue's base time until a decision of a full hour can have read it.

KMA publishes some ten minutes after the base time.
"""
BEFORE_H: Final = 30
"""Hours before an issue that are kept with it, from older issues."""
AFTER_H: Final = 90
"""Hours after an issue that are kept with it."""
WIDEST_GAP_H: Final = 6
"""Most hours between two values that are interpolated."""
WIND_EAST: Final = "wind_east_ms"
WIND_NORTH: Final = "wind_north_ms"
INTERPOLATED: Final = (
    AIR_TEMPERATURE,
    RELATIVE_HUMIDITY,
    WIND_SPEED,
    WIND_EAST,
    WIND_NORTH,
    SKY,
    RAIN_CHANCE,
)
"""What the course has."""
SPAN_H: Final = BEFORE_H + AFTER_H
"""Hours of an issue's course."""
_SPAN: Final = SPAN_H + 1
_US_PER_H: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class GuidanceCourse:
    """Values by issue and hour.

    Attributes:
        issues: Base times in hours since 1970, ascending, shape (N,).
        values: By name, float64 (N, `BEFORE_H` + 1 + `AFTER_H`): hours from `BEFORE_H` before the
            issue to `AFTER_H` after it; NaN = not forecast.
    """

    issues: np.ndarray
    values: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, guidance: pl.DataFrame) -> GuidanceCourse:
        """Course of one cell.

        Args:
            guidance: Columns of `bundles.GUIDANCE` that there are; one row for each issue and
                valid hour, in any order. A column that is missing is NaN everywhere.
        """
        issued, valid = (guidance[name].to_physical().to_numpy() for name in (ISSUED, VALID))
        issues, row = np.unique(issued // _US_PER_H, return_inverse=True)
        column = valid // _US_PER_H - issued // _US_PER_H + BEFORE_H
        inside = (column >= 0) & (column < _SPAN)
        values = {}
        for name, numbers in _columns(guidance).items():
            table = np.full((len(issues), _SPAN), np.nan)
            table[row[inside], column[inside]] = numbers[inside]
            curved = name == AIR_TEMPERATURE
            own = _between(table, curved=curved)
            values[name] = _between(_completed(issues, own), curved=curved)
        return cls(issues, values)

    def renewed(self, newer: GuidanceCourse, first: int, oldest: int) -> GuidanceCourse:
        """Issues before an hour from this course, and those from then on from another.

        Args:
            newer: Of issues from `SPAN_H` before `first` on, or more: what fills an issue is not
                older.
            first: Hours since 1970.
            oldest: Issues before it are left out, hours since 1970.
        """
        own = (self.issues < first) & (self.issues >= oldest)
        other = newer.issues >= first
        return GuidanceCourse(
            np.concatenate([self.issues[own], newer.issues[other]]),
            {
                name: np.concatenate([self.values[name][own], values[other]])
                for name, values in newer.values.items()
            },
        )

    def newest(self, hours: np.ndarray) -> np.ndarray:
        """Row of the newest issue that a decision at each full hour can have read; -1 = none."""
        readable = np.searchsorted(self.issues, hours - READABLE_AFTER_H, side="right")
        return np.asarray(readable - 1)

    def at(self, name: str, rows: np.ndarray, hours: np.ndarray) -> np.ndarray:
        """Values that an issue gives for hours.

        Args:
            name: One of `INTERPOLATED`.
            rows: Rows of issues, -1 = none; broadcast with `hours`.
            hours: Hours since 1970.

        Returns:
            Float64; NaN = not forecast, or none.
        """
        if len(self.issues) == 0:
            return np.full(np.broadcast_shapes(rows.shape, hours.shape), np.nan)
        column = hours - self.issues[rows] + BEFORE_H
        inside = (rows >= 0) & (column >= 0) & (column < _SPAN)
        found = self.values[name][rows, np.clip(column, 0, _SPAN - 1)]
        return np.where(inside, found, np.nan)


def _columns(guidance: pl.DataFrame) -> dict[str, np.ndarray]:
    """Numbers by name of `INTERPOLATED`, float64, shape (rows,)."""
    given = {
        name: guidance[name].cast(float).to_numpy()
        if name in guidance.columns
        else np.full(guidance.height, np.nan)
        for name in (
            AIR_TEMPERATURE,
            RELATIVE_HUMIDITY,
            WIND_SPEED,
            WIND_FROM_DIRECTION,
            SKY,
            RAIN_CHANCE,
        )
    }
    bearing = np.radians(given.pop(WIND_FROM_DIRECTION))
    given[WIND_EAST] = -given[WIND_SPEED] * np.sin(bearing)
    given[WIND_NORTH] = -given[WIND_SPEED] * np.cos(bearing)
    return {name: given[name] for name in INTERPOLATED}


def _completed(issues: np.ndarray, table: np.ndarray) -> np.ndarray:
    """What an issue does not reach, from the issue before it, which is completed already."""
    for row in range(1, len(issues)):
        moved = int(issues[row] - issues[row - 1])
        if moved < _SPAN:
            here, before = table[row, : _SPAN - moved], table[row - 1, moved:]
            np.copyto(here, before, where=np.isnan(here))
    return table


def _between(table: np.ndarray, *, curved: bool) -> np.ndarray:
    """Fill gaps of up to `WIDEST_GAP_H` between two values, in place."""
    gaps = _with_gaps(np.isfinite(table))
    if gaps.any():
        table[gaps] = _interpolated(table[gaps], curved=curved)
    return table


def _with_gaps(known: np.ndarray) -> np.ndarray:
    """Whether a row misses an hour between two that it has."""
    begins = known[:, 0] + (known[:, 1:] & ~known[:, :-1]).sum(axis=1)
    return np.asarray(begins > 1)


def _interpolated(table: np.ndarray, *, curved: bool) -> np.ndarray:
    hours = np.arange(_SPAN)
    known = np.isfinite(table)
    left = np.maximum.accumulate(np.where(known, hours, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, hours, _SPAN)[:, ::-1], axis=1)[:, ::-1]
    inside = (left >= 0) & (right < _SPAN) & (right - left <= WIDEST_GAP_H)
    left, right = np.where(inside, left, 0), np.where(inside, right, 0)
    rows = np.arange(len(table))[:, None]
    first, last = table[rows, left], table[rows, right]
    width = np.maximum(right - left, 1)
    share = (hours - left) / width
    line = first + share * (last - first)
    if curved:
        # Slopes at both ends from the values one gap further out; beyond the ends the line goes on.
        outer_left = _or(table[rows, np.maximum(left - width, 0)], 2.0 * first - last)
        outer_right = _or(table[rows, np.minimum(right + width, _SPAN - 1)], 2.0 * last - first)
        rise, fall = (last - outer_left) / 2.0, (outer_right - first) / 2.0
        s, line_share = share, 1.0 - share
        line = line_share**2 * ((1.0 + 2.0 * s) * first + s * rise) + s**2 * (
            (3.0 - 2.0 * s) * last - line_share * fall
        )
    return np.where(known, table, np.where(inside, line, np.nan))


def _or(values: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), otherwise, values)
