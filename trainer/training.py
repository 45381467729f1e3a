"""Fitting one candidate: a ridge, two forests, their weights by lead, intervals from unseen errors.

Intervals come from cross-fitting: the training span is cut into `PARTS` blocks of time, each block
is forecast by models that never saw it (nor the week on either side of it), and the errors of all
blocks make the residual table. The holdout takes no part in any of this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract import residuals
from edge_agent.contract.schema import LEADS, TARGETS
from trainer import baselines, stack
from trainer.dataset import WARM_UP_HOURS, Pairs, drop_inputs, gather, row_of, times, training_pairs
from trainer.dataset import truth as truth_of
from trainer.export import ForecastModel
from trainer.linear import Accumulator, leads_of, reference_of
from trainer.model import Recipe, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edge_agent.contract.manifest import ResidualTable
    from trainer.dataset import Split, StationSeries

PARTS = 3
PAIRS = 300_000
"""Pairs of origin and lead that trees are grown on; more changed the third decimal on Seoul."""

LINEAR_ROWS = 60_000
"""Most rows per lead for the linear base."""

DROP_SHARE = 0.1
GUARD = np.timedelta64(7, "D")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A candidate before export.

    Attributes:
        models: Per target.
        residuals: Of the models, per target, from cross-fitted errors.
        climatology_residuals: Of the normals, per target.
        damped: The damped-anomaly baseline, per target.
    """

    models: dict[str, ForecastModel]
    residuals: dict[str, ResidualTable]
    climatology_residuals: dict[str, ResidualTable]
    damped: dict[str, baselines.DampedAnomaly]


def fit_candidate(
    series: Sequence[StationSeries],
    split: Split,
    *,
    seed: int,
    threads: int,
    progress: Callable[[str], None],
) -> Fitted:
    """Fit both targets on hours before `split.train_end`.

    Args:
        series: Stations, with normals from the same hours.
        split: Borders.
        seed: Of every draw and of LightGBM.
        threads: LightGBM's; 0 = all cores.
        progress: Told each step before it begins.
    """
    progress("linear base")
    borders = _borders(split)
    gram = _accumulate(series, split.train_end, borders)
    pairs = training_pairs(series, split.train_end, PAIRS, seed)
    whole = gather(series, pairs)
    thinned = drop_inputs(whole, DROP_SHARE, seed)
    target_times = times(series, pairs)
    hours = target_times.dt.replace_time_zone(None).to_numpy()
    edges = [_naive(border) for border in borders]
    block = np.searchsorted(np.array(edges[1:-1]), hours, side="right")
    fitted = Fitted({}, {}, {}, {})
    for index, target in enumerate(TARGETS):
        truth = truth_of(series, pairs, target)
        task = _Task(target, index, gram, Recipe(seed=seed, threads=threads))
        change = truth - reference_of(target, whole)
        members = np.full((len(pairs), stack.MEMBERS), np.nan)
        for part in range(PARTS):
            progress(f"{target}: unseen errors, part {part + 1} of {PARTS}")
            others = [p for p in range(PARTS) if p != part]
            outside = (hours < edges[part] - GUARD) | (hours > edges[part + 1] + GUARD)
            model = task.fit(others, thinned[outside], truth[outside])
            members[block == part] = model.members(whole[block == part])
        weights = stack.weights(members, change, pairs.leads)
        progress(f"{target}: final model")
        final = task.fit(range(PARTS), thinned, truth)
        fitted.models[target] = replace(final, weights=weights)
        errors = change - (weights[pairs.leads - 1] * members).sum(axis=1)
        fitted.residuals[target] = stack.intervals(target_times, pairs.leads, errors, block)
        fitted.climatology_residuals[target] = residuals.fit(
            target_times, pairs.leads, truth - baselines.climatology(whole, target)
        )
        fitted.damped[target] = baselines.DampedAnomaly.fit(whole, pairs.leads, truth, target)
    return fitted


@dataclass(frozen=True, slots=True)
class _Task:
    """What stays the same while one target is fitted on different parts of the record."""

    target: str
    index: int
    gram: Accumulator
    recipe: Recipe

    def fit(self, parts: Sequence[int], matrix: np.ndarray, truth: np.ndarray) -> ForecastModel:
        linear = self.gram.solve(parts, self.index)
        change = truth - reference_of(self.target, matrix)
        leads = leads_of(matrix)
        far = leads >= stack.FAR_LEAD
        return ForecastModel(
            target=self.target,
            linear=linear,
            rest=fit(matrix, change - linear.predict(matrix, leads), self.recipe),
            change=fit(matrix[far], change[far], self.recipe),
            weights=stack.LINEAR_ONLY,
        )


def _borders(split: Split) -> list[datetime]:
    length = (split.train_end - split.first) / PARTS
    return [split.first + part * length for part in range(PARTS)] + [split.train_end]


def _accumulate(
    series: Sequence[StationSeries], end: datetime, borders: Sequence[datetime]
) -> Accumulator:
    gram = Accumulator(PARTS, len(TARGETS))
    hours = sum(min(row_of(one, end), one.hours) for one in series)
    step = max(1, hours // LINEAR_ROWS)
    for index, one in enumerate(series):
        stop = min(row_of(one, end), one.hours)
        edges = [max(WARM_UP_HOURS, min(row_of(one, border), stop)) for border in borders]
        for part in range(PARTS):
            for lead in LEADS:
                # A pair belongs to the part in which its target lies.
                origins = np.arange(edges[part] - (lead if part else 0), edges[part + 1] - lead)
                origins = origins[origins >= WARM_UP_HOURS][lead % step :: step]
                if len(origins) == 0:
                    continue
                pairs = Pairs(np.full(len(origins), index), origins, np.full(len(origins), lead))
                matrix = gather(series, pairs)
                changes = [
                    truth_of(series, pairs, target) - reference_of(target, matrix)
                    for target in TARGETS
                ]
                gram.add(part, lead, matrix, np.stack(changes, axis=1))
    return gram


def _naive(time: datetime) -> np.datetime64:
    return np.datetime64(time.replace(tzinfo=None), "us")
