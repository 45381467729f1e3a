"""Removes the bias that a farm's verification shows from its forecast.

A1  The bias is the mean error of the last weeks, weighted by exp(-age / `MEMORY_DAYS`), by group of
    leads and quarter of the UTC day.
A2  A mean m with standard error s is shrunk to m^3 / (m^2 + `DOUBT` s^2), so that a bias that may
    be chance is hardly removed (as in empirical Bayes, Efron and Morris 1973,
    doi 10.1080/01621459.1973.10481350). The hours of one day count as one case, since their errors
    are correlated.
A3  Never more than the target's `correction` in `contract.schema` is removed, and nothing from
    fewer than `FEWEST_DAYS` days.
A4  A forecast that follows KMA's has learned from the newest errors already. What is left over is
    taken off by the same rules, from the hours that KMA's forecast had, and no more than
    `GUIDED_SHARE` of that limit. No weight is learned here: see `joining`.
A5  The interval moves with the value.
"""

from __future__ import annotations

from dataclasses import replace
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
GUIDED_SHARE: Final = 0.2
GROUPS: Final = ((1, 1), (2, 3), (4, 6), (7, 12), (13, 18), (19, 24), (25, 36), (37, 48))
"""Leads that are estimated together: first and last hour ahead."""
_GROUP_OF: Final = np.array(
    [next(g for g, (a, b) in enumerate(GROUPS) if a <= lead <= b) for lead in LEADS]
)
_SIZES: Final = np.bincount(_GROUP_OF)[None, :, None]
_QUARTERS: Final = 24 // BLOCK_H
_HOUR: Final = timedelta(hours=1)
_SUM: Final = {name: position for position, name in enumerate(SUMS)}


def estimate(
    tallies: Mapping[int, np.ndarray], now: datetime, *, guided: bool = False
) -> np.ndarray:
    """Bias to add to a forecast, from the tallies of one record (A1 to A4).

    Args:
        tallies: By block, none of it later than `now`: see `verification.tally`.
        now: UTC.
        guided: The record is of forecasts that follow KMA's.

    Returns:
        Shape (target, group of leads, quarter).
    """
    sums = np.zeros((len(TARGETS), len(GROUPS), _QUARTERS, len(SUMS)))
    newest = block_of(now)
    for block, tally in tallies.items():
        age_days = (newest - block) * BLOCK_H / 24
        grouped = np.add.reduceat(tally, [first - 1 for first, _ in GROUPS], axis=1)
        sums[:, :, block % _QUARTERS] += np.exp(-age_days / MEMORY_DAYS) * grouped
    most = np.array([target_limits(name).correction for name in TARGETS])[:, None, None]
    if guided:
        return _shrunk(sums, "pairs", "pair", "pair_squared", most * GUIDED_SHARE)
    return _shrunk(sums, "count", "model", "model_squared", most)


def adjust(forecast: Forecast, bias: np.ndarray) -> Forecast:
    """Correct a forecast by an estimate (A5); `adjusted` names it where anything was done.

    Args:
        forecast: Of the record that was estimated from.
        bias: See `estimate`.
    """
    leads = np.array([(at - forecast.origin) // _HOUR for at in forecast.valid_at])
    cells = (
        _GROUP_OF[np.minimum(leads, len(_GROUP_OF)) - 1],
        np.array([block_of(at) % _QUARTERS for at in forecast.valid_at]),
    )
    if not any(part[cells].any() for part in bias):
        return forecast
    targets = dict(forecast.targets) | {
        name: _moved(name, forecast.targets[name], part[cells])
        for name, part in zip(TARGETS, bias, strict=True)
    }
    return replace(forecast, targets=targets, adjusted=(*forecast.adjusted, "bias"))


def _moved(name: str, target: TargetForecast, by: np.ndarray) -> TargetForecast:
    low, high = QUANTITIES[name].bounds
    return TargetForecast(
        unit=target.unit,
        values=np.clip(target.values + by, low, high),
        levels=target.levels,
        quantiles=np.clip(target.quantiles + by[:, None], low, high),
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
