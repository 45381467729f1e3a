"""What was foreseen against what came: errors summed by block of hours. Pure.

V1  A forecast is scored hour by hour against the farm's own truth, when the hour has come.
V2  Of the forecasts from one origin the first counts: later ones only repeat it.
V3  A block is always summed anew from what was foreseen and what is known by now, so that late
    observations count and nothing counts twice.
V4  Hours without a checked observation are not scored. Missing is never zero.
V5  A rule's chance is scored when the window it speaks of has passed. The event is a run of
    `for_h` hours in a row; a window with a missing hour and no event is not scored.
V6  Errors of models that were corrected for this farm are kept apart: a bias that the correction
    has taken off must not be taken off again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.agronomy import derived
from edge_agent.contract import events, site_correction
from edge_agent.contract.forecast import P10, P90
from edge_agent.contract.hours import hour_of
from edge_agent.contract.schema import LEADS, TARGETS
from edge_agent.messages.payloads import Skill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.contract.forecast import Forecast
    from edge_agent.settings import Rule

PARTS: Final = ("model", "guidance", "said", "low", "high")
"""What is kept of each hour ahead: the models' point, KMA's, what was said, its p10 and p90."""
SHAPE: Final = (len(TARGETS), len(LEADS), len(PARTS))
SUMS: Final = (
    "count", "model", "model_squared", "said", "said_squared", "covered",
    "pairs", "pair", "pair_squared", "guidance", "guidance_squared", "product",
)  # fmt: skip
"""Sums over scored hours. Errors are observed - forecast; `pairs` are those with guidance."""
TALLY_SHAPE: Final = (len(TARGETS), len(LEADS), len(SUMS))
BLOCK_H: Final = 6
"""Hours of a block: a quarter of the UTC day."""
REACH_H: Final = max(LEADS)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PastForecast:
    """A forecast as it is kept for scoring.

    Attributes:
        issued_at: Time of the decision, UTC.
        origin: Hour of the newest observation behind it.
        source: What its errors are kept under, see `record_of`.
        values: Float32, shape `SHAPE`; NaN = not said.
        chances: Chance of each rule's event, by `meaning` of the rule.
    """

    issued_at: datetime
    origin: datetime
    source: str
    values: np.ndarray
    chances: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Truth:
    """Checked hours of the farm.

    Attributes:
        first: Hour of the first row, UTC.
        values: Float64, shape (hours, len(TARGETS)); NaN = not known.
    """

    first: datetime
    values: np.ndarray

    def of(self, quantity: str) -> np.ndarray:
        """Hours of a target or of what follows from the targets."""
        return derived.values_of(quantity, dict(zip(TARGETS, self.values.T, strict=True)))


def block_of(time: datetime) -> int:
    """Number of the block of `BLOCK_H` hours that a time lies in, counted from 1970."""
    return hour_of(time) // BLOCK_H


def record_of(model: Forecast, source: str) -> str:
    """What the errors of a forecast are kept under (V6).

    Args:
        model: By the models alone.
        source: Name of the observations.
    """
    return (
        f"{source}+{site_correction.TUNED}" if site_correction.TUNED in model.adjusted else source
    )


def past_forecast_of(
    model: Forecast,
    said: Forecast,
    guidance: Mapping[str, np.ndarray],
    source: str,
    chances: Mapping[str, float],
) -> PastForecast:
    """What is kept of a forecast.

    Args:
        model: By the models alone.
        said: As it goes out; the same hours.
        guidance: KMA's values at these hours, by target; NaN = none.
        source: Name of the observations.
        chances: See `PastForecast`.
    """
    values = np.full(SHAPE, np.nan, np.float32)
    rows = np.array([(at - model.origin) // _HOUR for at in model.valid_at]) - 1
    for index, name in enumerate(TARGETS):
        target = said.targets[name]
        columns = (
            model.targets[name].values,
            guidance[name],
            target.values,
            target.quantile(P10),
            target.quantile(P90),
        )
        values[index, rows] = np.stack(columns, axis=1)
    return PastForecast(said.issued_at, model.origin, record_of(model, source), values, chances)


def tally(block: int, foreseen: Sequence[PastForecast], truth: Truth) -> np.ndarray:
    """Sums over the hours of one block (V1, V4).

    Args:
        block: Number of the block, see `block_of`.
        foreseen: Forecasts of one source that speak of its hours, one an origin.
        truth: Reaches over the block as far as hours have come.

    Returns:
        Float64, shape `TALLY_SHAPE`.
    """
    hours = np.arange(block * BLOCK_H, (block + 1) * BLOCK_H)
    leads = np.array(LEADS)
    kept = np.stack([np.full(SHAPE, np.nan, np.float32), *(one.values for one in foreseen)])
    place = {hour_of(one.origin): row for row, one in enumerate(foreseen, start=1)}
    rows = np.array([[place.get(int(hour - lead), 0) for lead in leads] for hour in hours])
    # (hour of the block, lead, target, part)
    said = kept[rows[:, :, None], np.arange(len(TARGETS)), leads[None, :, None] - 1]
    observed = _at(truth, hours)[:, None, :]
    model = observed - said[..., 0]
    error = observed - said[..., 2]
    inside = (observed >= said[..., 3]) & (observed <= said[..., 4])
    guidance = np.where(np.isfinite(model), observed - said[..., 1], np.nan)
    known, paired = np.isfinite(error), np.isfinite(guidance)
    mine = np.where(paired, model, 0.0)
    columns = (
        known, model, model**2, error, error**2, inside & known,
        paired, mine, mine**2, guidance, guidance**2, mine * guidance,
    )  # fmt: skip
    out = np.stack([np.nansum(column, axis=0).T for column in columns], axis=2)
    return np.asarray(out, np.float64)


def skill(tallies: np.ndarray, leads: Sequence[int]) -> list[Skill]:
    """Figures of summed tallies, for leads with anything scored.

    Args:
        tallies: Shape `TALLY_SHAPE`.
        leads: Hours ahead to speak of.
    """
    found = []
    for index, name in enumerate(TARGETS):
        for lead in leads:
            sums = dict(zip(SUMS, tallies[index, lead - 1], strict=True))
            count = sums["count"]
            if count:
                found.append(
                    Skill(
                        quantity=name,
                        lead_h=lead,
                        hours=int(count),
                        rmse=round(float(np.sqrt(sums["said_squared"] / count)), 2),
                        bias=round(float(sums["said"] / count), 2),
                        coverage=round(float(sums["covered"] / count), 3),
                        model_rmse=round(float(np.sqrt(sums["model_squared"] / count)), 2),
                    )
                )
    return found


def meaning(rule: Rule) -> str:
    """What a rule's chance is the chance of: rules that mean the same share it."""
    what = f"{rule.quantity} {rule.operator} {rule.threshold:g}"
    return f"{what}, {rule.for_h} h within {rule.within_h} h"


def happened(rule: Rule, issued_at: datetime, truth: Truth) -> bool | None:
    """Whether a rule's event came in the window after a decision (V5); None = not known.

    Args:
        rule: A forecast rule on a target or on what follows from the targets.
        issued_at: Time of the decision.
        truth: Checked hours; a window that reaches beyond them is not known.
    """
    first = hour_of(issued_at) + 1
    values = _at(truth, np.arange(first, first + rule.within_h), truth.of(rule.quantity))
    return events.happened(events.hours_met(values, rule.operator, rule.threshold), rule.for_h)


def _at(truth: Truth, hours: np.ndarray, series: np.ndarray | None = None) -> np.ndarray:
    """Rows of the truth at hours since 1970; NaN outside of it."""
    values = truth.values if series is None else series
    rows = hours - hour_of(truth.first)
    inside = (rows >= 0) & (rows < len(values))
    out = np.full((len(hours), *values.shape[1:]), np.nan)
    out[inside] = values[rows[inside]]
    return out
