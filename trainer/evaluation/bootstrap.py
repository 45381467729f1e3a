"""How sure a difference is, with days as the sample. Pure.

Weather errors hang together for days and between the stations of a country, so hours and stations
are no independent draws: both tools take one number a day.

Sources: moving blocks: Kuensch 1989 (doi 10.1214/aos/1176347265); test: Diebold and Mariano 1995
in the form of Hering and Genton 2011 (doi 10.1198/TECH.2011.10136), whose variance comes from a
fitted exponential covariance and so is never negative.
"""

from __future__ import annotations

import math

import numpy as np

DRAWS = 2000
BLOCK_DAYS = 7


def weights(days: int, seed: int, *, draws: int = DRAWS, block: int = BLOCK_DAYS) -> np.ndarray:
    """How often each day stands in each resampled record: float64 (draws, days), rows sum to days.

    Blocks of consecutive days are drawn with replacement; the last one is cut to fit.

    Raises:
        ValueError: Fewer days than one block.
    """
    if days < block:
        raise ValueError(f"bootstrap: {days} days are fewer than one block of {block}")
    random = np.random.default_rng(seed)
    blocks = math.ceil(days / block)
    starts = random.integers(0, days - block + 1, size=(draws, blocks))
    chosen = (starts[:, :, None] + np.arange(block)).reshape(draws, -1)[:, :days]
    flat = (np.arange(draws)[:, None] * days + chosen).ravel()
    counts = np.bincount(flat, minlength=draws * days).reshape(draws, days)
    return counts.astype(np.float64)


def diebold_mariano(differences: np.ndarray) -> float:
    """Statistic of "the mean difference is zero", standard normal under that; below 0 = smaller.

    mean / sqrt(V / n) with V = sum over all lags of s^2 * r^|lag|, fitted by least squares to the
    sample autocovariances up to half the length, 0 <= r < 1.

    Args:
        differences: One a day, in order, shape (n,).

    Returns:
        NaN where the differences do not vary or are fewer than four.
    """
    n = len(differences)
    centred = differences - differences.mean()
    lags = np.arange((n - 1) // 2)
    if n < 4 or not np.any(centred):
        return math.nan
    sample = np.array([float(centred[: n - lag] @ centred[lag:]) / n for lag in lags])
    ratios = np.linspace(0.0, 0.99, 991)
    powers = ratios[:, None] ** lags
    scale = np.maximum(powers @ sample, 0.0) / (powers**2).sum(axis=1)
    misfit = ((scale[:, None] * powers - sample) ** 2).sum(axis=1)
    best = int(np.argmin(misfit))
    tail = np.arange(1, n)
    variance = scale[best] * (1.0 + 2.0 * float(np.sum(ratios[best] ** tail)))
    return float(differences.mean() / math.sqrt(variance / n)) if variance > 0.0 else math.nan
