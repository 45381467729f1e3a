"""The unseen hours that a candidate is scored on, gathered from one station after the other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.contract.optional_targets import recent
from edge_agent.contract.schema import OPTIONAL_TARGETS, TARGETS, TIME
from trainer.evaluation import baselines
from trainer.evaluation.dataset import Pairs, gather, row_of, scoring_pairs, stride, times
from trainer.evaluation.dataset import truth as truth_of
from trainer.evaluation.events import EVENTS, normal_counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from trainer.evaluation.dataset import Source, Split, StationSeries
    from trainer.workspace.parallel import Each

HOLDOUT_PAIRS = 700_000
"""Most pairs of origin and lead that scores and the gate's evidence rest on. One station keeps each
origin of its holdout up to a record of 57 years; many take turns, evenly over hours and days."""

SEED_PAIRS = 300_000
"""Most pairs that the seed recipe is trained on; one station has as many in 34 years."""

_FIRST_ORIGIN = 24
_OBSERVED = (*TARGETS, *OPTIONAL_TARGETS)


def origin_step(stations: int, start: datetime, end: datetime, leads: Sequence[int]) -> int:
    """Step between origins that keeps a period's pairs to `HOLDOUT_PAIRS`."""
    hours = int((end - start) / timedelta(hours=1)) + 1
    return stride(stations * hours * len(leads), HOLDOUT_PAIRS)


@dataclass(frozen=True, slots=True)
class Past:
    """What baselines are fitted on: hours before `Split.train_end`.

    Attributes:
        seed: Inputs of the seed recipe, float32 (M, F).
        seed_truth: Target -> observed a day later, float64 (M,).
        counts: Event -> `events.normal_counts`.
    """

    seed: np.ndarray
    seed_truth: Mapping[str, np.ndarray]
    counts: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Holdout:
    """Unseen hours, N pairs of origin and lead.

    Attributes:
        leads: Hours ahead, shape (N,).
        stations: KMA number, shape (N,).
        times: Target hours, UTC.
        matrix: Inputs, float32 (N, F).
        truth: Target, optional ones too -> observed, float64 (N,), NaN = none.
        past: Of the same stations.
        recent: Optional target -> `optional_targets.recent` at the origins, float64 (N,).
    """

    leads: np.ndarray
    stations: np.ndarray
    times: pl.Series
    matrix: np.ndarray
    truth: Mapping[str, np.ndarray]
    past: Past
    recent: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls, sources: Sequence[Source], split: Split, leads: Sequence[int], each: Each = map
    ) -> Holdout:
        """Gather the holdout of a split; one station at a time is in memory."""
        hours = sum(_seed_origins(source, split) for source in sources)
        steps = _Steps(
            origin_step(len(sources), split.holdout, split.last, leads), stride(hours, SEED_PAIRS)
        )
        parts = list(each(partial(_station, split, tuple(leads), steps), sources))
        return cls(
            leads=np.concatenate([part.leads for part in parts]),
            stations=np.concatenate([part.stations for part in parts]),
            times=pl.concat([part.times for part in parts]),
            matrix=np.concatenate([part.matrix for part in parts]),
            truth={t: np.concatenate([part.truth[t] for part in parts]) for t in _OBSERVED},
            past=Past(
                np.concatenate([part.past.seed for part in parts]),
                {t: np.concatenate([part.past.seed_truth[t] for part in parts]) for t in TARGETS},
                {e.name: np.sum([part.past.counts[e.name] for part in parts], 0) for e in EVENTS},
            ),
            recent={
                t: np.concatenate([part.recent[t] for part in parts]) for t in OPTIONAL_TARGETS
            },
        )


@dataclass(frozen=True, slots=True)
class _Steps:
    """Each how many-th origin is taken of the holdout, and for the seed recipe."""

    holdout: int
    seed: int


def _station(split: Split, leads: tuple[int, ...], steps: _Steps, source: Source) -> Holdout:
    series = source.load()
    pairs = scoring_pairs([series], split.holdout, split.last, leads, steps.holdout)
    return Holdout(
        leads=pairs.leads,
        stations=np.full(len(pairs), series.number),
        times=times([series], pairs),
        matrix=gather([series], pairs),
        truth={target: truth_of([series], pairs, target) for target in _OBSERVED},
        past=_past(series, split, steps.seed),
        recent={t: recent(t, series.table)[pairs.origins] for t in OPTIONAL_TARGETS},
    )


def _past(series: StationSeries, split: Split, every: int) -> Past:
    origins = np.arange(_FIRST_ORIGIN, _FIRST_ORIGIN + _seed_origins(series, split))
    origins = origins[(origins + series.number) % every == 0]
    leads = np.full(len(origins), baselines.SEED_LEAD)
    pairs = Pairs(np.zeros(len(origins), int), origins, leads)
    before = series.frame[TIME] < split.train_end
    seen = before.to_numpy()
    return Past(
        gather([series], pairs),
        {target: truth_of([series], pairs, target) for target in TARGETS},
        {
            event.name: normal_counts(
                event,
                series.frame[TIME].filter(before),
                series.truth[event.target][: series.hours][seen],
            )
            for event in EVENTS
        },
    )


def _seed_origins(source: Source, split: Split) -> int:
    """Number of origins of the seed recipe before the training ends."""
    stop = min(row_of(source, split.train_end), source.hours) - baselines.SEED_LEAD
    return max(0, stop - _FIRST_ORIGIN)
