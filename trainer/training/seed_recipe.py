"""The seed recipe, as a baseline: LightGBM on twelve features, target = value 24 h later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.feature_table import NAMES, SEED
from trainer.evaluation.baselines import SEED_LEAD
from trainer.training.trees import SEED_RECIPE, SEED_ROUNDS, Recipe, Trees, fit

if TYPE_CHECKING:
    from trainer.evaluation.holdout import Holdout

_SEED_COLUMNS = np.array([NAMES.index(name) for name in SEED])


@dataclass(frozen=True, slots=True)
class SeedRecipe:
    """LightGBM on twelve features, target = value 24 h later."""

    trees: Trees

    @classmethod
    def fit(cls, matrix: np.ndarray, truth: np.ndarray, *, threads: int = 0) -> SeedRecipe:
        """Fit on rows of lead 24."""
        recipe = Recipe(SEED_RECIPE, SEED_ROUNDS, seed=1, threads=threads)
        return cls(fit(matrix[:, _SEED_COLUMNS], truth, recipe))

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 (N,) for rows of lead 24."""
        return self.trees.predict(matrix[:, _SEED_COLUMNS])


def forecast(holdout: Holdout, target: str, threads: int) -> np.ndarray:
    """Seed recipe trained on the same hours; NaN at other leads than its own."""
    past = holdout.past
    recipe = SeedRecipe.fit(past.seed, past.seed_truth[target], threads=threads)
    out = np.full(len(holdout.leads), np.nan)
    rows = holdout.leads == SEED_LEAD
    out[rows] = recipe.predict(holdout.matrix[rows])
    return out
