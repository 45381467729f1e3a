"""Gradient-boosted trees: the only module that imports lightgbm."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

TREES: Mapping[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.08,
    "num_leaves": 15,
    "min_data_in_leaf": 1000,
    "extra_trees": True,
    "bagging_fraction": 0.6,
    "bagging_freq": 1,
    "feature_fraction": 0.3,
    "lambda_l2": 20.0,
    "max_bin": 127,
}
"""Hard regularisation: on one station-decade anything looser learns the training years."""

ROUNDS = 320

SEED_RECIPE: Mapping[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.01,
    "num_leaves": 10,
    "min_data_in_leaf": 5,
}
"""The simple recipe of the systems this project descends from; a baseline, never served."""

SEED_ROUNDS = 2000


@dataclass(frozen=True, slots=True)
class Recipe:
    """How trees are grown: parameters, rounds, seed and threads (0 = all cores)."""

    parameters: Mapping[str, Any] = field(default_factory=lambda: dict(TREES))
    rounds: int = ROUNDS
    seed: int = 1
    threads: int = 0

    def all_parameters(self) -> dict[str, Any]:
        """Everything LightGBM is told; fixed orders, so that a run can be repeated bit by bit."""
        return {
            **self.parameters,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }


class Trees:
    """A fitted booster whose thresholds are float32 numbers.

    LightGBM compares in double, ONNX in float32. Each threshold is lowered to the nearest float32
    that is not above it: for float32 inputs the comparison then means the same in both.

    Args:
        booster: As fitted.
    """

    def __init__(self, booster: lightgbm.Booster) -> None:
        text = re.sub(
            r"(?m)^threshold=(.*)$",
            lambda match: "threshold=" + " ".join(map(_lower, match.group(1).split())),
            booster.model_to_string(),
        )
        # The index of byte offsets no longer fits; without it LightGBM reads tree by tree.
        self._text = re.sub(r"(?m)^tree_sizes=.*\n", "", text)
        self.booster = lightgbm.Booster(model_str=self._text)

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 (N,) for float32 (N, F)."""
        return np.asarray(self.booster.predict(matrix), np.float64)

    def thresholds(self) -> list[tuple[int, float]]:
        """Every split as (feature, threshold)."""
        splits = []
        for tree in self._text.split("Tree=")[1:]:
            features = re.search(r"(?m)^split_feature=(.*)$", tree)
            values = re.search(r"(?m)^threshold=(.*)$", tree)
            if features and values:
                splits += [
                    (int(f), float(v))
                    for f, v in zip(features.group(1).split(), values.group(1).split(), strict=True)
                ]
        return splits


class Binned:
    """Inputs cut into LightGBM's bins once, for many fits on some of their rows.

    Args:
        matrix: Float32 (N, F).
        recipe: Of every fit.
    """

    def __init__(self, matrix: np.ndarray, recipe: Recipe) -> None:
        self._parameters = recipe.all_parameters()
        self._rounds = recipe.rounds
        self._data = lightgbm.Dataset(matrix, params=self._parameters).construct()

    def fit(self, rows: np.ndarray, values: np.ndarray) -> Trees:
        """Fit trees to `values` (float64 (n,), NaN left out) of the rows (ascending, (n,))."""
        known = np.isfinite(values)
        data = self._data.subset(rows[known], params=self._parameters).construct()
        data.set_label(values[known])
        return Trees(lightgbm.train(self._parameters, data, self._rounds))


def fit(matrix: np.ndarray, values: np.ndarray, recipe: Recipe) -> Trees:
    """Fit trees to `values` (float64 (N,), NaN rows left out) of a float32 matrix (N, F)."""
    known = np.isfinite(values)
    return Binned(matrix[known], recipe).fit(np.arange(int(known.sum())), values[known])


def versions() -> dict[str, str]:
    """Library version for the lineage."""
    return {"lightgbm": lightgbm.__version__}


def _lower(text: str) -> str:
    value = float(text)
    single = np.float32(value)
    if float(single) > value:
        single = np.nextafter(single, np.float32(-np.inf))
    return repr(float(single))
