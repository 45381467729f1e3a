"""Fit of a farm's correction: ridge regression on the shared model's errors there. Pure.

Forward chaining gives the values to judge by: each block of hours is corrected by a fit on the
days before it, so that no hour is corrected by what was learned from it or after it. The same
fit on all days is what a release carries.

The weights of a knot are fitted on the leads within half of its own on either side: their errors
have the same cause. The penalty is `PENALTY` a row for terms of mean square 1, as ridge regression
has it (Hoerl and Kennard 1970, doi 10.1080/00401706.1970.10488634).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_agent.contract import residuals
from edge_agent.contract.site_correction import KNOTS, TERMS

PENALTY: Final = 0.3
SLOW_PENALTY: Final = 0.1
"""Less for the constant and the season: an offset is what two places differ by first."""

FIRST_DAYS: Final = 60
"""Days with hours that a fit needs, and a factor of the spread."""

BLOCK_DAYS: Final = 30
GUARD_DAYS: Final = 2
"""Between the last hour of a fit and its block: no target of the one is after an origin of the
other, as the longest lead is two days."""

LEAST_SPREAD, MOST_SPREAD = 0.5, 2.0

PARAMETERS: Final = {
    "penalty": PENALTY,
    "slow_penalty": SLOW_PENALTY,
    "first_days": FIRST_DAYS,
    "block_days": BLOCK_DAYS,
    "guard_days": GUARD_DAYS,
    "least_spread": LEAST_SPREAD,
    "most_spread": MOST_SPREAD,
}
"""What makes two ways of fitting different."""

_NEAR: Final = np.array(
    [[abs(lead - knot) <= (0.5 * knot if knot > 2 else 0.0) for lead in KNOTS] for knot in KNOTS]
)
"""Whether a lead takes part in the fit of a knot: (len(KNOTS), len(KNOTS))."""

_FAR: Final = 100.0
_SLOW: Final = ("one", "season_sin", "season_cos")
_PENALTY: Final = np.array([SLOW_PENALTY if name in _SLOW else PENALTY for name in TERMS])
_YEAR: Final = np.array([1.0, *[0.5] * 6, *[0.25] * 4, *[0.0] * (len(TERMS) - 11)])
"""Mean square of a term over a year; 0 = that of the history: anomalies have no fixed size."""


@dataclass(frozen=True, slots=True)
class ModelErrors:
    """Errors of the shared model of one target at N pairs of origin and lead.

    Attributes:
        terms: Output of `site_correction.terms`, float64 (N, len(TERMS)).
        leads: Hours ahead, each one of KNOTS, shape (N,).
        days: Target hour in days since the first one, shape (N,).
        errors: Observed minus forecast, shape (N,), NaN = unknown.
        around: The release's quantiles around its forecast: see `residuals.spread`.
    """

    terms: np.ndarray
    leads: np.ndarray
    days: np.ndarray
    errors: np.ndarray
    around: np.ndarray


@dataclass(frozen=True, slots=True)
class ForwardChain:
    """Corrections by forward chaining at each pair.

    Attributes:
        change: To add to the forecast, shape (N,), NaN where too few days are before.
        spread: Factor of the interval, shape (N,).
    """

    change: np.ndarray
    spread: np.ndarray


def forward_chain(model: ModelErrors) -> ForwardChain:
    """Forward chaining: blocks of BLOCK_DAYS, each corrected by a fit on the days before it.

    The first block begins when there are FIRST_DAYS days with a known error, and the guard.
    """
    out = ForwardChain(np.full(len(model.errors), np.nan), np.ones(len(model.errors)))
    known = np.unique(model.days[np.isfinite(model.errors)].astype(np.intp))
    if len(known) < FIRST_DAYS:
        return out
    starts = np.arange(known[FIRST_DAYS - 1] + 1 + GUARD_DAYS, model.days.max() + 1, BLOCK_DAYS)
    block = np.searchsorted(starts, model.days, side="right") - 1
    # Rows that the fits of block b and of all later ones use have part b or less.
    part = np.searchsorted(starts - GUARD_DAYS, model.days, side="right")
    moments = _moments(model, part, len(starts) + 1).cumsum(axis=1)
    for b in range(len(starts)):
        here = block == b
        out.change[here] = _change(model, _weights(moments[:, b]), here)
    for b in range(len(starts)):
        here = block == b
        out.spread[here] = spread(model, out.change, part <= b)[_knot(model.leads[here])]
    return out


def weights(model: ModelErrors) -> np.ndarray:
    """Weights fitted on all pairs: (len(KNOTS), len(TERMS)), in the target's unit."""
    everything = np.zeros(len(model.errors), np.intp)
    return _weights(_moments(model, everything, 1)[:, 0])


def spread(model: ModelErrors, change: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Factor of the release's intervals at each knot, shape (len(KNOTS),).

    With it, the 80 % interval around the corrected forecasts holds 80 % of the observations. It is
    1 where there are fewer than FIRST_DAYS days.

    Args:
        model: Errors of the shared model.
        change: Of forward chaining, NaN = not known.
        used: Mask of the pairs that may be looked at.
    """
    reach = np.minimum(residuals.reach(model.around, model.errors - change), _FAR)
    known = used & np.isfinite(reach)
    low, high = residuals.NOMINAL
    knot = _knot(model.leads)
    out = np.ones(len(KNOTS))
    for k in range(len(KNOTS)):
        rows = known & (knot == k)
        if len(np.unique(model.days[rows].astype(np.intp))) >= FIRST_DAYS:
            out[k] = np.quantile(reach[rows], high - low)
    return np.clip(out, LEAST_SPREAD, MOST_SPREAD)


def _moments(model: ModelErrors, part: np.ndarray, parts: int) -> np.ndarray:
    """Per knot and part, sums of products of terms and error of its own lead: (K, parts, T+1, T+1).

    Everything that a fit needs: of columns, the last one the error, and the first all ones.
    """
    out = np.zeros((len(KNOTS), parts, len(TERMS) + 1, len(TERMS) + 1))
    known = np.isfinite(model.errors)
    for k, knot in enumerate(KNOTS):
        for p in range(parts):
            rows = known & (part == p) & (model.leads == knot)
            columns = np.column_stack([model.terms[rows], model.errors[rows]])
            out[k, p] = columns.T @ columns
    return out


def _weights(moments: np.ndarray) -> np.ndarray:
    """Weights of every knot from the moments of each lead: (K, T+1, T+1) -> (K, T)."""
    return np.stack([_ridge(moments[near].sum(axis=0)) for near in _NEAR])


def _ridge(moment: np.ndarray) -> np.ndarray:
    """Weights from sums of products; zeros without rows.

    Nothing is centred: what a history of one season shows is then taken half for an offset of the
    whole year and half for one of that season, and not carried over into all others.
    """
    rows = moment[0, 0]
    if rows == 0:
        return np.zeros(len(TERMS))
    products, with_error = moment[:-1, :-1], moment[:-1, -1]
    size = np.where(_YEAR > 0.0, _YEAR, np.diag(products) / rows)
    size[size == 0.0] = 1.0
    solution: np.ndarray = np.linalg.solve(products + np.diag(_PENALTY * size * rows), with_error)
    return solution


def _change(model: ModelErrors, fitted: np.ndarray, rows: np.ndarray) -> np.ndarray:
    change: np.ndarray = (model.terms[rows] * fitted[_knot(model.leads[rows])]).sum(axis=1)
    return change


def _knot(leads: np.ndarray) -> np.ndarray:
    """Position of each lead in KNOTS."""
    return np.searchsorted(KNOTS, leads)
