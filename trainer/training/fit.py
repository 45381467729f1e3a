"""Fitting one candidate: a ridge, two forests, their weights by lead, intervals from unseen errors.

Intervals come from cross-fitting: the training span is cut into `PARTS` blocks of time, each block
is forecast by models that never saw it (nor the week on either side of it), from normals that were
fitted without it; the errors of all blocks make the residual table. The holdout takes no part in
any of this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.contract import missing_inputs, residuals
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import QUANTITIES, TARGETS
from trainer.evaluation import baselines
from trainer.evaluation.dataset import row_of, training_pairs
from trainer.training import optional_fit, stacking
from trainer.training.cross_fit import PROBED, Unseen, forecast_unseen
from trainer.training.forecast_model import Fitted, ForecastModel, UnseenForecasts
from trainer.training.input_dropout import drop_inputs, without_values
from trainer.training.optional_sample import OptionalSample
from trainer.training.ridge import PENALTY, reference_of
from trainer.training.station_sums import GUARD, Drawn, Plan, Sample, sums_and_sample
from trainer.training.trees import ROUNDS, TREES, Binned, Recipe
from trainer.training.trees import versions as trees_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from trainer.evaluation.dataset import Source, Split
    from trainer.training.ridge import GramSums
    from trainer.workspace.parallel import Each

PARTS = 3
PAIRS = 300_000
"""Pairs of origin and lead that trees are grown on; more changed the third decimal on Seoul."""

LINEAR_ROWS = 60_000
"""Most rows per lead for the linear base."""

DROP_SHARE = 0.1
"""Rows that lack a group of inputs, for each group."""

BARE_SHARE = 0.2
"""Rows that have temperature and humidity only."""


def parameters() -> dict[str, object]:
    """Parameters that a fit follows from, for the lineage."""
    return {
        "trees": dict(TREES),
        "rounds": ROUNDS,
        "pairs": PAIRS,
        "parts": PARTS,
        "linear_rows": LINEAR_ROWS,
        "ridge": PENALTY,
        "drop_share": DROP_SHARE,
        "bare_share": BARE_SHARE,
        "probed": PROBED,
        "knots_averaged": 2 * stacking.NEIGHBOURS + 1,
        "optional": optional_fit.parameters(),
    }


def versions() -> dict[str, str]:
    """Versions of the libraries that fit, for the lineage."""
    return trees_versions()


def fit_candidate(
    sources: Sequence[Source],
    split: Split,
    *,
    seed: int,
    threads: int,
    progress: Callable[[str], None],
    each: Each = map,
) -> Fitted:
    """Fit every target on hours before `split.train_end`.

    Args:
        sources: Stations, with normals from the same hours; one at a time is in memory.
        split: Borders.
        seed: Of every draw and of LightGBM.
        threads: LightGBM's; 0 = all cores.
        progress: Told each step before it begins.
        each: Where stations are made ready.
    """
    progress("linear base and inputs of the trees")
    gram, record = _Record.of(sources, split, seed, each)
    _check_parts(record)
    binned = Binned(record.thinned, Recipe(seed=seed, threads=threads))
    unseen = UnseenForecasts.none(record.places, record.times, record.leads)
    fitted = Fitted({}, {}, {}, {}, {}, unseen, missing_inputs.missing(record.thinned))
    if fitted.unused:
        named = ", ".join(fitted.unused)
        progress(f"inputs without values, or always with the same one, take no part: {named}")
    for index, target in enumerate(TARGETS):
        change = record.truth[:, index] - reference_of(target, record.whole)
        _fit_target(_Task(target, index, gram, binned, record, change), fitted, progress)
    del binned
    fitted.optional.update(optional_fit.fit_all(record, seed, threads, progress))
    return fitted


def _fit_target(task: _Task, fitted: Fitted, progress: Callable[[str], None]) -> None:
    """Add one target's model, intervals and baselines."""
    target, record, leads = task.target, task.record, task.record.leads
    truth = record.truth[:, task.index]
    forecasts = _unseen(task, progress)
    reference = reference_of(target, record.unseen)
    change = truth - reference
    weights = stacking.weights(forecasts.values, change, leads)
    progress(f"{target}: final model")
    fitted.models[target] = replace(task.fit(None), weights=weights)
    weighted = stacking.weighted(weights, leads, forecasts.values)
    errors = change - weighted
    fitted.unseen.values[target] = np.clip(reference + weighted, *QUANTITIES[target].bounds)
    for season in stacking.thin_seasons(record.times, leads, errors):
        progress(f"{target}: too few hours of {season}: its intervals are the whole year's")
    fitted.residuals[target] = stacking.intervals(record.times, leads, errors, record.block)
    probed = slice(None, None, PROBED)
    fitted.widening[target] = {
        group: stacking.widening(
            leads[probed],
            errors[probed],
            change[probed] - stacking.weighted(weights, leads[probed], members),
        )
        for group, members in forecasts.lacking.items()
    }
    normal = baselines.climatology(record.unseen, target)
    fitted.climatology_residuals[target] = residuals.fit(
        record.times, leads, truth - normal, whole_year=True
    )
    fitted.damped[target] = baselines.DampedAnomaly.fit(record.whole, leads, truth, target)


def _check_parts(record: _Record) -> None:
    """Each part of the span must be forecast by models of the others."""
    far = record.leads >= stacking.FAR_LEAD
    for target, truth in zip(TARGETS, record.truth.T, strict=True):
        if not all(np.isfinite(truth[far & ~near]).any() for near in record.near):
            raise BadData(
                f"{target}: all its values before the training ends lie within a third of these "
                "hours, where no model of the others can be fitted; ingest or import more"
            )


@dataclass(frozen=True, slots=True)
class _Record:
    """Pairs of the training span and what is known of each.

    Attributes:
        places: `Source.number` of each, shape (N,).
        leads: Hours ahead, shape (N,).
        times: Target hours, UTC.
        block: Part of the span in which the target lies, shape (N,).
        near: Per part, the pairs that its models may not see: those within it and `GUARD`.
        truth: Observed at the target hour, float64 (N, targets), NaN = none.
        whole: Inputs, float32 (N, F).
        thinned: The same with groups of inputs blanked at random: what trees are grown on. Columns
            without values are blank.
        unseen: The same as they would be had the pair's block never been seen.
        optional: By optional target.
    """

    places: np.ndarray
    leads: np.ndarray
    times: pl.Series
    block: np.ndarray
    near: tuple[np.ndarray, ...]
    truth: np.ndarray
    whole: np.ndarray
    thinned: np.ndarray
    unseen: np.ndarray
    optional: Mapping[str, OptionalSample]

    @classmethod
    def of(
        cls, sources: Sequence[Source], split: Split, seed: int, each: Each = map
    ) -> tuple[GramSums, _Record]:
        """Sums of the ridge and the record, from one station after the other."""
        pairs = training_pairs(sources, split.train_end, PAIRS, seed)
        drawn = [Drawn(source, pairs.alone(index)) for index, source in enumerate(sources)]
        hours = sum(min(row_of(source, split.train_end), source.hours) for source in sources)
        plan = Plan(_borders(split), max(1, hours // LINEAR_ROWS))
        gram, samples = _summed(plan, drawn, each)
        targets = pl.concat([sample.times for sample in samples])
        whole = np.concatenate([sample.whole for sample in samples])
        centre = gram.completed_centre(whole)
        if gram.centre and not gram.centre.same(centre):
            # What the first rows lack is measured later, or elsewhere: it has a mean after all.
            gram, _ = _summed(replace(plan, centre=centre), drawn, each)
        thinned = drop_inputs(whole, DROP_SHARE, seed, BARE_SHARE)
        thinned[:, without_values(whole)] = np.nan
        return gram, cls(
            places=np.array([source.number for source in sources])[pairs.series],
            leads=pairs.leads,
            times=targets,
            block=np.concatenate([sample.block for sample in samples]),
            near=tuple(
                targets.is_between(first - GUARD, last + GUARD).to_numpy()
                for first, last in pairwise(plan.borders)
            ),
            truth=np.concatenate([sample.truth for sample in samples]),
            whole=whole,
            thinned=thinned,
            unseen=np.concatenate([sample.unseen for sample in samples]),
            optional=OptionalSample.joined([sample.optional for sample in samples]),
        )


def _summed(plan: Plan, drawn: Sequence[Drawn], each: Each) -> tuple[GramSums, list[Sample]]:
    gram, first = sums_and_sample(plan, drawn[0])
    samples = [first]
    # Sums are added up, so all are counted from the first station's centre.
    for sums, sample in each(
        partial(sums_and_sample, replace(plan, centre=gram.centre)), drawn[1:]
    ):
        gram.merge(sums)
        samples.append(sample)
    return gram, samples


@dataclass(frozen=True, slots=True)
class _Task:
    """What stays the same while one target is fitted on different parts of the record."""

    target: str
    index: int
    gram: GramSums
    binned: Binned
    record: _Record
    change: np.ndarray

    def fit(self, left_out: int | None) -> ForecastModel:
        """Model of all parts, or of all but one; weights are the linear base's alone."""
        linear = self.gram.solve([p for p in range(PARTS) if p != left_out], self.index)
        rows = np.arange(len(self.change))
        if left_out is not None:
            rows = rows[~self.record.near[left_out]]
        leads = self.record.leads[rows]
        change = self.change[rows]
        far = leads >= stacking.FAR_LEAD
        return ForecastModel(
            target=self.target,
            linear=linear,
            rest=self.binned.fit(rows, change - linear.predict(self.record.thinned[rows], leads)),
            change=self.binned.fit(rows[far], change[far]),
            weights=stacking.LINEAR_ONLY,
        )


def _unseen(task: _Task, progress: Callable[[str], None]) -> Unseen:
    """Members of every pair by models that never saw its block."""

    def members() -> Iterator[Callable[[np.ndarray], np.ndarray]]:
        for part in range(PARTS):
            progress(f"{task.target}: unseen errors, part {part + 1} of {PARTS}")
            yield task.fit(part).members

    return forecast_unseen(task.record.unseen, task.record.block, members(), (stacking.MEMBERS,))


def _borders(split: Split) -> list[datetime]:
    length = (split.train_end - split.first) / PARTS
    return [split.first + part * length for part in range(PARTS)] + [split.train_end]
