"""Harmonic normals: what a place's temperature or humidity is at a given hour of the year.

A normal is a product of annual and daily harmonics,
    n(d, h) = sum_jk c_jk A_j(d, h) D_k(h),
with A = 1, cos(ja), sin(ja) for j = 1..3, a = 2 pi (d - 1 + h / 24) / 365.2425, and D the same in
2 pi h / 24 (d = day of year, h = hour, both UTC). 49 coefficients a quantity; the daily course
may so differ between winter and summer. The trainer fits them on training years only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.schema import TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

ANNUAL: Final = 3
DAILY: Final = 3
COEFFICIENTS: Final = (2 * ANNUAL + 1) * (2 * DAILY + 1)
LAPSE_C_PER_M: Final = 0.0065
"""Mean decrease of air temperature with height (ICAO standard atmosphere)."""


def design(day_of_year: np.ndarray, hour: np.ndarray) -> np.ndarray:
    """Regressors of the harmonic normals.

    Args:
        day_of_year: 1..366, UTC, shape (N,).
        hour: 0..23, UTC, shape (N,).

    Returns:
        Float64, shape (N, `COEFFICIENTS`).
    """
    year_angle = 2.0 * np.pi * (day_of_year - 1.0 + hour / 24.0) / 365.2425
    annual = _harmonics(year_angle, ANNUAL)
    daily = _harmonics(2.0 * np.pi * hour / 24.0, DAILY)
    regressors: np.ndarray = annual[:, :, None] * daily[:, None, :]
    return regressors.reshape(len(annual), COEFFICIENTS)


def table(coefficients: Sequence[float]) -> np.ndarray:
    """Normals of one quantity: Float64, shape (366, 24), by day of year - 1 and UTC hour.

    Always evaluated for the whole table, so that a window and a full series read equal bits; that
    takes longer than all other features of an hour, so the newest tables are kept. Read-only.

    Raises:
        ValueError: Not `COEFFICIENTS` numbers.
    """
    if len(coefficients) != COEFFICIENTS:
        raise ValueError(f"climatology: {len(coefficients)} coefficients, expected {COEFFICIENTS}")
    return _table(tuple(coefficients))


@lru_cache(maxsize=2 * len(TARGETS))
def _table(coefficients: tuple[float, ...]) -> np.ndarray:
    day, hour = np.meshgrid(np.arange(1.0, 367.0), np.arange(24.0), indexing="ij")
    regressors = design(day.ravel(), hour.ravel())
    normals: np.ndarray = (regressors * np.asarray(coefficients, np.float64)).sum(axis=1)
    normals.flags.writeable = False
    return normals.reshape(366, 24)


def fit(day_of_year: np.ndarray, hour: np.ndarray, values: np.ndarray) -> tuple[float, ...]:
    """Least-squares coefficients of `values` (NaN = missing).

    A small ridge (a ten-thousandth of the number of values on every term but the mean) keeps
    records shorter than a year from inventing harmonics they never saw; a full year hardly
    feels it.

    Raises:
        ValueError: Fewer usable values than coefficients.
    """
    usable = np.isfinite(values)
    if int(usable.sum()) < COEFFICIENTS:
        raise ValueError(
            f"climatology: {int(usable.sum())} values, at least {COEFFICIENTS} are needed"
        )
    regressors = design(day_of_year[usable], hour[usable])
    observed = values[usable]
    centre = float(observed.mean())
    gram = regressors.T @ regressors
    penalty = 1e-4 * len(observed) * np.eye(COEFFICIENTS)
    solved = np.linalg.solve(gram + penalty, regressors.T @ (observed - centre))
    solved[0] += centre
    return tuple(float(c) for c in solved)


def _harmonics(angle: np.ndarray, order: int) -> np.ndarray:
    columns = [np.ones_like(angle)]
    for k in range(1, order + 1):
        columns += [np.cos(k * angle), np.sin(k * angle)]
    return np.stack(columns, axis=1)
