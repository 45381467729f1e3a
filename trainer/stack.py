"""How the parts of a model are combined, and how wide its intervals are: both from unseen hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import nnls

from edge_agent.contract import residuals
from edge_agent.contract.schema import LEADS
from edge_agent.errors import BadData

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.contract.manifest import ResidualTable

MEMBERS: Final = 3
"""Linear, trees on its rest, trees on the whole change."""

FAR_LEAD: Final = 10
"""From this lead on the trees on the whole change take part; nearer by they cannot follow."""

NEAR: Final = 2
"""Leads on either side whose errors help to weigh a lead."""

NOMINAL: Final = (0.1, 0.9)

LINEAR_ONLY: Final = np.tile(np.array([1.0, 0.0, 0.0], np.float32), (len(LEADS), 1))


def weights(members: np.ndarray, change: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Weights of the members at each lead: non-negative least squares on unseen hours.

    Trees cut smooth relations into steps: an hour ahead they cost more than they bring, a day
    ahead they know what the ridge cannot. How much, the errors of left-out years tell.

    Args:
        members: Cross-fitted predictions, shape (N, 3).
        change: Truth minus reference, shape (N,), NaN = unknown.
        leads: Hours ahead, shape (N,).

    Returns:
        Float32, shape (48, 3).
    """
    known = np.isfinite(change) & np.isfinite(members).all(axis=1)
    out = LINEAR_ONLY.copy()
    for lead in LEADS:
        rows = known & (np.abs(leads - lead) <= NEAR)
        used = MEMBERS if lead >= FAR_LEAD + NEAR else MEMBERS - 1
        if int(rows.sum()) > 10 * MEMBERS:
            out[lead - 1] = 0.0
            out[lead - 1, :used] = nnls(members[rows, :used], change[rows])[0]
    return out


def intervals(
    times: pl.Series, leads: np.ndarray, errors: np.ndarray, block: np.ndarray
) -> ResidualTable:
    """Residual table from unseen errors, widened by what one part of the record says of another.

    Years differ: quantiles of the other parts cover less of a part than they promise. The one
    factor that would have made the 80 % intervals right on average is applied to the table.

    Args:
        times: Target hours, UTC, length N.
        leads: Hours ahead, shape (N,).
        errors: Observed minus forecast, shape (N,), NaN = unknown.
        block: Part of the record of each row, shape (N,).

    Raises:
        BadData: Too few errors in a season.
    """
    ratios = []
    for part in np.unique(block):
        inside = block == part
        try:
            others = residuals.fit(times.filter(~inside), leads[~inside], errors[~inside])
        except BadData:
            # The other parts lack a season: they can say nothing of this one.
            continue
        around = residuals.spread(others, times.filter(inside), leads[inside])
        low, high = (around[:, residuals.LEVELS.index(level)] for level in NOMINAL)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(errors[inside] < 0, errors[inside] / low, errors[inside] / high)
        # A limit on the wrong side of zero cannot be reached by widening.
        ratios.append(np.where(ratio < 0, np.inf, ratio)[np.isfinite(errors[inside])])
    table = residuals.fit(times, leads, errors)
    if not ratios:
        return table
    factor = float(np.quantile(np.concatenate(ratios), NOMINAL[1] - NOMINAL[0]))
    return residuals.scaled(table, max(1.0, factor))
