"""Fitting an optional target: trees on what a simple forecast leaves over, and intervals.

The pairs are those of the other targets, each second one: wind speed has little that more rows or
a ridge could find. Intervals come from cross-fitting over the same parts of the training span.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from edge_agent.contract import optional_targets, residuals
from edge_agent.contract.errors import BadData
from edge_agent.contract.optional_targets import Tables, names
from edge_agent.contract.schema import LEADS
from trainer.evaluation.baselines import DampedAnomaly
from trainer.training import stacking
from trainer.training.cross_fit import PROBED, forecast_unseen
from trainer.training.guided_model import GuidedModel, scale_of
from trainer.training.trees import Binned, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from trainer.training.optional_sample import OptionalSample

ROUNDS: Final = 80
STEP: Final = 2
"""Every so many pairs are taken."""
FEWEST: Final = 20_000
"""Pairs below which no model is fitted."""


def parameters() -> dict[str, object]:
    """Parameters that a fit follows from, for the lineage."""
    return {"rounds": ROUNDS, "step": STEP, "probed": PROBED}


@dataclass(frozen=True, slots=True)
class OptionalFit:
    """An optional target before export.

    Attributes:
        model: Its model.
        tables: For the manifest.
        damped: The damped-anomaly baseline.
    """

    model: GuidedModel
    tables: Tables
    damped: DampedAnomaly


class OptionalRecord(Protocol):
    """Pairs of the training span, as `fit` has them for every target."""

    @property
    def leads(self) -> np.ndarray:
        """Hours ahead, shape (N,)."""

    @property
    def times(self) -> pl.Series:
        """Target hours, UTC."""

    @property
    def block(self) -> np.ndarray:
        """Part of the span in which the target lies, shape (N,)."""

    @property
    def near(self) -> Sequence[np.ndarray]:
        """Per part, the pairs that its models may not see."""

    @property
    def thinned(self) -> np.ndarray:
        """Inputs with groups of these blanked at random, float32 (N, F)."""

    @property
    def unseen(self) -> np.ndarray:
        """Inputs as they would be had the pair's block never been seen."""

    @property
    def optional(self) -> Mapping[str, OptionalSample]:
        """What belongs to each optional target at the same pairs."""


def fit_all(
    record: OptionalRecord, seed: int, threads: int, progress: Callable[[str], None]
) -> dict[str, OptionalFit]:
    """Fit every optional target that enough stations and hours have.

    Args:
        record: Pairs.
        seed: Of LightGBM.
        threads: LightGBM's; 0 = all cores.
        progress: Told each step before it begins, and what is not forecast.
    """
    recipe = Recipe(rounds=ROUNDS, seed=seed, threads=threads)
    fitted = {
        target: fit_optional(target, record, sample, recipe, progress)
        for target, sample in record.optional.items()
    }
    return {target: fit for target, fit in fitted.items() if fit}


def fit_optional(
    target: str,
    record: OptionalRecord,
    sample: OptionalSample,
    recipe: Recipe,
    progress: Callable[[str], None],
) -> OptionalFit | None:
    """Fit a target; None, and the reason told, where too few stations and hours have it.

    Args:
        target: One of `schema.OPTIONAL_TARGETS`.
        record: Pairs.
        sample: What belongs to the target at the same pairs.
        recipe: Of the trees.
        progress: Told each step before it begins.
    """
    rows = np.flatnonzero(np.isfinite(sample.truth) & np.isfinite(sample.added[:, -1]))[::STEP]
    far = [rows[~near[rows]] for near in record.near]
    if len(rows) < FEWEST or min(map(len, far)) < FEWEST // 2:
        progress(f"{target}: not forecast, stations measure too few hours of it")
        return None
    progress(f"{target}: model and unseen errors")
    try:
        return _fitted(target, _Rows(record, sample, rows), recipe)
    except BadData as fault:
        progress(f"{target}: not forecast, {fault}")
        return None


@dataclass(frozen=True, slots=True)
class _Rows:
    record: OptionalRecord
    sample: OptionalSample
    rows: np.ndarray

    def thinned(self) -> np.ndarray:
        return np.hstack([self.record.thinned[self.rows], self.sample.added[self.rows]])

    def unseen(self) -> np.ndarray:
        return np.hstack([self.record.unseen[self.rows], self.sample.added[self.rows]])


def _fitted(target: str, chosen: _Rows, recipe: Recipe) -> OptionalFit:
    record, rows = chosen.record, chosen.rows
    leads = record.leads[rows]
    truth, times = chosen.sample.truth[rows], record.times.gather(rows)
    inputs = chosen.thinned()
    base = inputs[:, -1].astype(np.float64)
    scale = scale_of(leads, truth - base, LEADS[-1])
    values = (truth - base) / scale[leads - 1]
    binned = Binned(inputs, recipe)
    del inputs

    def fit(pairs: np.ndarray) -> GuidedModel:
        return GuidedModel(target, binned.fit(pairs, values[pairs]), scale, names(target))

    unseen = chosen.unseen()
    far = (np.flatnonzero(~near[rows]) for near in record.near)
    forecasts = forecast_unseen(unseen, record.block[rows], (fit(pairs).predict for pairs in far))
    errors = truth - forecasts.values
    probed = slice(None, None, PROBED)
    return OptionalFit(
        fit(np.arange(len(rows))),
        Tables(
            normals=dict(chosen.sample.normals),
            residuals=residuals.fit(
                times, leads, errors / optional_targets.spread(forecasts.values), whole_year=True
            ),
            widening={
                group: stacking.widening(leads[probed], errors[probed], truth[probed] - without)
                for group, without in forecasts.lacking.items()
            },
        ),
        DampedAnomaly.fit(unseen, leads, truth, target),
    )
