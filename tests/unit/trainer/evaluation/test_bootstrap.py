"""Resampled days and the Diebold-Mariano test against published numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainer.evaluation.bootstrap import diebold_mariano, weights

PUBLISHED = np.array([0.5, -0.2, 0.3, 0.8, -0.1, 0.4, 0.2, -0.3, 0.6, 0.1, 0.7, -0.4])


def test_diebold_mariano_as_published() -> None:
    """Negative autocovariance fits no decay: 1.950610, where other forms have no value."""
    assert diebold_mariano(PUBLISHED) == pytest.approx(1.950610, abs=1e-6)
    assert diebold_mariano(-PUBLISHED) == pytest.approx(-1.950610, abs=1e-6)


def test_diebold_mariano_knows_that_days_hang_together() -> None:
    """With each day said three times over, the same mean is less sure: about sqrt(3) less."""
    random = np.random.default_rng(3)
    days = random.normal(0.1, 1.0, 400)
    alone, tripled = diebold_mariano(days), diebold_mariano(np.repeat(days, 3))
    assert tripled == pytest.approx(alone, rel=0.3)
    naive = np.repeat(days, 3)
    assert tripled < 0.75 * naive.mean() / (naive.std() / math.sqrt(len(naive)))


@pytest.mark.parametrize("values", [np.zeros(50), np.array([1.0, 2.0])])
def test_diebold_mariano_without_spread_is_unknown(values: np.ndarray) -> None:
    """Equal forecasts and three days prove nothing."""
    assert math.isnan(diebold_mariano(values))


def test_weights_are_blocks_of_days() -> None:
    """Every draw has as many days as the record, in runs of a week, the same for a seed."""
    drawn = weights(100, seed=5, draws=300)
    assert drawn.shape == (300, 100)
    assert (drawn.sum(axis=1) == 100).all()
    assert np.array_equal(drawn, weights(100, seed=5, draws=300))
    assert not np.array_equal(drawn, weights(100, seed=6, draws=300))
    # A day and its neighbour come together far more often than two days a month apart.
    near = np.corrcoef(drawn[:, 50], drawn[:, 51])[0, 1]
    far = np.corrcoef(drawn[:, 30], drawn[:, 70])[0, 1]
    assert near > 0.7
    assert abs(far) < 0.3


def test_the_bootstrap_mean_spreads_as_theory_says() -> None:
    """Independent days: standard error of the mean is sigma / sqrt(n)."""
    values = np.random.default_rng(1).normal(0.0, 2.0, 365)
    means = weights(365, seed=2) @ values / 365
    assert means.std() == pytest.approx(values.std() / math.sqrt(365), rel=0.25)


def test_too_few_days() -> None:
    """Less than one block cannot be resampled."""
    with pytest.raises(ValueError, match="6 days are fewer than one block"):
        weights(6, seed=1)
