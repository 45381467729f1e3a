"""The seed recipe as a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.feature_table import NAMES, SEED
from trainer.training import seed_recipe
from trainer.training.seed_recipe import SeedRecipe

if TYPE_CHECKING:
    import pytest


def matrix() -> np.ndarray:
    """Random rows."""
    return np.random.default_rng(2).normal(0, 3, (300, len(NAMES))).astype(np.float32)


def test_seed_recipe_reads_its_twelve_inputs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changing any other column changes nothing; changing one of its own does."""
    monkeypatch.setattr(seed_recipe, "SEED_ROUNDS", 20)
    rows = matrix()
    recipe = SeedRecipe.fit(rows, rows[:, NAMES.index("pressure")].astype(np.float64), threads=1)
    before = recipe.predict(rows)
    others = rows.copy()
    others[:, [i for i, name in enumerate(NAMES) if name not in SEED]] = 77.0
    assert (recipe.predict(others) == before).all()
    others[:, NAMES.index("pressure")] = 77.0
    assert (recipe.predict(others) != before).any()
