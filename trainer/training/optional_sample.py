"""What a station adds to the sample for an optional target, such as wind speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract import climatology, optional_targets
from edge_agent.contract.optional_targets import ADDED
from edge_agent.contract.schema import TIME
from trainer.evaluation.dataset import HOURS_OF_YEAR, times
from trainer.evaluation.dataset import truth as truth_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from trainer.evaluation.dataset import Pairs, StationSeries

LEAST_SHARE: Final = 0.5
"""Of a station's hours before the training ends; with fewer it takes no part in the target."""


@dataclass(frozen=True, slots=True)
class OptionalSample:
    """Part of `station_sums.Sample`, n pairs.

    Attributes:
        normals: By station, fitted on hours before the training ends; empty where none is measured.
        truth: Observed at the target hour, float64 (n,), NaN = none.
        added: Columns of `optional_targets.ADDED`, float32 (n, A), on normals of the hours outside
            of the pair's block: a device's normals have not seen its hours either, and how far off
            they get is to be learned. NaN where there are no normals.
    """

    normals: Mapping[str, tuple[float, ...]]
    truth: np.ndarray
    added: np.ndarray

    @classmethod
    def of(
        cls,
        target: str,
        series: StationSeries,
        pairs: Pairs,
        matrix: np.ndarray,
        plan: OptionalPlan,
    ) -> OptionalSample:
        """One station's part.

        Args:
            target: One of `schema.OPTIONAL_TARGETS`.
            series: The station; a farm, whose normals are lent, takes no part.
            pairs: Drawn of it alone.
            matrix: Their inputs, float32 (n, F).
            plan: Parts of the training span.
        """
        frame = series.frame.filter(pl.col(TIME) < plan.end)
        nothing = np.full((len(pairs), len(ADDED[target])), np.nan, np.float32)
        if series.lent or frame[target].count() < max(LEAST_SHARE * frame.height, HOURS_OF_YEAR):
            return cls({}, np.full(len(pairs), np.nan), nothing)
        hours = times([series], pairs).dt.epoch("s").to_numpy() // 3600
        normals = _normals(frame, target)
        recent = optional_targets.recent(target, series.table)[pairs.origins]
        added = nothing.copy()
        for part in np.unique(plan.block):
            first, last = plan.hidden[part]
            rows = plan.block == part
            others = frame.filter(~pl.col(TIME).is_between(first, last))
            enough = others[target].count() >= HOURS_OF_YEAR
            of_others = _normals(others, target) if enough else normals
            here = optional_targets.Pairs(matrix[rows], recent[rows], hours[rows])
            added[rows] = optional_targets.added(target, here, of_others)
        return cls({str(series.number): normals}, truth_of([series], pairs, target), added)

    @classmethod
    def joined(cls, parts: Sequence[Mapping[str, OptionalSample]]) -> dict[str, OptionalSample]:
        """Samples of several stations by target, one station after the other."""
        return {target: cls._joined([part[target] for part in parts]) for target in parts[0]}

    @classmethod
    def _joined(cls, parts: Sequence[OptionalSample]) -> OptionalSample:
        return cls(
            {number: normals for part in parts for number, normals in part.normals.items()},
            np.concatenate([part.truth for part in parts]),
            np.concatenate([part.added for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class OptionalPlan:
    """Parts of the training span.

    Attributes:
        block: Part in which each pair's target lies, shape (n,).
        hidden: Per part, first and last hour that its models may not see, UTC.
        end: Of the training targets, UTC.
    """

    block: np.ndarray
    hidden: Sequence[tuple[datetime, datetime]]
    end: datetime


def _normals(frame: pl.DataFrame, target: str) -> tuple[float, ...]:
    day = frame[TIME].dt.ordinal_day().to_numpy().astype(np.float64)
    hour = frame[TIME].dt.hour().to_numpy().astype(np.float64)
    return climatology.fit(day, hour, frame[target].to_numpy())
