"""Forecasts against observations: errors summed by block of hours. Pure.

V1  A forecast is scored hour by hour against the farm's own observations, once the hour has passed.
V2  Of the forecasts from one origin the first counts: later ones only repeat it.
V3  A block is always summed anew from all forecasts and observations of it, so that late
    observations count and nothing counts twice.
V4  Hours without a checked observation are not scored. Missing is never zero.
V5  The chance of a rule is scored when its window has passed. The event is a run of `for_h` hours
    in a row; a window with a missing hour and no event is not scored.
V6  Errors of models that were corrected for this farm are stored apart: a bias that the
    correction has removed must not be removed again. So are those of a forecast that follows KMA's,
    whatever the observations are: what was learned of it survives a change of their source.
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
"""Values of each hour ahead: of the models, of KMA, as published, and its p10 and p90."""
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
        source: Name that its errors are stored under, see `record_of`.
        values: Float32, shape `SHAPE`; NaN = not forecast.
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
        """Hours of a target, or of a quantity that is derived from the targets."""
        return derived.values_of(quantity, dict(zip(TARGETS, self.values.T, strict=True)))


def block_of(time: datetime) -> int:
    """Number of the block of `BLOCK_H` hours that a time lies in, counted from 1970."""
    return hour_of(time) // BLOCK_H


def record_of(model: Forecast, source: str) -> str:
    """Name that the errors of a forecast are stored under (V6).

    Args:
        model: By the models alone.
        source: Name of the observations.
    """
    return (
        f"{source}+{site_correction.TUNED}" if site_correction.TUNED in model.adjusted else source
    )


def past_forecast_of(
    model: Forecast,
    published: Forecast,
    guidance: Mapping[str, np.ndarray],
    record: str,
    chances: Mapping[str, float],
) -> PastForecast:
    """The forecast in the form that is stored for scoring.

    Args:
        model: Before the device's own correction.
        published: As it goes out; the same hours, and perhaps more behind them.
        guidance: KMA's values at these hours, by target; NaN = none.
        record: Name that its errors are stored under (V6).
        chances: See `PastForecast`.
    """
    values = np.full(SHAPE, np.nan, np.float32)
    rows = np.array([(at - model.origin) // _HOUR for at in model.valid_at]) - 1
    # What reaches further than the models is not scored.
    inside, count = rows < REACH_H, len(rows)
    for index, name in enumerate(TARGETS):
        target = published.targets[name]
        columns = (
            model.targets[name].values,
            guidance[name],
            target.values[:count],
            target.quantile(P10)[:count],
            target.quantile(P90)[:count],
        )
        values[index, rows[inside]] = np.stack(columns, axis=1)[inside]
    return PastForecast(published.issued_at, model.origin, record, values, chances)


def tally(block: int, forecasts: Sequence[PastForecast], truth: Truth) -> np.ndarray:
    """Sums over the hours of one block (V1, V4).

    Args:
        block: Number of the block, see `block_of`.
        forecasts: Forecasts of its hours from one source, one for each origin.
        truth: Observations of the block, as far as its hours have passed.

    Returns:
        Float64, shape `TALLY_SHAPE`.
    """
    hours = np.arange(block * BLOCK_H, (block + 1) * BLOCK_H)
    leads = np.array(LEADS)
    values = np.stack([np.full(SHAPE, np.nan, np.float32), *(f.values for f in forecasts)])
    row_of = {hour_of(forecast.origin): row for row, forecast in enumerate(forecasts, start=1)}
    rows = np.array([[row_of.get(int(hour - lead), 0) for lead in leads] for hour in hours])
    # (hour of the block, lead, target, part)
    forecast = values[rows[:, :, None], np.arange(len(TARGETS)), leads[None, :, None] - 1]
    observed = _at(truth, hours)[:, None, :]
    model = observed - forecast[..., 0]
    error = observed - forecast[..., 2]
    inside = (observed >= forecast[..., 3]) & (observed <= forecast[..., 4])
    guidance = np.where(np.isfinite(model), observed - forecast[..., 1], np.nan)
    scored, paired = np.isfinite(error), np.isfinite(guidance)
    pair = np.where(paired, model, 0.0)
    columns = (
        scored, model, model**2, error, error**2, inside & scored,
        paired, pair, pair**2, guidance, guidance**2, pair * guidance,
    )  # fmt: skip
    out = np.stack([np.nansum(column, axis=0).T for column in columns], axis=2)
    return np.asarray(out, np.float64)


def skill(tallies: np.ndarray, leads: Sequence[int]) -> list[Skill]:
    """Scores from summed tallies, for leads with anything scored.

    Args:
        tallies: Shape `TALLY_SHAPE`.
        leads: Hours ahead to report.
    """
    scores = []
    for index, name in enumerate(TARGETS):
        for lead in leads:
            sums = dict(zip(SUMS, tallies[index, lead - 1], strict=True))
            count = sums["count"]
            if count:
                scores.append(
                    Skill(
                        quantity=name,
                        lead_h=lead,
                        hours=int(count),
                        rmse=round(float(np.sqrt(sums["said_squared"] / count)), 2),
                        bias=round(float(sums["said"] / count), 2),
                        coverage=round(float(sums["covered"] / count), 3),
                        model_rmse=round(float(np.sqrt(sums["model_squared"] / count)), 2),
                        guidance_rmse=round(float(np.sqrt(sums["guidance_squared"] / pairs)), 2)
                        if (pairs := sums["pairs"])
                        else None,
                    )
                )
    return scores


def meaning(rule: Rule) -> str:
    """The event of a rule in words; rules with the same event share its scores."""
    event = f"{rule.quantity} {rule.operator} {rule.threshold:g}"
    return f"{event}, {rule.for_h} h within {rule.within_h} h"


def happened(rule: Rule, issued_at: datetime, truth: Truth) -> bool | None:
    """Whether a rule's event happened in the window after a decision (V5); None = not known.

    Args:
        rule: A forecast rule on a target or on a quantity derived from the targets.
        issued_at: Time of the decision.
        truth: Checked hours; a window that reaches beyond them is not known.
    """
    first = hour_of(issued_at) + 1
    values = _at(truth, np.arange(first, first + rule.within_h), truth.of(rule.quantity))
    return events.happened(events.hours_met(values, rule.operator, rule.threshold), rule.for_h)


def _at(truth: Truth, hours: np.ndarray, series: np.ndarray | None = None) -> np.ndarray:
    """Observations at hours since 1970; NaN outside of them."""
    values = truth.values if series is None else series
    rows = hours - hour_of(truth.first)
    inside = (rows >= 0) & (rows < len(values))
    out = np.full((len(hours), *values.shape[1:]), np.nan)
    out[inside] = values[rows[inside]]
    return out
