"""How the parts of a model are combined, and how wide its intervals are: both from unseen hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import lsq_linear

from edge_agent.contract import residuals
from edge_agent.contract.errors import BadData
from edge_agent.contract.residuals import FEWEST, KNOTS
from edge_agent.contract.schema import LEADS
from trainer.evaluation.daily_sums import SEASONS

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.contract.manifest import ResidualTable

MEMBERS: Final = 3
"""Ridge, trees on its rest, trees on the whole change."""

FAR_LEAD: Final = 10
"""From this lead on the trees on the whole change take part; nearer by they cannot follow."""

NEAR: Final = 2
"""Leads on either side whose errors help to weigh a lead."""

NEIGHBOURS: Final = 2
"""Knots on either side over which the factors of intervals are averaged."""

LINEAR_ONLY: Final = np.tile(np.array([1.0, 0.0, 0.0], np.float32), (len(LEADS), 1))


def weights(members: np.ndarray, change: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Weights of the members at each lead: least squares on unseen hours, within bounds.

    The forecast is v (ridge + s rest) + (1 - v) change with v and s in 0..1: a mean of two whole
    forecasts, and a share of the correction to one of them. Free weights would shrink everything,
    since the members judged here saw fewer years than those that serve.

    Trees cut smooth relations into steps: an hour ahead they cost more than they bring, a day
    ahead they know what the ridge cannot. How much, the errors of left-out years tell.

    Args:
        members: Cross-fitted predictions, shape (N, 3).
        change: Truth minus reference, shape (N,), NaN = unknown.
        leads: Hours ahead, shape (N,).

    Returns:
        Float32, shape (48, 3): v, v s, 1 - v.
    """
    known = np.isfinite(change) & np.isfinite(members).all(axis=1)
    out = LINEAR_ONLY.copy()
    for lead in LEADS:
        rows = known & (np.abs(leads - lead) <= NEAR)
        if int(rows.sum()) <= 10 * MEMBERS:
            continue
        ridge, rest, whole = members[rows].T
        if lead >= FAR_LEAD + NEAR:
            design = np.stack([ridge - whole, rest], axis=1)
            v, share = lsq_linear(design, change[rows] - whole, bounds=(0.0, 1.0)).x
        else:
            v = 1.0
            (share,) = lsq_linear(rest[:, None], change[rows] - ridge, bounds=(0.0, 1.0)).x
        out[lead - 1] = v, min(share, v), 1.0 - v
    return out


def weighted(weights: np.ndarray, leads: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Members (N, 3) added up by the output of `weights` at each lead (N,), shape (N,)."""
    total: np.ndarray = (weights[leads - 1] * members).sum(axis=1)
    return total


def intervals(
    times: pl.Series, leads: np.ndarray, errors: np.ndarray, block: np.ndarray
) -> ResidualTable:
    """Residual table from unseen errors, widened by what one part of the record says of another.

    Years differ: quantiles of the other parts cover less of a part than they promise, more so
    further ahead. For each part and knot there is a factor that would have made its 80 % interval
    right; the mean over parts and over neighbouring knots (the factors of three parts are noisy)
    is applied at each knot. Intervals are never narrowed. A season with too few errors, as a long
    gap leaves it, takes those of the whole year.

    Args:
        times: Target hours, UTC, length N.
        leads: Hours ahead, shape (N,).
        errors: Observed minus forecast, shape (N,), NaN = unknown.
        block: Part of the record of each row, shape (N,).

    Raises:
        BadData: Too few errors.
    """
    factors = []
    for part in np.unique(block):
        inside = block == part
        try:
            others = residuals.fit(times.filter(~inside), leads[~inside], errors[~inside])
        except BadData:
            # The other parts lack a season: they can say nothing of this one.
            continue
        around = residuals.spread(others, times.filter(inside), leads[inside])
        reach = residuals.reach(around, errors[inside])
        if len(np.unique(residuals.nearest_knot(leads[inside][~np.isnan(reach)]))) == len(KNOTS):
            factors.append(_factors(reach, leads[inside]))
    table = residuals.fit(times, leads, errors, whole_year=True)
    if not factors:
        return table
    padded = np.pad(np.mean(factors, axis=0), NEIGHBOURS, mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1).mean(axis=1)
    return residuals.scaled(table, np.maximum(1.0, smooth))


def thin_seasons(times: pl.Series, leads: np.ndarray, errors: np.ndarray) -> list[str]:
    """Seasons that have too few errors at some knot for quantiles of their own.

    Args:
        times: Target hours, UTC, length N.
        leads: Hours ahead, shape (N,).
        errors: Shape (N,), NaN = unknown.
    """
    season, _ = residuals.cells(times)
    known = np.isfinite(errors)
    cell = (season * len(KNOTS) + residuals.nearest_knot(leads))[known]
    counts = np.bincount(cell, minlength=residuals.SEASONS * len(KNOTS)).reshape(-1, len(KNOTS))
    return [name for name, few in zip(SEASONS, counts.min(axis=1), strict=True) if few < FEWEST]


def _factors(reach: np.ndarray, leads: np.ndarray) -> list[float]:
    known = np.isfinite(reach) | np.isposinf(reach)
    knot = residuals.nearest_knot(leads)
    low, high = residuals.NOMINAL
    return [float(np.quantile(reach[known & (knot == k)], high - low)) for k in range(len(KNOTS))]


def widening(leads: np.ndarray, errors: np.ndarray, lacking: np.ndarray) -> tuple[float, ...]:
    """Root mean squared error without a group of inputs over that with it, at each knot.

    Args:
        leads: Hours ahead, shape (N,).
        errors: With all inputs, shape (N,), NaN = unknown.
        lacking: Without the group, shape (N,).

    Returns:
        One number for each of `residuals.KNOTS`, at least 1; 1 where a knot has no pairs.
    """
    knot = residuals.nearest_knot(leads)
    known = np.isfinite(errors) & np.isfinite(lacking)
    factors = []
    for k in range(len(KNOTS)):
        rows = known & (knot == k)
        before, after = (float(np.square(e[rows]).sum()) for e in (errors, lacking))
        factors.append(max(1.0, round((after / before) ** 0.5, 3)) if before else 1.0)
    return tuple(factors)
