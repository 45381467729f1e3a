"""By how much KMA's forecasts were wrong at a place, as it could be known at each hour. Pure.

Rules G1, G3, G4 and G5 of `contract.guidance_features` are kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract import rolling
from edge_agent.contract.guidance_course import READABLE_AFTER_H
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from edge_agent.contract.guidance_course import GuidanceCourse

FEWEST_ERRORS: Final = 6
"""Fewest errors from which a mean is taken."""
MEANS_H: Final = (24, 72)
"""Hours of the means over the newest hours, named "24h" and so on."""
MEANS_DAYS: Final = (5, 30)
"""Days of the means over one hour of the day and the two before it, named "5d" and so on."""

UNUSUAL: Final = {AIR_TEMPERATURE: (2.2, 3.1), RELATIVE_HUMIDITY: (30.0, 40.0)}
"""By target: errors from which a steady error begins, and from which all of it counts (G5).

In 18 months at Busan half a percent of the hours had more than the first of temperature. Humidity
has its own only where KMA is plainly wrong: from 18 % on, ordinary weather cost 0.2 % at two days.
"""


@dataclass(frozen=True, slots=True)
class TrailingSums:
    """Sums of the errors that lie some hours back from each hour.

    Attributes:
        total: In units of 2^-10, int64, shape (N,).
        count: Number of errors, int64, shape (N,).
        back: Hours by which each of them lies back, shape (M,).
    """

    total: np.ndarray
    count: np.ndarray
    back: np.ndarray


@dataclass(frozen=True, slots=True)
class GuidanceErrors:
    """What was observed of a target, and errors of the issues that were newest in each hour.

    Attributes:
        target: Its name.
        course: Forecasts of the place's cell.
        first: First hour of the observations, hours since 1970.
        observed: Hourly, float64, multiples of 2^-10, shape (N,); NaN = missing.
        newest: Row of the newest issue that was readable in each hour, -1 = none, shape (N,).
        errors: Observed minus what that issue says, of the shape of `observed`.
        sums: By name, of these errors.
    """

    target: str
    course: GuidanceCourse
    first: int
    observed: np.ndarray
    newest: np.ndarray
    errors: np.ndarray
    sums: Mapping[str, TrailingSums]

    @classmethod
    def of(cls, observed: pl.Series, hours: np.ndarray, course: GuidanceCourse) -> GuidanceErrors:
        """Errors of a place.

        Args:
            observed: Checked values, named as the target.
            hours: Their hours since 1970, gapless and ascending.
            course: Forecasts of the place's cell.
        """
        values = _on_grid(observed.cast(float).to_numpy().astype(np.float64))
        newest = course.newest(hours)
        errors = _on_grid(values - course.at(observed.name, newest, hours))
        first = int(hours[0]) if len(hours) else 0
        return cls(observed.name, course, first, values, newest, errors, _trailing(errors))

    def observed_at(self, hours: np.ndarray) -> np.ndarray:
        """Observed values at hours; NaN = none."""
        return _take(self.observed, hours - self.first)

    def read_at(self, origins: np.ndarray, rows: np.ndarray) -> ErrorsOfPairs:
        """Errors as they are known to pairs that each read one issue (G1).

        Args:
            origins: Hours since 1970, shape (N,).
            rows: Issue that each pair reads, -1 = none, shape (N,).
        """
        issues = self.course.issues
        later = (rows >= 0) & (rows < self.course.newest(origins))
        begins = issues[np.minimum(rows + 1, len(issues) - 1)] if later.any() else origins
        back = int(np.where(later, origins - begins - READABLE_AFTER_H + 1, 0).max(initial=0))
        total, count = (np.zeros((len(origins), back), np.int32) for _ in range(2))
        pairs = ErrorsOfPairs(self, origins, rows, total, count)
        for hours in range(back):
            older = pairs.at(origins - hours)
            newest = _take(self.errors, origins - hours - self.first)
            total[:, hours] = _units(older) - _units(newest)
            count[:, hours] = np.isfinite(older).astype(int) - np.isfinite(newest)
        return pairs


@dataclass(frozen=True, slots=True)
class ErrorsOfPairs:
    """See `GuidanceErrors.read_at`.

    Attributes:
        known: Of the place.
        origins: Hours since 1970, shape (N,).
        rows: Issues, shape (N,).
        total: What the sums gain by each of the newest hours as the pair's issue is read and not
            the newest one, int32 (N, hours back from the origin).
        count: The same of the numbers of errors.
    """

    known: GuidanceErrors
    origins: np.ndarray
    rows: np.ndarray
    total: np.ndarray
    count: np.ndarray

    def at(self, hours: np.ndarray) -> np.ndarray:
        """Errors at an hour of each pair; NaN = none."""
        known = self.known
        rows = np.minimum(_take(known.newest, hours - known.first, -1), self.rows)
        return _on_grid(known.observed_at(hours) - known.course.at(known.target, rows, hours))

    def mean(self, name: str, ends: np.ndarray) -> np.ndarray:
        """Means of the errors that end at an hour of each pair; NaN = too few."""
        sums = self.known.sums[name]
        total, count = (
            _take(values, ends - self.known.first, 0) for values in (sums.total, sums.count)
        )
        pair, most = np.arange(len(ends)), self.total.shape[1]
        for back in sums.back[sums.back < most]:
            hours = self.origins - ends + back
            inside = hours < most
            hours = np.where(inside, hours, 0)
            total = total + np.where(inside, self.total[pair, hours], 0)
            count = count + np.where(inside, self.count[pair, hours], 0)
        enough = (count >= FEWEST_ERRORS) & (self.rows >= 0)
        return np.where(enough, total / rolling.UNITS / np.maximum(count, 1), np.nan)


def steady(target: str, newest: Sequence[np.ndarray], day: np.ndarray) -> np.ndarray:
    """The part of the errors that is there all the time and more than usual (G5).

    It is the smaller one of two means, of a day and of the newest hours: it needs some twelve hours
    to be believed, and ends within three when KMA is right again.

    Args:
        target: Quantity.
        newest: Errors at the newest hours, each of shape (N,); NaN = none.
        day: Means over the last 24 hours, shape (N,); NaN = too few.

    Returns:
        Float64 (N,); 0 = none.
    """
    errors = np.stack(newest)
    known = np.isfinite(errors)
    recent = np.where(known, errors, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    size = np.where(recent * day > 0, np.minimum(np.abs(recent), np.abs(day)), 0.0)
    begins, full = UNUSUAL[target]
    share = np.clip((size - begins) / (full - begins), 0.0, 1.0)
    return np.asarray(np.sign(recent) * size * share)


def _trailing(errors: np.ndarray) -> dict[str, TrailingSums]:
    units, counts = _units(errors), np.isfinite(errors).astype(np.int64)
    sums = {}
    for hours in MEANS_H:
        total, count = (_strided_sum(values, 1, hours) for values in (units, counts))
        sums[f"{hours}h"] = TrailingSums(total, count, np.arange(hours))
    trio = [_strided_sum(values, 1, 3) for values in (units, counts)]
    for days in MEANS_DAYS:
        total, count = (_strided_sum(values, 24, days) for values in trio)
        back = (24 * np.arange(days)[:, None] + np.arange(3)).ravel()
        sums[f"{days}d"] = TrailingSums(total, count, back)
    return sums


def _units(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values * rolling.UNITS, 0.0).astype(np.int64)


def _strided_sum(values: np.ndarray, step: int, steps: int) -> np.ndarray:
    """Sum of `steps` values that lie `step` hours apart, the newest at the hour itself."""
    padded = np.zeros(-(-len(values) // step) * step, np.int64)
    padded[: len(values)] = values
    running = padded.reshape(-1, step).cumsum(axis=0)
    running[steps:] -= running[:-steps].copy()
    return running.reshape(-1)[: len(values)]


def _take(values: np.ndarray, rows: np.ndarray, absent: float = np.nan) -> np.ndarray:
    """Values of rows, `absent` where there is no such row."""
    if len(values) == 0:
        return np.full(rows.shape, absent, values.dtype)
    inside = (rows >= 0) & (rows < len(values))
    return np.where(inside, values[np.clip(rows, 0, len(values) - 1)], absent)


def _on_grid(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(values * rolling.UNITS) / rolling.UNITS)
