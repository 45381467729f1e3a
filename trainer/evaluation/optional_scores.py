"""Optional targets on past hours: their inputs, forecasts and scores. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_agent.contract import optional_targets, residuals
from trainer.evaluation.dataset import times
from trainer.evaluation.hindcast import Hindcast
from trainer.evaluation.holdout_scores import MODEL, coverage_80
from trainer.evaluation.point_scores import by_lead, common

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.optional_targets import Tables
    from trainer.evaluation.dataset import Pairs, StationSeries
    from trainer.evaluation.hindcast import ReleaseModels
    from trainer.evaluation.holdout import Holdout
    from trainer.evaluation.holdout_scores import Metrics


def holdout_inputs(target: str, tables: Tables, holdout: Holdout) -> np.ndarray:
    """Inputs of a target at the pairs of a holdout, float32 (N, F + A).

    The added columns are NaN at stations without normals of the target.
    """
    added = np.full((len(holdout.leads), len(optional_targets.ADDED[target])), np.nan, np.float32)
    hours = holdout.times.dt.epoch("s").to_numpy() // 3600
    for number in np.unique(holdout.stations):
        normals = tables.normals.get(str(number))
        if normals is not None:
            rows = np.flatnonzero(holdout.stations == number)
            pairs = optional_targets.Pairs(
                holdout.matrix[rows], holdout.recent[target][rows], hours[rows]
            )
            added[rows] = optional_targets.added(target, pairs, normals)
    return np.hstack([holdout.matrix, added])


def scored(
    metrics: Metrics,
    target: str,
    holdout: Holdout,
    forecasts: Mapping[str, np.ndarray],
    tables: Tables,
) -> Metrics:
    """Metrics with the scores of a target.

    Args:
        metrics: Of the run so far.
        target: One of `schema.OPTIONAL_TARGETS`.
        holdout: Unseen hours.
        forecasts: `MODEL` and the references, float64 (N,).
        tables: Of the target.
    """
    truth, leads = holdout.truth[target], holdout.leads
    known = np.flatnonzero(common(truth, forecasts))
    spread = residuals.apply(
        tables.residuals,
        target,
        forecasts[MODEL][known],
        holdout.times.gather(known).to_list(),
        leads[known],
        widened=optional_targets.spread(forecasts[MODEL][known]),
    )
    covered = coverage_80(spread, truth[known], leads[known])
    return msgspec.structs.replace(
        metrics,
        scores={**metrics.scores, target: by_lead(forecasts, truth, leads)},
        coverage_80={**metrics.coverage_80, target: covered},
    )


def optional_hindcasts(
    release: ReleaseModels, series: StationSeries, pairs: Pairs, matrix: np.ndarray
) -> dict[str, tuple[np.ndarray, Hindcast]]:
    """Inputs and forecasts by optional target at N pairs of a station.

    Args:
        release: Its optional targets; one without normals of the station is left out.
        series: The station.
        pairs: Of it alone.
        matrix: Inputs of `contract.features`, float32 (N, F).
    """
    hindcasts = {}
    hours = times([series], pairs).dt.epoch("s").to_numpy() // 3600
    for target, model in release.optional.items():
        normals = model.tables.normals.get(str(series.number))
        if normals is None:
            continue
        recent = optional_targets.recent(target, series.table)[pairs.origins]
        inputs = optional_targets.extended(
            target, optional_targets.Pairs(matrix, recent, hours), normals
        )
        values = model.predictor.predict(inputs).astype(np.float64)
        widened = optional_targets.spread(values)
        hindcasts[target] = (inputs, Hindcast(values, model.tables.residuals, widened))
    return hindcasts
