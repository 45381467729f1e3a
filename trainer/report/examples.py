"""Example forecasts, chosen by rule and not by hand: the newest, a usual and a poor one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract import features, residuals
from edge_agent.contract.hours import KST
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, TARGETS, TIME
from trainer.evaluation.holdout_scores import HEADLINE_LEAD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.contract.forecast import TargetForecast
    from edge_agent.contract.manifest import Manifest
    from trainer.report.facts import Unseen

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


def choose(unseen: Unseen, manifest: Manifest) -> tuple[Example, ...]:
    """Forecasts of the first station at three origins of the holdout.

    The newest; the one whose temperature error at 24 h is the median; and the one whose error is
    larger than 95 % of all.
    """
    rows = np.flatnonzero(
        (unseen.pairs.leads == HEADLINE_LEAD)
        & (unseen.pairs.series == 0)
        & np.isfinite(unseen.truth[AIR_TEMPERATURE])
    )
    if not len(rows):
        return ()
    error = np.abs(unseen.forecasts[AIR_TEMPERATURE].values - unseen.truth[AIR_TEMPERATURE])[rows]
    origins = unseen.pairs.origins[rows]
    order = origins[np.argsort(error, kind="stable")]
    chosen = {
        "Newest": int(origins.max()),
        "Usual": int(order[len(order) // 2]),
        "Poor": int(order[int((len(order) - 1) * _POOR)]),
    }
    return tuple(_example(unseen, manifest, name, row) for name, row in chosen.items())


def _example(unseen: Unseen, manifest: Manifest, name: str, row: int) -> Example:
    one, leads = unseen.series[0], np.array(LEADS)
    matrix = features.matrix(one.table, np.full(len(leads), row), leads)
    start: datetime = one.frame[TIME][row]
    ahead = [start + timedelta(hours=int(lead)) for lead in leads]
    first = max(0, row - PAST_HOURS)
    origin = start.astimezone(KST)
    return Example(
        name=name,
        origin=origin,
        past=[origin - timedelta(hours=row - r) for r in range(first, row + 1)],
        ahead=[time.astimezone(KST) for time in ahead],
        observed_past={target: one.truth[target][first : row + 1] for target in TARGETS},
        observed={target: one.truth[target][row + leads] for target in TARGETS},
        forecasts={
            target: residuals.apply(
                manifest.residuals[target],
                target,
                unseen.predictors[target].predict(matrix).astype(np.float64),
                ahead,
                leads,
            )
            for target in TARGETS
        },
    )
