"""Removes the bias that a farm's verification shows from its forecast, and blends in guidance.

A1  The bias is the mean error of the last weeks, weighted by exp(-age / `MEMORY_DAYS`), by group of
    leads and quarter of the UTC day.
A2  A mean m with standard error s is shrunk to m^3 / (m^2 + `DOUBT` s^2), so that a bias that may
    be chance is hardly removed (as in empirical Bayes, Efron and Morris 1973,
    doi 10.1080/01621459.1973.10481350). The hours of one day count as one case, since their errors
    are correlated.
A3  Never more than the target's `correction` in `contract.schema` is removed, and nothing from
    fewer than `FEWEST_DAYS` days.
A4  The bias of KMA's guidance is removed in the same way. Its weight is in inverse proportion to
    its mean squared error beside that of the models on the same hours; none from fewer than
    `FEWEST_DAYS` days.
A5  The interval moves with the value. Where guidance takes part, its width is multiplied by the
    ratio of the blend's error to the models', within `NARROWEST` and 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.forecast import Forecast, TargetForecast
from edge_agent.contract.schema import (
    LEADS,
    QUANTITIES,
    TARGETS,
    target_limits,
)
from edge_agent.forecasting.verification import BLOCK_H, SUMS, block_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MEMORY_DAYS: Final = 30.0
DOUBT: Final = 3.0
FEWEST_DAYS: Final = 4.0
NARROWEST: Final = 0.5
GROUPS: Final = ((1, 1), (2, 3), (4, 6), (7, 12), (13, 18), (19, 24), (25, 36), (37, 48))
"""Leads that are estimated together: first and last hour ahead."""
_GROUP_OF: Final = np.array(
    [next(g for g, (a, b) in enumerate(GROUPS) if a <= lead <= b) for lead in LEADS]
)
_SIZES: Final = np.bincount(_GROUP_OF)[None, :, None]
_QUARTERS: Final = 24 // BLOCK_H
_HOUR: Final = timedelta(hours=1)
_SUM: Final = {name: position for position, name in enumerate(SUMS)}


@dataclass(frozen=True, slots=True)
class BiasEstimate:
    """Estimated bias and weights; every array has the shape (target, group of leads, quarter).

    Attributes:
        bias: To add to the models' value.
        guidance_bias: To add to KMA's value.
        guidance_weight: Share of guidance, 0..1.
        width: Factor for the interval where guidance takes part.
    """

    bias: np.ndarray
    guidance_bias: np.ndarray
    guidance_weight: np.ndarray
    width: np.ndarray


def estimate(
    tallies: Mapping[int, np.ndarray], now: datetime, *, bias: bool = True, blend: bool = True
) -> BiasEstimate:
    """Estimate biases and weights from the tallies of one source (A1 to A4).

    Args:
        tallies: By block, none of it later than `now`: see `verification.tally`.
        now: UTC.
        bias: Remove the bias of the models.
        blend: Blend in guidance.
    """
    sums = np.zeros((len(TARGETS), len(GROUPS), _QUARTERS, len(SUMS)))
    newest = block_of(now)
    for block, tally in tallies.items():
        age_days = (newest - block) * BLOCK_H / 24
        grouped = np.add.reduceat(tally, [first - 1 for first, _ in GROUPS], axis=1)
        sums[:, :, block % _QUARTERS] += np.exp(-age_days / MEMORY_DAYS) * grouped
    most = np.array([target_limits(name).correction for name in TARGETS])[:, None, None]
    own = _shrunk(sums, "count", "model", "model_squared", most) * bias
    theirs = _shrunk(sums, "pairs", "guidance", "guidance_squared", most)
    weight, width = _shares(sums, own, theirs)
    return BiasEstimate(own, theirs, weight * blend, width)


def adjust(forecast: Forecast, bias: BiasEstimate, guidance: Mapping[str, np.ndarray]) -> Forecast:
    """Correct a forecast by an estimate (A5); `adjusted` names what was done.

    Args:
        forecast: By the models, from observations of the source that was estimated from.
        bias: See `estimate`.
        guidance: KMA's value at each hour, by target, shape (N,); NaN = none.
    """
    cells = (
        _GROUP_OF[[(at - forecast.origin) // _HOUR - 1 for at in forecast.valid_at]],
        np.array([block_of(at) % _QUARTERS for at in forecast.valid_at]),
    )
    targets, done = {}, set()
    for index, name in enumerate(TARGETS):
        target = forecast.targets[name]
        own = bias.bias[index][cells]
        points = target.values + own
        theirs = guidance[name] + bias.guidance_bias[index][cells]
        there = np.isfinite(theirs)
        share = np.where(there, bias.guidance_weight[index][cells], 0.0)
        points = points + share * (np.where(there, theirs, points) - points)
        width = np.where(share > 0, bias.width[index][cells], 1.0)
        done |= {word for word, part in (("bias", own), ("guidance", share)) if part.any()}
        targets[name] = _moved(name, target, points, width)
    return replace(forecast, targets=targets, adjusted=(*forecast.adjusted, *sorted(done)))


def _moved(
    name: str, target: TargetForecast, points: np.ndarray, width: np.ndarray
) -> TargetForecast:
    low, high = QUANTITIES[name].bounds
    around = (target.quantiles - target.values[:, None]) * width[:, None]
    return TargetForecast(
        unit=target.unit,
        values=np.clip(points, low, high),
        levels=target.levels,
        quantiles=np.clip(points[:, None] + around, low, high),
    )


def _shrunk(sums: np.ndarray, count: str, total: str, squared: str, most: np.ndarray) -> np.ndarray:
    """Mean error after shrinkage (A2, A3), shape (target, group, quarter)."""
    n = np.maximum(sums[..., _SUM[count]], 1e-9)
    days = n / (_SIZES * BLOCK_H)
    mean = sums[..., _SUM[total]] / n
    variance = np.maximum(sums[..., _SUM[squared]] / n - mean**2, 1e-9)
    shrunk = mean**3 / (mean**2 + DOUBT * variance / np.maximum(days, 1e-9))
    limited: np.ndarray = np.clip(np.where(days >= FEWEST_DAYS, shrunk, 0.0), -most, most)
    return limited


def _shares(sums: np.ndarray, own: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of guidance, and error of the blend relative to that of the models (A4, A5)."""
    n = np.maximum(sums[..., _SUM["pairs"]], 1e-9)
    enough = n / (_SIZES * BLOCK_H) >= FEWEST_DAYS
    # Mean errors of both, then mean squares once the bias of each is removed.
    m, g = (sums[..., _SUM[name]] / n for name in ("pair", "guidance"))
    mine = np.maximum(sums[..., _SUM["pair_squared"]] / n - 2 * m * own + own**2, 1e-6)
    kma = np.maximum(sums[..., _SUM["guidance_squared"]] / n - 2 * g * theirs + theirs**2, 1e-6)
    both = sums[..., _SUM["product"]] / n - m * theirs - g * own + own * theirs
    weight = np.where(enough, mine / (mine + kma), 0.0)
    blended = weight**2 * kma + (1 - weight) ** 2 * mine + 2 * weight * (1 - weight) * both
    width = np.sqrt(np.clip(blended / mine, NARROWEST**2, 1.0))
    return weight, np.where(enough, width, 1.0)
