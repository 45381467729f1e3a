"""Importance of inputs against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.contract.feature_table import NAMES
from trainer.report.importance import group_columns, importance


def test_every_input_but_the_lead_is_in_one_group() -> None:
    """A feature that no group knows would be missing from the report without a word."""
    columns = sorted(column for group in group_columns().values() for column in group)
    assert columns == [i for i, name in enumerate(NAMES) if name != "lead"]


class _Copies:
    """Predictor that gives one column."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The newest rain."""
        out: np.ndarray = features[:, NAMES.index("rain")]
        return out


def test_shuffling_hurts_only_what_the_model_reads() -> None:
    """A perfect copy of rain loses the spread of rain when rain is shuffled, and nothing else."""
    matrix = np.random.default_rng(3).normal(size=(4000, len(NAMES))).astype(np.float32)
    found = importance(_Copies(), matrix, matrix[:, NAMES.index("rain")].astype(np.float64), 1)
    assert found["rain"] == pytest.approx(np.sqrt(2.0), rel=0.05)
    assert {value for group, value in found.items() if group != "rain"} == {0.0}
