"""What one station adds to a training, worked out with no other station in memory.

Its hours are made ready, summed and drawn from, and let go of. What stays is bounded: the sums of
the ridge and the station's part of a sample whose size does not depend on the number of stations.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.schema import LEADS, OPTIONAL_TARGETS, TARGETS
from trainer.evaluation.dataset import WARM_UP_HOURS, Pairs, gather, row_of, times, truth, without
from trainer.training.optional_sample import OptionalPlan, OptionalSample
from trainer.training.ridge import GramSums, reference_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from trainer.evaluation.dataset import Source, StationSeries
    from trainer.training.ridge import Centre

GUARD = timedelta(days=7)
"""On either side of a left-out block; its models see nothing of that either."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for every station.

    Attributes:
        borders: Of the parts of the training span, ascending; one more than there are parts.
        step: Every so many-th origin of a lead goes into the sums.
        centre: Of the sums; None = that of the first rows.
    """

    borders: Sequence[datetime]
    step: int
    centre: Centre | None = None

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(self.borders) - 1


@dataclass(frozen=True, slots=True)
class Drawn:
    """A station and the pairs that were drawn of it; their `series` is 0."""

    source: Source
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Sample:
    """One station's part of the sample, n pairs.

    Attributes:
        times: Target hours, UTC.
        block: Part of the span in which the target lies, shape (n,).
        truth: Observed at the target hour, float64 (n, targets), NaN = none.
        whole: Inputs, float32 (n, F).
        unseen: The same as they would be had the pair's block never been seen.
        optional: By optional target.
    """

    times: pl.Series
    block: np.ndarray
    truth: np.ndarray
    whole: np.ndarray
    unseen: np.ndarray
    optional: Mapping[str, OptionalSample]


def sums_and_sample(plan: Plan, drawn: Drawn) -> tuple[GramSums, Sample]:
    """Make a station ready; its sums for the ridge and its part of the sample."""
    series, pairs = drawn.source.load(), drawn.pairs
    targets = times([series], pairs)
    block = np.searchsorted(
        [border.timestamp() for border in plan.borders[1:-1]],
        targets.dt.epoch("s").to_numpy(),
        side="right",
    )
    whole = gather([series], pairs)
    unseen = whole.copy()
    for part in np.unique(block):
        first, last = plan.borders[part] - GUARD, plan.borders[part + 1] + GUARD
        rows = block == part
        strange = without(series, first, last, plan.borders[-1])
        unseen[rows] = gather([strange], pairs.take(rows))
    hidden = [(plan.borders[p] - GUARD, plan.borders[p + 1] + GUARD) for p in range(plan.parts)]
    optional = {
        target: OptionalSample.of(
            target, series, pairs, whole, OptionalPlan(block, hidden, plan.borders[-1])
        )
        for target in OPTIONAL_TARGETS
    }
    return _sums(series, plan), Sample(
        targets,
        block,
        np.stack([truth([series], pairs, target) for target in TARGETS], axis=1),
        whole,
        unseen,
        optional,
    )


def _sums(series: StationSeries, plan: Plan) -> GramSums:
    gram = GramSums(plan.parts, len(TARGETS), plan.centre)
    stop = min(row_of(series, plan.borders[-1]), series.hours)
    edges = [max(WARM_UP_HOURS, min(row_of(series, border), stop)) for border in plan.borders]
    for part in range(plan.parts):
        for lead in LEADS:
            # A pair belongs to the part in which its target lies.
            origins = np.arange(edges[part] - (lead if part else 0), edges[part + 1] - lead)
            origins = origins[origins >= WARM_UP_HOURS][lead % plan.step :: plan.step]
            if len(origins) == 0:
                continue
            pairs = Pairs(np.zeros(len(origins), int), origins, np.full(len(origins), lead))
            matrix = gather([series], pairs)
            changes = [
                truth([series], pairs, target) - reference_of(target, matrix) for target in TARGETS
            ]
            gram.add(part, lead, matrix, np.stack(changes, axis=1))
    return gram
