"""Scores of forecasts against observations. Pure.

Formulas: Wilks, Statistical Methods in the Atmospheric Sciences, chapter 9. Every function takes
float64 vectors of equal length; rows where any of them is NaN must be left out before, by
`common`, so that all forecasts are judged on the same hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


class Score(msgspec.Struct, frozen=True):
    """Scores of one forecast, in the target's unit.

    Attributes:
        rows: Number of pairs.
        rmse: Root mean square error.
        mae: Mean absolute error.
        bias: Mean of forecast minus observation.
        r2: 1 - SSE / SST, the share of variance explained.
    """

    rows: int
    rmse: float
    mae: float
    bias: float
    r2: float


def common(truth: np.ndarray, forecasts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mask of the rows at which the truth and every forecast are known."""
    mask: np.ndarray = np.isfinite(truth)
    for forecast in forecasts.values():
        mask &= np.isfinite(forecast)
    return mask


def score(forecast: np.ndarray, truth: np.ndarray) -> Score:
    """Scores of one forecast.

    Raises:
        ValueError: No rows, or a NaN.
    """
    if len(truth) == 0:
        raise ValueError("score: no rows")
    error = forecast - truth
    if not np.isfinite(error).all():
        raise ValueError("score: NaN among forecasts or observations; use `common` first")
    spread = float(np.sum((truth - truth.mean()) ** 2))
    total = float(np.sum(error**2))
    return Score(
        rows=len(truth),
        rmse=float(np.sqrt(np.mean(error**2))),
        mae=float(np.mean(np.abs(error))),
        bias=float(np.mean(error)),
        r2=1.0 - total / spread if spread > 0 else float("nan"),
    )


def by_lead(
    forecasts: Mapping[str, np.ndarray], truth: np.ndarray, leads: np.ndarray
) -> dict[str, dict[int, Score]]:
    """Scores per forecast and lead, at each lead on the rows where all are known.

    A forecast that knows no hour of a lead (the seed recipe beyond its own) is left out there.
    """
    scores: dict[str, dict[int, Score]] = {name: {} for name in forecasts}
    for lead in np.unique(leads):
        rows = leads == lead
        present = {
            name: values[rows]
            for name, values in forecasts.items()
            if np.isfinite(values[rows]).any()
        }
        known = common(truth[rows], present)
        if not known.any():
            continue
        for name, values in present.items():
            scores[name][int(lead)] = score(values[known], truth[rows][known])
    return scores


def skill(rmse: float, reference_rmse: float) -> float:
    """1 - MSE / MSE of the reference; 1 is perfect, 0 as good as the reference."""
    return 1.0 - (rmse / reference_rmse) ** 2


def coverage(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Share of observations inside [low, high]; rows with NaN truth are left out."""
    known = np.isfinite(truth)
    return float(np.mean((truth[known] >= low[known]) & (truth[known] <= high[known])))
