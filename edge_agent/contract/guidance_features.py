"""Inputs of the post-processing of KMA's forecasts (MOS): one function for trainer and agent. Pure.

A row is a pair of an origin (a full hour) and a lead. It holds what an issue that can be read at
the origin says around the target hour, and by how much such forecasts were wrong here before.

Rules (the tests name the numbers):
    G1  An error is what was observed minus what the newest issue that was readable in that hour
        said for it, and none newer than the issue that the row reads: a row of an older issue is
        that of a place where no later one came. So it follows from observations and issues alone.
    G2  `base` is the forecast that the trees correct: guidance plus the newest error, which fades
        by exp(-lead / `FADING_H`). Without an observation at the origin and without a steady error
        it is guidance alone.
    G3  Missing is NaN, never 0: no observation, no errors yet, a category that is not there. Only
        guidance at the target hour must be there.
    G4  Errors come on a grid of 2^-10 and are summed as whole numbers, so a month of hours gives
        the same bits as ten years (see `contract.rolling`).
    G5  Where KMA is wrong for days by more than it usually is, that part is `steady_error` (rule in
        `guidance_errors.steady`). It is taken off from the errors and is in `base` at every lead,
        so the trees see errors as in the years that they were fitted on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract import solar
from edge_agent.contract.guidance_course import INTERPOLATED, WIND_EAST, WIND_NORTH
from edge_agent.contract.guidance_errors import (
    FEWEST_ERRORS,
    MEANS_DAYS,
    MEANS_H,
    UNUSUAL,
    GuidanceErrors,
    steady,
)
from edge_agent.contract.hours import KOREA_OFFSET_H
from edge_agent.contract.schema import RAIN_CHANCE, SKY, TARGETS, TIME, WIND_SPEED

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from edge_agent.contract.guidance_course import GuidanceCourse
    from edge_agent.contract.manifest import GuidanceModels
    from edge_agent.contract.schema import Site

REVISION: Final = 3
GUIDED_LEADS: Final = tuple(range(1, 67))
"""Hours ahead that guidance reaches."""
FADING_H: Final = 8.0
"""Hours in which the newest error fades to 37 % (G2)."""
HISTORY_H: Final = 31 * 24
"""Hours of observations and forecasts before an origin that a row may follow from."""
_AROUND: Final = (-12, -9, -6, -3, 3, 6, 9)
_DAY: Final = tuple(range(-12, 13))
_LAGS: Final = (1, 2, 3, 6)
_CHANGES_H: Final = (1, 3)
_EARLIER_H: Final = 6

NAMES: Final = (
    "lead",
    "guidance_age",
    "hour_sin",
    "hour_cos",
    "sun",
    "guidance",
    *(f"guidance_{hours:+d}h" for hours in _AROUND),
    "guidance_day_max",
    "guidance_day_min",
    "guidance_day_mean",
    "guidance_change",
    "other_guidance",
    "wind_speed",
    "wind_east",
    "wind_north",
    "sky",
    "sky_before",
    "rain_chance",
    "rain_chance_day",
    "error",
    *(f"error_{hours}h_ago" for hours in _LAGS),
    *(f"error_mean_{hours}h" for hours in MEANS_H),
    *(f"error_same_hour_{days}d" for days in MEANS_DAYS),
    "error_same_hour",
    "other_error",
    "other_error_mean_24h",
    "observed",
    *(f"observed_change_{hours}h" for hours in _CHANGES_H),
    "other_observed",
    "guidance_since_origin",
    "guidance_change_to_origin",
    "guidance_from_observed",
    "steady_error",
    "base",
)
"""Columns of the matrix, in order."""


def computable(models: GuidanceModels | None) -> GuidanceModels | None:
    """The models of a release that correct KMA's forecasts, where this program has their inputs.

    A release that was installed before the program was upgraded may have others. It goes on without
    these models; KMA's forecasts are then corrected by their bias.
    """
    return models if models is not None and models.digest == digest() else None


def digest() -> str:
    """SHA-256 of the meaning of the matrix."""
    meaning = {
        "revision": REVISION,
        "names": NAMES,
        "leads": [GUIDED_LEADS[0], GUIDED_LEADS[-1]],
        "fading": FADING_H,
        "fewest": FEWEST_ERRORS,
        "unusual": UNUSUAL,
        "interpolated": INTERPOLATED,
    }
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class GuidanceInputs:
    """What a place saw, beside what was forecast for it.

    Attributes:
        first: First hour of the observations, hours since 1970.
        course: Forecasts of the place's cell.
        site: The place.
        known: By target, what was observed and by how much forecasts of it were wrong.
    """

    first: int
    course: GuidanceCourse
    site: Site
    known: Mapping[str, GuidanceErrors]

    @classmethod
    def of(cls, checked: pl.DataFrame, course: GuidanceCourse, site: Site) -> GuidanceInputs:
        """Inputs of a place.

        Args:
            checked: Output of `quality.clean`: hourly, gapless, ascending. The newest `HISTORY_H`
                hours before an origin decide; more change nothing.
            course: Forecasts of the place's cell, with the older issues as far as they are kept.
            site: The place.
        """
        hours = checked[TIME].to_physical().to_numpy() // 3_600_000_000
        known = {target: GuidanceErrors.of(checked[target], hours, course) for target in TARGETS}
        return cls(int(hours[0]) if len(hours) else 0, course, site, known)

    @property
    def observed(self) -> Mapping[str, np.ndarray]:
        """By target, hourly from `first`, float64, multiples of 2^-10; NaN = missing."""
        return {target: known.observed for target, known in self.known.items()}

    @property
    def errors(self) -> Mapping[str, np.ndarray]:
        """By target, of the same shape: errors of the issues that were newest in each hour (G1)."""
        return {target: known.errors for target, known in self.known.items()}

    def matrix(
        self, target: str, origins: np.ndarray, leads: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Input of one target's model.

        Args:
            target: One of `TARGETS`.
            origins: Hours since 1970, shape (N,), each at or after `first`.
            leads: Hours ahead, shape (N,), in `GUIDED_LEADS`.
            rows: Issue that each pair reads; default: the newest that is readable.

        Returns:
            Float32 (N, len(NAMES)), C order; NaN = missing. Where guidance lacks the target hour,
            "guidance" and "base" are NaN.
        """
        rows = self.course.newest(origins) if rows is None else rows
        valid = origins + leads
        (other,) = (name for name in TARGETS if name != target)
        columns = (
            leads,
            self._age(rows, valid),
            *self._calendar(valid),
            *self._forecast(target, other, rows, valid),
            *self._past(target, other, (origins, leads, rows)),
        )
        out = np.empty((len(origins), len(NAMES)), np.float32)
        for index, column in enumerate(columns):
            out[:, index] = column
        guidance, newest, always = (
            out[:, NAMES.index(name)].astype(np.float64)
            for name in ("guidance", "error", "steady_error")
        )
        fading = np.where(np.isnan(newest), 0.0, newest) * np.exp(-leads / FADING_H)
        out[:, -1] = guidance + always + fading
        return out

    def _age(self, rows: np.ndarray, valid: np.ndarray) -> np.ndarray:
        if len(self.course.issues) == 0:
            return np.full(valid.shape, np.nan)
        return np.where(rows >= 0, valid - self.course.issues[rows], np.nan)

    def _calendar(self, valid: np.ndarray) -> tuple[np.ndarray, ...]:
        hour = valid % 24
        day = (valid // 24).astype("datetime64[D]")
        day_of_year = (day - day.astype("datetime64[Y]")).astype(int)
        sun = solar.cos_zenith_table(self.site.latitude, self.site.longitude)
        angle = 2.0 * np.pi * ((hour + KOREA_OFFSET_H) % 24) / 24.0
        return np.sin(angle), np.cos(angle), sun[day_of_year, hour]

    def _forecast(
        self, target: str, other: str, rows: np.ndarray, valid: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        at = self.course.at
        value = at(target, rows, valid)
        around = [at(target, rows, valid + hours) - value for hours in _AROUND]
        day = np.stack([at(target, rows, valid + hours) for hours in _DAY])
        known = np.isfinite(value)
        day = np.where(np.isnan(day), value, day)
        earlier = self._earlier(rows)
        sky = np.stack([at(SKY, rows, valid - hours) for hours in range(7)])
        rain = np.stack([at(RAIN_CHANCE, rows, valid + hours) for hours in range(-6, 7)])
        return (
            value,
            *around,
            day.max(axis=0, initial=-np.inf, where=known) - value,
            day.min(axis=0, initial=np.inf, where=known) - value,
            day.mean(axis=0) - value,
            value - at(target, earlier, valid),
            at(other, rows, valid),
            at(WIND_SPEED, rows, valid),
            at(WIND_EAST, rows, valid),
            at(WIND_NORTH, rows, valid),
            at(SKY, rows, valid),
            sky.mean(axis=0),
            at(RAIN_CHANCE, rows, valid),
            np.fmax.reduce(rain, axis=0),
        )

    def _earlier(self, rows: np.ndarray) -> np.ndarray:
        """Row of the issue that was newest `_EARLIER_H` before; -1 = none."""
        if len(self.course.issues) == 0:
            return rows
        return np.asarray(
            np.searchsorted(self.course.issues, self.course.issues[rows] - _EARLIER_H, side="right")
            - 1
        )

    def _past(
        self, target: str, other: str, pairs: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, ...]:
        origins, leads, rows = pairs
        at = self.course.at
        valid, now = at(target, rows, origins + leads), at(target, rows, origins)
        same = origins + leads - 24 * ((leads + 23) // 24)
        around = np.minimum(same + 1, origins)
        own = self.known[target].read_at(origins, rows)
        others = self.known[other].read_at(origins, rows)
        observed = self.known[target].observed_at
        newest = observed(origins)
        lags = [own.at(origins - hours) for hours in (0, *_LAGS)]
        means = [own.mean(f"{hours}h", origins) for hours in MEANS_H]
        always = steady(target, lags, means[0])
        errors = (
            *lags,
            *means,
            *(own.mean(f"{days}d", around) for days in MEANS_DAYS),
            own.at(same),
        )
        return (
            *(error - always for error in errors),
            others.at(origins),
            others.mean("24h", origins),
            newest,
            *(newest - observed(origins - hours) for hours in _CHANGES_H),
            self.known[other].observed_at(origins),
            valid - now,
            now - at(target, rows, origins - 1),
            valid + always - newest,
            always,
        )
