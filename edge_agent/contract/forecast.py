"""Forecasts as values: points, quantiles, source. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

Operator = Literal[">=", ">", "<=", "<"]

P10: Final = 0.1
P90: Final = 0.9


class Source(StrEnum):
    """What made a forecast, from the best to the last resort; every output names it."""

    MODEL = "model"
    MODEL_RELAYED = "model_relayed_station"
    GUIDED = "guided"
    """KMA's forecast, corrected by models of the release (MOS)."""
    GUIDANCE = "guidance"
    """KMA's forecast without its bias on this farm."""
    CACHED = "cached"
    PERSISTENCE = "persistence"
    CLIMATOLOGY = "climatology"


GUIDED_SOURCES: Final = (Source.GUIDED, Source.GUIDANCE)
"""Forecasts that follow KMA's."""
_WITHOUT_OBSERVATION: Final = (Source.CLIMATOLOGY, *GUIDED_SOURCES)


@dataclass(frozen=True, slots=True)
class TargetForecast:
    """Forecast of one quantity at consecutive valid times.

    Attributes:
        unit: Unit of every number here.
        values: Point forecast, shape (N,).
        levels: Probabilities in (0, 1), ascending, shape (Q,).
        quantiles: Shape (N, Q), not decreasing along the second axis.
    """

    unit: str
    values: np.ndarray
    levels: np.ndarray
    quantiles: np.ndarray

    def at_rows(self, rows: Sequence[int] | np.ndarray) -> TargetForecast:
        """The forecast at some of its rows, in their order; row -1 = NaN."""
        rows = np.asarray(rows, np.intp)
        there = rows >= 0
        return TargetForecast(
            self.unit,
            np.where(there, self.values[rows], np.nan),
            self.levels,
            np.where(there[:, None], self.quantiles[rows], np.nan),
        )

    def quantile(self, level: float) -> np.ndarray:
        """Value not exceeded with probability `level`, shape (N,); linear between levels."""
        after = int(np.clip(np.searchsorted(self.levels, level), 1, len(self.levels) - 1))
        low, high = self.levels[after - 1], self.levels[after]
        share = np.clip((level - low) / (high - low), 0.0, 1.0)
        below, above = self.quantiles[:, after - 1], self.quantiles[:, after]
        between: np.ndarray = below + share * (above - below)
        return between

    def probability(self, operator: Operator, threshold: float) -> np.ndarray:
        """Probability that the quantity meets `operator threshold`, shape (N,).

        The distribution function is linear between quantiles. Outside them it decays
        exponentially at the slope of the outermost interval, so that no event is ever
        given a probability of exactly 0 or 1 by a table that simply ends. Where several
        quantiles are equal (humidity at 100 %) their probability lies on that value.
        """
        exact = operator in {"<=", ">"}
        point = threshold if exact else float(np.nextafter(threshold, -np.inf))
        below = _cdf(point, self.quantiles, self.levels)
        return below if operator in {"<", "<="} else 1.0 - below


@dataclass(frozen=True, slots=True)
class PointForecast:
    """Forecast of one quantity without a spread: nobody says how far off it may be.

    Attributes:
        unit: Unit of the values.
        values: Shape (N,); NaN = not forecast, which is never zero.
        source: What made every value.
    """

    unit: str
    values: np.ndarray
    source: Source


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast of every target.

    Attributes:
        issued_at: When it was made.
        origin: Hour of the newest observation used; of normals and of KMA's forecast, which need
            none, the hour of issue.
        valid_at: Hours that are forecast, ascending, shape (N,).
        targets: By quantity name.
        source: What made it.
        release: Model release, or None where no model took part.
        notes: Why no better source was used, or what was missing; empty if nothing was.
        adjusted: What took part beside the models: `tuning`, `bias`, `guidance`.
        sources: By target, what made each hour, shape (N,); empty: `source` made all of them. Of
            two that were joined it names the one with the greater weight.
        points: What is forecast without a spread, by quantity name, at the same hours; empty where
            no hour of it is known. Of a quantity that is a target too, the target counts.
    """

    issued_at: datetime
    origin: datetime
    valid_at: Sequence[datetime]
    targets: Mapping[str, TargetForecast]
    source: Source
    release: int | None
    notes: Sequence[str] = ()
    adjusted: Sequence[str] = ()
    sources: Mapping[str, Sequence[Source]] = field(default_factory=dict)
    points: Mapping[str, PointForecast] = field(default_factory=dict)

    @property
    def observed_at(self) -> datetime | None:
        """Hour of the newest observation behind it; None where it needs none."""
        return None if self.source in _WITHOUT_OBSERVATION else self.origin

    def sources_of(self, target: str) -> Sequence[Source]:
        """What made each hour of a target, shape (N,)."""
        return self.sources.get(target, [self.source] * len(self.valid_at))

    def only_normal(self) -> np.ndarray:
        """Hours at which a target has normals alone, bool (N,): they know nothing of that day."""
        made = [self.sources_of(target) for target in self.targets]
        return np.array([Source.CLIMATOLOGY in hour for hour in zip(*made, strict=True)], bool)


@dataclass(frozen=True, slots=True)
class NoForecast:
    """No forecast is possible; the reason is for people."""

    issued_at: datetime
    reason: str

    @property
    def observed_at(self) -> None:
        """See `Forecast`: nothing rests on an observation."""
        return


def _cdf(x: float, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Distribution functions of rows of quantiles at `x`, shape (N,); NaN where a row has NaN."""
    last = len(levels) - 1
    upper = np.clip((quantiles <= x).sum(axis=1), 1, last)
    rows = np.arange(len(quantiles))
    low, high = quantiles[rows, upper - 1], quantiles[rows, upper]
    width = np.where(high > low, high - low, 1.0)
    share = np.clip(x - low, 0.0, width) / width
    inner = levels[upper - 1] + (levels[upper] - levels[upper - 1]) * share
    first_width = np.maximum(quantiles[:, 1] - quantiles[:, 0], 1e-6)
    last_width = np.maximum(quantiles[:, -1] - quantiles[:, -2], 1e-6)
    scale = first_width / (levels[1] - levels[0]) * levels[0]
    below = np.minimum((x - quantiles[:, 0]) / scale, 0.0)
    tail = 1.0 - levels[-1]
    scale = last_width / (levels[-1] - levels[-2]) * tail
    above = np.minimum((quantiles[:, -1] - x) / scale, 0.0)
    out: np.ndarray = np.where(x < quantiles[:, 0], levels[0] * np.exp(below), inner)
    out = np.where(x > quantiles[:, -1], 1.0 - tail * np.exp(above), out)
    return np.where(x == quantiles[:, -1], levels[-1], out)
