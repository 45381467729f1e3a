"""Scores of distributions against numbers worked by hand and published ones."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from trainer.evaluation.quantile_scores import (
    crps_quantiles,
    interval_score,
    pinball,
    pit_histogram,
)

TENTHS = np.arange(1, 10) / 10


def test_pinball_by_hand() -> None:
    """Level 0.9 at 22: 3 above costs 2.7, 2 below costs 0.2, a hit nothing."""
    found = pinball(np.array([25.0, 20.0, 22.0]), np.array([22.0, 22.0, 22.0]), 0.9)
    assert found == pytest.approx([2.7, 0.2, 0.0])


def test_interval_score_by_hand() -> None:
    """80 % interval 17..23: inside its width, outside ten times the distance more."""
    truth, low, high = np.array([20.0, 25.0, 16.0]), np.full(3, 17.0), np.full(3, 23.0)
    assert interval_score(truth, low, high, 0.8) == pytest.approx([6.0, 26.0, 16.0])


@pytest.mark.parametrize(
    ("truth", "mean", "deviation", "expected"),
    [(0.0, 0.0, 1.0, 0.233695), (23.0, 20.0, 2.7, 1.839166)],
)
def test_crps_of_a_normal(truth: float, mean: float, deviation: float, expected: float) -> None:
    """The closed form's value, from a thousand quantiles."""
    levels = (np.arange(1000) + 0.5) / 1000
    normal = NormalDist(mean, deviation)
    quantiles = np.array([[normal.inv_cdf(level) for level in levels]])
    found = crps_quantiles(np.array([truth]), quantiles, levels)
    assert found[0] == pytest.approx(expected, rel=1e-3)


def test_crps_of_one_quantile_is_the_absolute_error() -> None:
    """A median alone is a point: CRPS = |y - q|."""
    found = crps_quantiles(np.array([3.0, 1.0]), np.array([[1.0], [2.0]]), np.array([0.5]))
    assert found == pytest.approx([2.0, 1.0])


def test_pit_is_flat_where_the_forecast_is_right() -> None:
    """One observation in every tenth: a tenth each; all too low: everything in the first bin."""
    quantiles = np.tile(np.arange(1.0, 10.0), (10, 1))
    assert pit_histogram(np.arange(0.5, 10.0), quantiles, TENTHS) == pytest.approx([0.1] * 10)
    low = pit_histogram(np.full(10, -5.0), quantiles, TENTHS)
    assert low.tolist() == [1.0, *([0.0] * 9)]
    high = pit_histogram(np.full(10, 50.0), quantiles, TENTHS)
    assert high.tolist() == [*([0.0] * 9), 1.0]


def test_pit_spreads_ties() -> None:
    """An observation on the upper half's common value (100 %) is spread over those bins."""
    quantiles = np.array([[60, 70, 80, 90, 95, 100, 100, 100, 100.0]])
    found = pit_histogram(np.array([100.0]), quantiles, TENTHS)
    assert found == pytest.approx([0, 0, 0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.2])


def test_pit_refuses_what_it_cannot_count() -> None:
    """Levels without tenths and no rows are errors."""
    with pytest.raises(ValueError, match="the levels lack a tenth"):
        pit_histogram(np.array([1.0]), np.array([[1.0, 2.0]]), np.array([0.25, 0.75]))
    with pytest.raises(ValueError, match="no rows"):
        pit_histogram(np.array([]), np.empty((0, 9)), TENTHS)
