"""Diagnostics that a report draws beyond the scores of `metrics_*`. Pure.

Vectors have one entry a forecast; rows with NaN truth are left out before by the caller, except
where a function says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.feature_table import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.system.ports import Predictor


def interval_coverage(
    truth: np.ndarray, quantiles: np.ndarray, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Nominal and observed shares of every central interval that the levels form, ascending.

    Args:
        truth: Shape (N,), finite.
        quantiles: Shape (N, Q).
        levels: Shape (Q,), symmetric about one half.
    """
    half = len(levels) // 2
    inside = (truth[:, None] >= quantiles[:, :half]) & (
        truth[:, None] <= quantiles[:, ::-1][:, :half]
    )
    return (1.0 - 2.0 * levels[:half])[::-1], inside.mean(axis=0)[::-1]


def cell_rmse(error: np.ndarray, season: np.ndarray, block: np.ndarray) -> np.ndarray:
    """RMSE by season and three-hour block: shape (4, 8), NaN = no rows; NaN errors are left out."""
    known = np.isfinite(error)
    index = season[known] * 8 + block[known]
    counts = np.bincount(index, minlength=32)
    sums = np.bincount(index, error[known] ** 2, minlength=32)
    means = np.divide(sums, counts, out=np.full(32, np.nan), where=counts > 0)
    rmse: np.ndarray = np.sqrt(means).reshape(4, 8)
    return rmse


_GROUPS: Final = {
    "temperature": ("temperature",),
    "humidity, dew point": ("humidity", "dew_point"),
    "pressure": ("pressure", "sea_level"),
    "wind": ("wind",),
    "rain": ("rain",),
    "cloud, sunshine": ("cloud", "solar"),
    "calendar, sun, normals": ("hour", "weekday", "target_", "normal_"),
    "site": ("latitude", "longitude", "elevation"),
}


def group_columns() -> dict[str, list[int]]:
    """Columns of the model's input by what is measured; the lead is in no group."""
    subjects = [name.removeprefix("same_hour_").removeprefix("reference_") for name in NAMES]
    return {
        group: [i for i, subject in enumerate(subjects) if subject.startswith(heads)]
        for group, heads in _GROUPS.items()
    }


def importance(
    predictor: Predictor, matrix: np.ndarray, truth: np.ndarray, seed: int
) -> Mapping[str, float]:
    """RMSE gained by shuffling each group of inputs among the rows, in the target's unit.

    Permutation importance (Breiman 2001, doi 10.1023/A:1010933404324), a group at a time, as its
    members stand in for each other. It sees the whole graph, linear part included, which a count
    of the trees' gain does not.

    Args:
        predictor: The graph.
        matrix: Float32 (N, F).
        truth: Shape (N,), finite.
        seed: Of the shuffles.
    """
    order = np.random.default_rng(seed).permutation(len(matrix))
    whole = _rmse(predictor.predict(matrix), truth)
    found = {}
    for group, columns in group_columns().items():
        shuffled = matrix.copy()
        shuffled[:, columns] = matrix[order][:, columns]
        found[group] = _rmse(predictor.predict(shuffled), truth) - whole
    return found


def _rmse(forecast: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))
