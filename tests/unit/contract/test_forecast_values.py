"""Quantiles and probabilities of a forecast."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.contract.forecast import Operator, TargetForecast

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def made(*rows: list[float]) -> TargetForecast:
    """Forecast with these quantiles at LEVELS."""
    quantiles = np.array(rows)
    return TargetForecast("°C", quantiles[:, 2], LEVELS, quantiles)


ONE = made([0.0, 1.0, 2.0, 4.0, 6.0])


@pytest.mark.parametrize(
    ("level", "value"), [(0.1, 0.0), (0.5, 2.0), (0.375, 1.5), (0.9, 6.0), (0.01, 0.0), (0.99, 6.0)]
)
def test_quantile_is_linear_between_levels(level: float, value: float) -> None:
    """Known levels give known values; beyond the table its ends are held."""
    assert ONE.quantile(level) == pytest.approx([value])


@pytest.mark.parametrize(
    ("operator", "threshold", "expected"),
    [
        ("<=", 2.0, 0.5),
        (">", 2.0, 0.5),
        ("<=", 3.0, 0.625),
        (">=", 5.0, 0.175),
        ("<", 0.0, 0.1),
        # Tails: the density at the end is (level step) / (value step), and decays with it.
        ("<=", -1.0, 0.1 * math.exp(-1.0 / (1.0 / 0.15 * 0.1))),
        (">=", 8.0, 0.1 * math.exp(-2.0 / (2.0 / 0.15 * 0.1))),
    ],
)
def test_probability_by_hand(operator: Operator, threshold: float, expected: float) -> None:
    """Linear between quantiles, exponential beyond them."""
    assert ONE.probability(operator, threshold) == pytest.approx([expected], abs=1e-12)


def test_each_row_has_its_own_distribution() -> None:
    """Rows are hours: a shift of the row shifts the probability."""
    both = made([0.0, 1.0, 2.0, 4.0, 6.0], [10.0, 11.0, 12.0, 14.0, 16.0])
    assert both.probability("<=", 12.0)[1] == 0.5
    assert both.probability("<=", 12.0)[0] > 0.99


def test_equal_quantiles_put_their_probability_on_that_value() -> None:
    """Humidity bounded at 100 %: half of the probability is at exactly 100."""
    fog = made([80.0, 90.0, 100.0, 100.0, 100.0])
    assert fog.probability(">=", 100.0) == pytest.approx([0.5])
    assert fog.probability("<", 100.0) == pytest.approx([0.5])
    assert fog.probability(">", 100.0) == pytest.approx([0.1])
    assert fog.probability("<=", 100.0) == pytest.approx([0.9])
    dry = made([0.0, 0.0, 0.0, 5.0, 9.0])
    assert dry.probability("<=", 0.0) == pytest.approx([0.5])


@given(
    quantiles=st.lists(st.floats(-50, 60), min_size=5, max_size=5).map(sorted),
    thresholds=st.lists(st.floats(-90, 90), min_size=2, max_size=2).map(sorted),
)
@example(quantiles=[0.0, 0.0, 0.0, 0.0, 5e-324], thresholds=[0.0, 0.0])
def test_probability_is_a_distribution(quantiles: list[float], thresholds: list[float]) -> None:
    """Within 0 and 1, growing with the threshold, and operators of a pair sum to 1."""
    one = made(quantiles)
    low, high = (float(one.probability("<=", threshold)[0]) for threshold in thresholds)
    assert 0.0 <= low <= high <= 1.0
    pairs: list[tuple[Operator, Operator]] = [("<=", ">"), ("<", ">=")]
    for below, above in pairs:
        total = one.probability(below, thresholds[0]) + one.probability(above, thresholds[0])
        assert total == pytest.approx([1.0])
    assert one.probability("<", thresholds[0])[0] <= low + 1e-12
