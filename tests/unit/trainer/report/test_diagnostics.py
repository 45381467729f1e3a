"""Diagnostics of a report against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.contract.feature_table import NAMES
from trainer.report.diagnostics import (
    cell_rmse,
    group_columns,
    importance,
    interval_coverage,
)


def test_intervals_hold_what_lies_between_their_quantiles() -> None:
    """Of 0, 1, 2, 3 the outer interval [0, 2] holds three and the inner [1, 1] one."""
    levels = np.array([0.1, 0.4, 0.6, 0.9])
    quantiles = np.tile([0.0, 1.0, 1.0, 2.0], (4, 1))
    nominal, held = interval_coverage(np.array([0.0, 1.0, 2.0, 3.0]), quantiles, levels)
    assert nominal == pytest.approx([0.2, 0.8])
    assert held.tolist() == [0.25, 0.75]


def test_a_median_among_the_levels_forms_no_interval() -> None:
    """An odd number of levels gives one interval a pair."""
    nominal, held = interval_coverage(
        np.array([5.0]), np.array([[4.0, 5.0, 6.0]]), np.array([0.1, 0.5, 0.9])
    )
    assert (nominal.tolist(), held.tolist()) == (pytest.approx([0.8]), [1.0])


def test_errors_fall_into_their_season_and_block() -> None:
    """Cells are means of their own rows; a NaN error is no row, an empty cell no number."""
    error = np.array([3.0, 4.0, np.nan, 2.0])
    cells = cell_rmse(error, np.array([0, 0, 0, 3]), np.array([0, 0, 0, 7]))
    assert cells.shape == (4, 8)
    assert cells[0, 0] == pytest.approx(np.sqrt(12.5))
    assert cells[3, 7] == pytest.approx(2.0)
    assert int(np.isfinite(cells).sum()) == 2


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
