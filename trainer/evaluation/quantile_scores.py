"""Scores of a forecast that says how sure it is. Pure.

Sources: Gneiting and Raftery 2007 (doi 10.1198/016214506000001437) for pinball, CRPS and interval
score; Czado, Gneiting and Held 2009 (doi 10.1111/j.1541-0420.2009.01191.x) for the PIT histogram.
Every function takes float64 arrays without NaN; unknown rows are left out before.
"""

from __future__ import annotations

import numpy as np

PIT_BINS = 10


def pinball(truth: np.ndarray, quantile: np.ndarray, level: float) -> np.ndarray:
    """Loss of a quantile, shape (N,), in the target's unit.

    level * (y - q) where y >= q, else (1 - level) * (q - y).
    """
    ahead = truth - quantile
    loss: np.ndarray = np.maximum(level * ahead, (level - 1.0) * ahead)
    return loss


def crps_quantiles(truth: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score from quantiles, shape (N,), in the target's unit.

    CRPS = 2 * integral of the pinball loss over the level, as a sum in which each level stands for
    the span half-way to its neighbours (and to 0 and 1 at the ends).

    Args:
        truth: Observations, shape (N,).
        quantiles: Shape (N, Q), not decreasing along the second axis.
        levels: In (0, 1), ascending, shape (Q,).
    """
    middle = (levels[1:] + levels[:-1]) / 2.0
    spans = np.diff(np.concatenate([[0.0], middle, [1.0]]))
    ahead = truth[:, None] - quantiles
    losses = np.maximum(levels * ahead, (levels - 1.0) * ahead)
    total: np.ndarray = 2.0 * (losses @ spans)
    return total


def interval_score(
    truth: np.ndarray, low: np.ndarray, high: np.ndarray, share: float
) -> np.ndarray:
    """Score of a central interval meant to hold `share` of the observations, shape (N,).

    Its width, plus 2 / (1 - share) times the distance by which the observation lies outside.
    """
    penalty = 2.0 / (1.0 - share)
    score: np.ndarray = (
        (high - low)
        + penalty * np.maximum(low - truth, 0.0)
        + penalty * np.maximum(truth - high, 0.0)
    )
    return score


def pit_histogram(truth: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Shares of observations in tenths of the forecast distribution, shape (PIT_BINS,); flat = 0.1.

    An observation that equals several tenths' borders (humidity at 100 %) is spread evenly over
    the bins between them.

    Args:
        truth: Observations, shape (N,).
        quantiles: Shape (N, Q).
        levels: Shape (Q,); must hold 0.1, 0.2 .. 0.9.

    Raises:
        ValueError: A tenth is not among the levels, or no rows.
    """
    tenths = np.arange(1, PIT_BINS) / PIT_BINS
    columns = [int(np.argmin(np.abs(levels - tenth))) for tenth in tenths]
    if not np.allclose(levels[columns], tenths):
        raise ValueError("pit_histogram: the levels lack a tenth")
    if len(truth) == 0:
        raise ValueError("pit_histogram: no rows")
    borders = quantiles[:, columns]
    first = (borders < truth[:, None]).sum(axis=1)
    last = (borders <= truth[:, None]).sum(axis=1)
    weight = 1.0 / (last - first + 1)
    # A mass of `weight` in every bin first..last, summed by differences.
    edges = np.bincount(first, weight, PIT_BINS + 1) - np.bincount(last + 1, weight, PIT_BINS + 1)
    histogram: np.ndarray = np.cumsum(edges)[:PIT_BINS] / len(truth)
    return histogram
