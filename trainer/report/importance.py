"""Permutation importance of groups of inputs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.feature_table import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.system.ports import Predictor


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
    unshuffled = _rmse(predictor.predict(matrix), truth)
    gains = {}
    for group, columns in group_columns().items():
        shuffled = matrix.copy()
        shuffled[:, columns] = matrix[order][:, columns]
        gains[group] = _rmse(predictor.predict(shuffled), truth) - unshuffled
    return gains


def _rmse(forecast: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))
