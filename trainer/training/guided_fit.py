"""Fitting the models that correct KMA's forecasts (MOS), their intervals and their shares.

Intervals and shares come from cross-fitting: the training span is cut into `PARTS` blocks of time,
each block is forecast by models that saw neither it nor `GUARD_H` hours on either side of it. The
holdout takes no part.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge_agent.contract import guidance_features, residuals
from edge_agent.contract.errors import BadData
from edge_agent.contract.guidance_features import GUIDED_LEADS
from edge_agent.contract.residuals import GUIDED_KNOTS
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY, TARGETS
from trainer.training import guided_dropout, guided_sample
from trainer.training.guided_model import BASE, NEAR, GuidedFit, GuidedModel, around, scale_of
from trainer.training.guided_sample import sample, times_of
from trainer.training.trees import Binned, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from edge_agent.contract.manifest import ResidualTable
    from trainer.training.forecast_model import UnseenForecasts
    from trainer.training.guided_sample import GuidedSample, Rows
    from trainer.training.lake_source import LakeSource

TREES: Final[Mapping[str, Any]] = {
    "objective": "regression",
    "num_leaves": 15,
    "min_data_in_leaf": 400,
    "bagging_fraction": 0.4,
    "bagging_freq": 1,
    "feature_fraction": 0.6,
    "lambda_l2": 5.0,
    "max_bin": 127,
}
RATES: Final = {AIR_TEMPERATURE: 0.09, RELATIVE_HUMIDITY: 0.05}
"""Learning rate by target: at the higher one humidity learns the training years beyond 12 h."""
ROUNDS: Final = 130
PARTS: Final = 6
GUARD_H: Final = 4 * 24
LEAST_DAYS: Final = 180
"""Days with forecasts and observations below which no such model is fitted."""
FEWEST_SHARED: Final = 2000
"""Pairs below which shares are not measured."""
SHARES_OTHERWISE: Final = tuple(1.0 if lead >= 6 else 0.5 for lead in LEADS)


def parameters() -> dict[str, object]:
    """Parameters that a fit follows from, for the lineage."""
    return {
        "trees": dict(TREES),
        "rates": dict(RATES),
        "rounds": ROUNDS,
        "parts": PARTS,
        "guard_h": GUARD_H,
        "pairs": guided_sample.PAIRS,
        "leads_of_origin": guided_sample.LEADS_OF_ORIGIN,
        "stale": [guided_sample.STALE, guided_sample.STALEST_H],
        "silent": guided_dropout.SILENT,
        "cold": guided_dropout.COLD,
        "begun": guided_dropout.BEGUN,
        "features_digest": guidance_features.digest(),
    }


def fit_guided(
    sources: Sequence[LakeSource],
    end: datetime,
    unseen: UnseenForecasts,
    *,
    seed: int,
    threads: int,
    progress: Callable[[str], None],
) -> tuple[GuidedFit | None, str]:
    """Fit both targets on hours before `end`.

    Args:
        sources: Places; those count that have forecasts in the archive.
        end: Targets lie before it.
        unseen: Unseen forecasts of the observation models.
        seed: Of every draw and of LightGBM.
        threads: LightGBM's; 0 = all cores.
        progress: Told each step before it begins.

    Returns:
        The fit, or None and the reason.
    """
    progress("pairs with KMA's forecasts")
    drawn = sample(sources, end, unseen, seed)
    if drawn is None:
        return None, "the archive has no KMA forecasts of the stations' cells before training ends"
    days = len(np.unique(drawn.drawn.days))
    if days < LEAST_DAYS:
        return None, f"KMA forecasts of {days} days before training ends, {LEAST_DAYS} are needed"
    fitted = GuidedFit({}, {}, {}, drawn.places)
    try:
        for target in TARGETS:
            progress(f"{target}: correction of KMA's forecasts")
            trees = {**TREES, "learning_rate": RATES[target]}
            recipe = Recipe(trees, ROUNDS, seed, threads)
            _fit_target(target, drawn, recipe, fitted)
    except BadData as fault:
        return None, str(fault)
    return fitted, ""


def _fit_target(target: str, drawn: GuidedSample, recipe: Recipe, fitted: GuidedFit) -> None:
    rows, thinned, shared = drawn.drawn, drawn.thinned[target], drawn.shared
    truth = rows.truth[target]
    scale = scale_of(rows.leads, truth - rows.inputs[target][:, BASE], GUIDED_LEADS[-1])
    binned = Binned(thinned, recipe)
    values = (truth - thinned[:, BASE]) / scale[rows.leads - 1]
    make = partial(GuidedModel, target, scale=scale)
    borders = np.linspace(rows.hours.min(), rows.hours.max() + 1, PARTS + 1)
    block, other_block = (
        np.clip(np.searchsorted(borders, hours, side="right") - 1, 0, PARTS - 1)
        for hours in (rows.hours, shared.hours)
    )
    unseen, compared = np.full(len(block), np.nan), np.full(len(other_block), np.nan)
    for part in range(PARTS):
        near = (rows.hours >= borders[part] - GUARD_H) & (rows.hours < borders[part + 1] + GUARD_H)
        far = np.flatnonzero(~near & np.isfinite(values))
        if len(far) < 2 * TREES["min_data_in_leaf"]:
            raise BadData(f"{target}: too few pairs with KMA's forecasts outside of a part")
        model = make(trees=binned.fit(far, values[far]))
        unseen[block == part] = model.predict(rows.inputs[target][block == part])
        compared[other_block == part] = model.predict(shared.inputs[target][other_block == part])
    fitted.models[target] = make(trees=binned.fit(np.arange(len(values)), values))
    fitted.residuals[target] = intervals(rows.hours, rows.leads, truth - unseen)
    fitted.shares[target] = shares_of(target, shared, compared)


def intervals(hours: np.ndarray, leads: np.ndarray, errors: np.ndarray) -> ResidualTable:
    """Residual table from unseen errors: the mean of the season's quantiles and the year's.

    A place has one season of each kind or two, so that half of what sets its season apart is the
    weather of these years.

    Args:
        hours: Target hours since 1970, shape (N,).
        leads: Hours ahead, shape (N,).
        errors: Observed minus forecast, shape (N,), NaN = unknown.

    Raises:
        BadData: Too few errors.
    """
    by_season, by_year = (
        residuals.fit(times_of(at), leads, errors, whole_year=True, knots=GUIDED_KNOTS)
        # All hours on one day are of one season, and the others take theirs.
        for at in (hours, hours % 24)
    )
    return residuals.averaged(by_season, by_year)


def shares_of(target: str, shared: Rows, guided: np.ndarray) -> tuple[float, ...]:
    """Weight of the guided forecasts beside the observation models', at each of `LEADS`.

    Least squares on unseen hours within 0..1, over a lead and its neighbours, then smoothed.

    Args:
        target: Quantity.
        shared: Pairs with forecasts of the observation models.
        guided: Unseen forecasts of the guided models at the pairs, shape (N,).
    """
    truth, other = shared.truth[target], shared.others[target]
    known = np.isfinite(truth) & np.isfinite(other) & np.isfinite(guided)
    if int(known.sum()) < FEWEST_SHARED:
        return SHARES_OTHERWISE
    ahead = shared.leads[known]
    gap = (guided - other)[known]
    length = len(LEADS) + 1
    products = around(np.bincount(ahead, gap * (truth - other)[known], length))
    squares = around(np.bincount(ahead, gap**2, length))
    raw = np.where(squares > 0, products / np.maximum(squares, 1e-9), SHARES_OTHERWISE)
    padded = np.pad(np.clip(raw, 0.0, 1.0), NEAR, mode="edge")
    smooth = np.convolve(padded, np.full(2 * NEAR + 1, 1.0 / (2 * NEAR + 1)), "valid")
    return tuple(round(float(share), 3) for share in smooth)
