"""Pairs of origin and lead that the models of KMA's forecasts are fitted on.

A place takes part where the archive has forecasts of its grid cell. Its hours are made ready, drawn
from and let go of, one place after the other; the sample's size does not depend on their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract.guidance_course import GuidanceCourse
from edge_agent.contract.guidance_features import GUIDED_LEADS, NAMES, GuidanceInputs
from edge_agent.contract.hours import KOREA_OFFSET_H, hour_of
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import TARGETS
from trainer.ingest.station_guidance import guidance_at
from trainer.training.guided_dropout import drop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from trainer.training.forecast_model import UnseenForecasts
    from trainer.training.lake_source import LakeSource

LEADS_OF_ORIGIN: Final = 12
"""Leads that are drawn for an origin, with density 1 / (lead + 2)."""
STALE: Final = 0.25
"""Share of pairs that read an issue which was newest 1 to `STALEST_H` hours before."""
STALEST_H: Final = 48
PAIRS: Final = 160_000
"""Most pairs that are drawn."""
SHARED_PAIRS: Final = 60_000
"""Most pairs at which both kinds of models are compared."""
_GUIDANCE: Final = NAMES.index("guidance")


@dataclass(frozen=True, slots=True)
class GuidedSeries:
    """A place with forecasts, ready for drawing.

    Attributes:
        number: Of the place, see `dataset.Source`.
        inputs: What it saw and what was forecast for it.
    """

    number: int
    inputs: GuidanceInputs

    def truth(self, target: str, hours: np.ndarray) -> np.ndarray:
        """Observed values at hours since 1970, float64, NaN = none."""
        values = self.inputs.observed[target]
        row = hours - self.inputs.first
        inside = (row >= 0) & (row < len(values))
        return np.where(inside, values[np.clip(row, 0, len(values) - 1)], np.nan)


def guided_series(sources: Sequence[LakeSource]) -> Iterator[GuidedSeries]:
    """Each place that has forecasts in the archive, one after the other.

    Raises:
        StorageError: The archive cannot be read.
    """
    for source in sources:
        record = source.record
        guidance = guidance_at(record.workspace.store, record.site)
        if guidance.is_empty():
            continue
        course = GuidanceCourse.of(guidance)
        del guidance
        yield GuidedSeries(
            source.number, GuidanceInputs.of(clean(record.observations()), course, record.site)
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """Pairs and what is known of each.

    Attributes:
        hours: Target hours since 1970, shape (N,).
        leads: Hours ahead, shape (N,).
        days: Korean days since 1970 of the origins, shape (N,).
        truth: Per target, observed at the target hour, float64 (N,), NaN = none.
        inputs: Per target, float32 (N, F), from the newest issue and all that was observed.
        others: Per target, unseen forecasts of the observation models, float64 (N,); empty where
            these are not compared.
    """

    hours: np.ndarray
    leads: np.ndarray
    days: np.ndarray
    truth: Mapping[str, np.ndarray]
    inputs: Mapping[str, np.ndarray]
    others: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class GuidedSample:
    """What is fitted on, and what is compared.

    Attributes:
        drawn: Pairs of the models.
        thinned: Per target, inputs of `drawn` with older issues and missing inputs.
        shared: Pairs at which the observation models have forecast what they had not seen.
        places: Numbers of the places.
    """

    drawn: Rows
    thinned: Mapping[str, np.ndarray]
    shared: Rows
    places: tuple[int, ...]


def sample(
    sources: Sequence[LakeSource], end: datetime, unseen: UnseenForecasts, seed: int
) -> GuidedSample | None:
    """Draw from every place with forecasts; None where there is none.

    Args:
        sources: Places.
        end: Targets lie before it.
        unseen: Unseen forecasts of the observation models.
        seed: Of every draw.
    """
    stop = hour_of(end)
    parts = [
        _drawn(series, stop, unseen, (seed, len(sources))) for series in guided_series(sources)
    ]
    parts = [part for part in parts if len(part.drawn.leads)]
    if not parts:
        return None
    return GuidedSample(
        _joined([part.drawn for part in parts]),
        {t: np.concatenate([part.thinned[t] for part in parts]) for t in TARGETS},
        _joined([part.shared for part in parts]),
        tuple(number for part in parts for number in part.places),
    )


def _drawn(
    series: GuidedSeries, stop: int, unseen: UnseenForecasts, draw: tuple[int, int]
) -> GuidedSample:
    seed, places = draw
    random = np.random.default_rng([seed, series.number])
    course, first = series.inputs.course, series.inputs.first
    last = min(stop, first + len(series.inputs.observed[TARGETS[0]]))
    hours = np.arange(max(first, int(course.issues[0]) + 1), last)
    most = max(1, PAIRS // places // LEADS_OF_ORIGIN)
    if len(hours) > most:
        hours = np.sort(random.choice(hours, most, replace=False))
    origins = np.repeat(hours, LEADS_OF_ORIGIN)
    density = 1.0 / (np.array(GUIDED_LEADS) + 2.0)
    leads = random.choice(GUIDED_LEADS, len(origins), p=density / density.sum())
    drawn = _rows(series, origins, leads, stop)
    origins = drawn.hours - drawn.leads
    stale = random.random(len(origins)) < STALE
    back = np.where(stale, random.integers(1, STALEST_H + 1, len(origins)), 0)
    issues = course.newest(origins - back)
    thinned = {}
    for target in TARGETS:
        matrix = drawn.inputs[target].copy()
        older = np.flatnonzero(stale)
        found = series.inputs.matrix(target, origins[older], drawn.leads[older], issues[older])
        reached = np.isfinite(found[:, _GUIDANCE])
        matrix[older[reached]] = found[reached]
        thinned[target] = drop(matrix, seed + series.number)
    return GuidedSample(drawn, thinned, _shared(series, stop, unseen, places), (series.number,))


def _shared(series: GuidedSeries, stop: int, unseen: UnseenForecasts, places: int) -> Rows:
    here = np.flatnonzero(unseen.places == series.number)
    here = here[:: max(1, -(-len(here) // (SHARED_PAIRS // places)))]
    origins, leads = unseen.origins[here], unseen.leads[here]
    others = {target: values[here] for target, values in unseen.values.items()}
    return _rows(series, origins, leads, stop, others)


def _rows(
    series: GuidedSeries,
    origins: np.ndarray,
    leads: np.ndarray,
    stop: int,
    others: Mapping[str, np.ndarray] | None = None,
) -> Rows:
    """Pairs with guidance of every target, whose target hour lies before `stop`."""
    inputs = {target: series.inputs.matrix(target, origins, leads) for target in TARGETS}
    kept = origins + leads < stop
    for matrix in inputs.values():
        kept &= np.isfinite(matrix[:, _GUIDANCE])
    hours = (origins + leads)[kept]
    return Rows(
        hours=hours,
        leads=leads[kept],
        days=(origins[kept] + KOREA_OFFSET_H) // 24,
        truth={target: series.truth(target, hours) for target in TARGETS},
        inputs={target: matrix[kept] for target, matrix in inputs.items()},
        others={target: values[kept] for target, values in (others or {}).items()},
    )


def _joined(parts: Sequence[Rows]) -> Rows:
    return Rows(
        hours=np.concatenate([part.hours for part in parts]),
        leads=np.concatenate([part.leads for part in parts]),
        days=np.concatenate([part.days for part in parts]),
        truth=_each(parts, "truth"),
        inputs=_each(parts, "inputs"),
        others=_each(parts, "others"),
    )


def _each(parts: Sequence[Rows], name: str) -> dict[str, np.ndarray]:
    columns: list[Mapping[str, np.ndarray]] = [getattr(part, name) for part in parts]
    return {key: np.concatenate([column[key] for column in columns]) for key in columns[0]}


def times_of(hours: np.ndarray) -> pl.Series:
    """UTC times of hours since 1970."""
    return pl.Series(hours * 3_600_000_000).cast(pl.Datetime("us", "UTC"))
