"""Ridge from Gram matrices against a direct least-squares solution."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_agent.contract.feature_table import NAMES
from trainer.training.ridge import LEFT_OUT, PENALTY, GramSums

USED = np.array([i for i, name in enumerate(NAMES) if name not in LEFT_OUT])
LEAD = 24


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrix with a few missing values, and changes of two targets."""
    random = np.random.default_rng(seed)
    matrix = random.normal(3.0, 2.0, (count, len(NAMES))).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.03] = np.nan
    matrix[:, NAMES.index("lead")] = LEAD
    filled = np.nan_to_num(matrix.astype(np.float64), nan=3.0)
    changes = np.stack([filled[:, USED[3]] * 2.0, filled[:, USED[9]] - filled[:, USED[3]]], axis=1)
    changes += random.normal(0.0, 0.1, changes.shape)
    changes[random.random(count) < 0.05, 1] = np.nan
    return matrix, changes


def direct(matrix: np.ndarray, changes: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Prediction of a ridge solved by lstsq on stacked penalty rows."""
    shift, scale = np.nanmean(first[:, USED], axis=0), np.nanstd(first[:, USED], axis=0)
    design = np.nan_to_num((matrix[:, USED] - shift) / scale)
    design = np.hstack([design, np.ones((len(design), 1))])
    known = np.isfinite(changes)
    penalty = np.sqrt(PENALTY * known.sum()) * np.eye(design.shape[1])[:-1]
    solved = np.linalg.lstsq(
        np.vstack([design[known], penalty]),
        np.concatenate([changes[known], np.zeros(len(penalty))]),
        rcond=None,
    )[0]
    prediction: np.ndarray = design @ solved
    return prediction


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("parts", [(0, 1, 2), (0, 2), (1,)])
def test_equals_least_squares_on_the_parts_kept(target: int, parts: tuple[int, ...]) -> None:
    """Leaving parts out is the same as never having seen them (centre and scale apart)."""
    made = [rows(400, seed) for seed in (1, 2, 3)]
    gram = GramSums(3, 2)
    for part, (matrix, changes) in enumerate(made):
        gram.add(part, LEAD, matrix, changes)
    model = gram.solve(parts, target)
    matrix = np.vstack([made[part][0] for part in parts])
    changes = np.vstack([made[part][1] for part in parts])
    changes = np.where(np.isnan(changes).any(axis=1), np.nan, changes[:, target])
    expected = direct(matrix.astype(np.float64), changes, made[0][0].astype(np.float64))
    found = model.predict(matrix, np.full(len(matrix), LEAD))
    # Weights are float32: 7 digits of terms that reach a hundred.
    assert np.abs(found - expected).max() < 1e-4


def test_rows_added_in_pieces_are_the_same_rows() -> None:
    """After the first rows, which fix the centre, it does not matter how the rest comes."""
    matrix, changes = rows(300, 5)
    made = []
    for borders in ([100, 300], [100, 150, 300]):
        gram = GramSums(1, 2)
        for start, stop in itertools.pairwise([0, *borders]):
            gram.add(0, LEAD, matrix[start:stop], changes[start:stop])
        made.append(gram.solve((0,), 0).predict(matrix, np.full(300, LEAD)))
    # Sums in another order, then rounded to float32.
    assert np.abs(made[0] - made[1]).max() < 1e-5


def test_leads_do_not_mix() -> None:
    """Rows of one lead say nothing about another; a lead without rows predicts no change."""
    matrix, changes = rows(300, 7)
    gram = GramSums(1, 2)
    gram.add(0, 3, matrix, changes)
    gram.add(0, 5, matrix, -changes)
    model = gram.solve((0,), 0)
    at = {lead: model.predict(matrix, np.full(300, lead)) for lead in (3, 5, 7)}
    assert at[3] == pytest.approx(-at[5], abs=1e-4)
    assert (at[7] == 0).all()
    both = model.predict(matrix[:2], np.array([5, 3]))
    assert both == pytest.approx([at[5][0], at[3][1]], abs=1e-9)


def test_columns_without_a_line_in_them_have_no_weight() -> None:
    """Codes and constants of a site take no part."""
    matrix, changes = rows(300, 9)
    gram = GramSums(1, 2)
    gram.add(0, LEAD, matrix, changes)
    weights = gram.solve((0,), 0).weights
    assert (weights[:, [NAMES.index(name) for name in LEFT_OUT]] == 0).all()


def test_a_sensor_that_was_never_there_has_no_weight() -> None:
    """A column without any value gives no warning and no weight, seen first or never."""
    matrix, changes = rows(300, 11)
    column = int(USED[20])
    matrix[:, column] = np.nan
    gram = GramSums(1, 2)
    gram.add(0, LEAD, matrix, changes)
    model = gram.solve((0,), 0)
    assert (model.weights[:, column] == 0).all()
    assert np.isfinite(model.weights).all()
    later = matrix.copy()
    later[:, column] = np.random.default_rng(1).normal(0, 5, 300)
    gram.add(0, LEAD, later, changes)
    assert np.abs(gram.solve((0,), 0).weights[:, column]).max() < 0.05


def test_nothing_added_is_an_error() -> None:
    """There is no model of no rows."""
    with pytest.raises(ValueError, match="no rows were added"):
        GramSums(1, 1).solve((0,), 0)
