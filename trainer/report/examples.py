"""Example forecasts, chosen by rule: the newest, one with the median error, a poor one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract import features
from edge_agent.contract.hours import KST
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, TARGETS, TIME, TIME_DTYPE
from trainer.evaluation.hindcast import hindcast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.contract.forecast import TargetForecast
    from trainer.report.facts import DayAhead

PAST_HOURS: Final = 24
_POOR: Final = 0.95


@dataclass(frozen=True, slots=True)
class Example:
    """One forecast as a device would have made it, and what came.

    Attributes:
        name: Why it was chosen.
        origin: Korean time.
        past: Hours up to the origin, Korean time.
        ahead: The `LEADS` hours after it.
        observed_past: Target -> values at `past`, NaN = none.
        observed: Target -> values at `ahead`, NaN = none.
        forecasts: Target -> points and quantiles at `ahead`.
    """

    name: str
    origin: datetime
    past: Sequence[datetime]
    ahead: Sequence[datetime]
    observed_past: Mapping[str, np.ndarray]
    observed: Mapping[str, np.ndarray]
    forecasts: Mapping[str, TargetForecast]


def choose(day_ahead: DayAhead) -> tuple[Example, ...]:
    """Forecasts of the first station at three origins of the holdout.

    The newest; the one whose temperature error at 24 h is the median; and the one whose error is
    larger than 95 % of all.
    """
    observed = day_ahead.truth[AIR_TEMPERATURE]
    rows = np.flatnonzero((day_ahead.pairs.series == 0) & np.isfinite(observed))
    if not len(rows):
        return ()
    error = np.abs(day_ahead.values[AIR_TEMPERATURE] - observed)[rows]
    origins = day_ahead.pairs.origins[rows]
    order = origins[np.argsort(error, kind="stable")]
    chosen = {
        "Newest": int(origins.max()),
        "Usual": int(order[len(order) // 2]),
        "Poor": int(order[int((len(order) - 1) * _POOR)]),
    }
    return tuple(_example(day_ahead, name, row) for name, row in chosen.items())


def _example(day_ahead: DayAhead, name: str, row: int) -> Example:
    series, leads = day_ahead.series[0], np.array(LEADS)
    matrix = features.matrix(series.table, np.full(len(leads), row), leads)
    start: datetime = series.frame[TIME][row]
    ahead = [start + timedelta(hours=int(lead)) for lead in leads]
    times = pl.Series(ahead, dtype=TIME_DTYPE)
    first = max(0, row - PAST_HOURS)
    origin = start.astimezone(KST)
    return Example(
        name=name,
        origin=origin,
        past=[origin - timedelta(hours=row - r) for r in range(first, row + 1)],
        ahead=[time.astimezone(KST) for time in ahead],
        observed_past={target: series.truth[target][first : row + 1] for target in TARGETS},
        observed={target: series.truth[target][row + leads] for target in TARGETS},
        forecasts={
            target: forecast.distribution(target, times, leads)
            for target, forecast in hindcast(day_ahead.models, matrix, leads).items()
        },
    )
