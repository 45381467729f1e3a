"""Corrected forecasts of KMA for past hours, beside what they are held against. Pure.

Every forecast reads the newest issue that was readable at its origin, as a device does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract.guidance_features import NAMES, GuidanceInputs
from edge_agent.contract.schema import QUANTITIES, TARGETS
from trainer.evaluation.daily_sums import (
    DAMPED_GUIDANCE,
    GUIDED,
    MEAN_CORRECTED,
    OBSERVATIONS,
    RAW_GUIDANCE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.guidance_course import GuidanceCourse
    from edge_agent.contract.manifest import GuidanceModels
    from edge_agent.system.ports import Predictor
    from trainer.evaluation.dataset import StationSeries

MEAN_H: Final = 30 * 24
"""Hours whose mean error `MEAN_CORRECTED` takes off."""
FEWEST: Final = 24
"""Errors below which it takes off nothing."""


def guided_forecasts(
    guidance: GuidanceModels,
    predictors: Mapping[str, Predictor],
    inputs: GuidanceInputs,
    pairs: tuple[np.ndarray, np.ndarray],
    observed: Mapping[str, np.ndarray],
) -> dict[str, dict[str, np.ndarray]]:
    """Forecasts of every target at N pairs of origin and lead of one place.

    Args:
        guidance: Of the release.
        predictors: Its models, by target.
        inputs: What the place saw, and what was forecast for it.
        pairs: Origins in hours since 1970, and leads in `schema.LEADS`, both shape (N,).
        observed: Per target, forecasts of the models of observations, float64 (N,).

    Returns:
        Target -> name of the forecast -> float64 (N,), NaN where there is no guidance.
    """
    origins, leads = pairs
    forecasts = {}
    for target in TARGETS:
        matrix = inputs.matrix(target, origins, leads)
        raw, damped = (matrix[:, NAMES.index(x)].astype(np.float64) for x in ("guidance", "base"))
        there = np.isfinite(raw)
        corrected = np.full(len(raw), np.nan)
        corrected[there] = predictors[target].predict(matrix[there])
        share = np.array(guidance.shares[target])[leads - 1]
        joined = share * corrected + (1.0 - share) * observed[target]
        mean = trailing_mean(inputs.errors[target])[origins - inputs.first]
        limits = QUANTITIES[target].bounds
        forecasts[target] = {
            GUIDED: np.where(np.isnan(observed[target]), corrected, joined),
            RAW_GUIDANCE: raw,
            MEAN_CORRECTED: np.clip(raw + mean, *limits),
            DAMPED_GUIDANCE: np.clip(damped, *limits),
            OBSERVATIONS: np.where(there, observed[target], np.nan),
        }
    return forecasts


def at_a_new_place(
    predictors: Mapping[str, Predictor],
    course: GuidanceCourse,
    series: StationSeries,
    pairs: tuple[np.ndarray, np.ndarray],
) -> dict[str, np.ndarray]:
    """Corrections as on the first day of a farm that took no part: nothing is known of its hours.

    Args:
        predictors: That correct KMA's forecasts, by target.
        course: What was forecast for the place.
        series: The place.
        pairs: See `guided_forecasts`.

    Returns:
        Target -> float64 (N,), NaN where there is no guidance.
    """
    unknown = series.frame.with_columns(pl.lit(None, pl.Float64).alias(t) for t in TARGETS)
    inputs = GuidanceInputs.of(unknown, course, series.place.site)
    forecasts = {}
    for target in TARGETS:
        matrix = inputs.matrix(target, *pairs)
        there = np.isfinite(matrix[:, NAMES.index("guidance")])
        values = np.full(len(there), np.nan)
        values[there] = predictors[target].predict(matrix[there])
        forecasts[target] = values
    return forecasts


def trailing_mean(errors: np.ndarray) -> np.ndarray:
    """Mean of the newest `MEAN_H` hours at each hour; 0 where fewer than `FEWEST` are known.

    Args:
        errors: Hourly, shape (N,), NaN = unknown.
    """
    known = np.isfinite(errors)
    totals = np.concatenate([[0.0], np.cumsum(np.where(known, errors, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    hours = np.arange(1, len(errors) + 1)
    first = np.maximum(hours - MEAN_H, 0)
    total, count = totals[hours] - totals[first], counts[hours] - counts[first]
    return np.where(count >= FEWEST, total / np.maximum(count, 1), 0.0)
