"""Scores against numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainer.evaluation import point_scores
from trainer.evaluation.point_scores import by_lead, common, coverage, score, skill

NAN = math.nan


def test_scores_by_hand() -> None:
    """Errors 1, -1, 2, 0 against 1, 2, 3, 4: every figure on paper."""
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    found = score(truth + np.array([1.0, -1.0, 2.0, 0.0]), truth)
    assert found.rows == 4
    assert found.rmse == pytest.approx(math.sqrt(6 / 4))
    assert found.mae == pytest.approx(1.0)
    # Bias is forecast minus observation: too warm is positive.
    assert found.bias == pytest.approx(0.5)
    assert found.r2 == pytest.approx(1 - 6 / 5)


def test_a_perfect_and_a_constant_forecast() -> None:
    """No error is R2 1; the mean of the observations is R2 0; without spread there is no R2."""
    truth = np.array([1.0, 2.0, 6.0])
    assert score(truth, truth) == point_scores.Score(3, 0.0, 0.0, 0.0, 1.0)
    assert score(np.full(3, 3.0), truth).r2 == pytest.approx(0.0)
    assert math.isnan(score(truth, np.full(3, 2.0)).r2)


def test_score_refuses_what_it_cannot_judge() -> None:
    """No rows and NaN are errors, not a score."""
    with pytest.raises(ValueError, match="no rows"):
        score(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="NaN among forecasts"):
        score(np.array([1.0, NAN]), np.array([1.0, 2.0]))


def test_common_rows_are_known_to_all() -> None:
    """A row counts only where the truth and every forecast have a number."""
    truth = np.array([1.0, NAN, 3.0, 4.0, 5.0])
    mask = common(
        truth, {"a": np.array([1.0, 1, NAN, 1, 1]), "b": np.array([1.0, 1, 1, np.inf, 1])}
    )
    assert mask.tolist() == [True, False, False, False, True]


def test_by_lead_judges_all_on_the_same_rows() -> None:
    """A hole in one forecast takes the row from the others too; a lead it lacks is left out."""
    leads = np.array([1, 1, 1, 24, 24])
    truth = np.array([0.0, 0.0, 0.0, 0.0, NAN])
    found = by_lead(
        {
            "model": np.array([1.0, 2.0, 9.0, 3.0, 1.0]),
            "holes": np.array([1.0, 1.0, NAN, 1.0, 1.0]),
            "seed": np.array([NAN, NAN, NAN, 5.0, 5.0]),
        },
        truth,
        leads,
    )
    assert {name: sorted(scores) for name, scores in found.items()} == {
        "model": [1, 24],
        "holes": [1, 24],
        "seed": [24],
    }
    assert found["model"][1].rows == found["holes"][1].rows == 2
    assert found["model"][1].rmse == pytest.approx(math.sqrt(2.5))
    assert found["seed"][24] == point_scores.Score(1, 5.0, 5.0, 5.0, found["seed"][24].r2)


def test_a_lead_without_truth_has_no_score() -> None:
    """Nothing observed, nothing said."""
    assert by_lead({"a": np.array([1.0])}, np.array([NAN]), np.array([1])) == {"a": {}}


@pytest.mark.parametrize(
    ("own", "reference", "expected"),
    [(0.0, 2.0, 1.0), (2.0, 2.0, 0.0), (1.0, 2.0, 0.75), (4.0, 2.0, -3.0)],
)
def test_skill(own: float, reference: float, expected: float) -> None:
    """1 - MSE ratio."""
    assert skill(own, reference) == pytest.approx(expected)


def test_coverage_counts_the_ends_and_leaves_out_what_is_unknown() -> None:
    """Values on a bound are inside; NaN truth is no miss."""
    truth = np.array([1.0, 2.0, 3.0, 4.0, NAN])
    assert coverage(truth, np.full(5, 2.0), np.full(5, 3.0)) == 0.5
