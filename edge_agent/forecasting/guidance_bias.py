"""KMA's forecast without its bias on this farm: what is said where no models correct it. Pure.

B1  The newest error fades from the forecast by exp(-lead / 8 h), as in `base` of
    `contract.guidance_features`, and gives way to the bias of the last 30 days.
B2  The bias is the mean error of the same hour of the day and its neighbours. A mean m with
    standard error s is shrunk to m^3 / (m^2 + 3 s^2); the hours of one day count as one case
    (rule A2 of `bias_correction`).
B3  The spread is that of KMA's errors by age, times the ratio of the farm's own errors to these.
    The ratio counts as if ten more days of the usual errors had been seen, and is never below
    `NARROWEST`.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract import guidance_defaults
from edge_agent.contract.forecast import TargetForecast
from edge_agent.contract.guidance_features import FADING_H
from edge_agent.contract.residuals import LEVELS
from edge_agent.contract.schema import QUANTITIES, target_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS: Final = 30
DOUBT: Final = 3.0
FEWEST_DAYS: Final = 4
NARROWEST: Final = 0.6
WIDEST: Final = 3.0
_USUAL_DAYS: Final = 10.0
_TYPICAL_AGE_H: Final = 3
_NORMAL: Final = np.array([NormalDist().inv_cdf(level) for level in LEVELS])


def forecast(
    target: str,
    guidance: np.ndarray,
    *,
    ages: np.ndarray,
    leads: np.ndarray,
    errors: np.ndarray,
    newest: float,
) -> TargetForecast:
    """Forecast of one target.

    Args:
        target: Quantity.
        guidance: KMA's values, shape (N,); NaN = none.
        ages: Hours from the issue's base time to each hour, shape (N,).
        leads: Hours ahead of the last of `errors`, shape (N,), positive.
        errors: Observed minus forecast of past hours, hourly up to the origin; NaN = not known.
        newest: Error at the origin; NaN = not known.
    """
    bias, ratio = _bias(target, errors), _ratio(target, errors)
    fading = np.exp(-leads / FADING_H) if np.isfinite(newest) else np.zeros(len(leads))
    here = bias[(leads - 1) % 24]
    points = guidance + here + fading * (np.nan_to_num(newest) - here)
    spread = ratio * guidance_defaults.error(target, ages)
    if np.isfinite(newest):
        spread = spread * guidance_defaults.narrowing(leads)
    quantity = QUANTITIES[target]
    low, high = quantity.bounds
    return TargetForecast(
        unit=quantity.unit,
        values=np.clip(points, low, high),
        levels=np.array(LEVELS),
        quantiles=np.clip(points[:, None] + spread[:, None] * _NORMAL, low, high),
    )


def _bias(target: str, errors: np.ndarray) -> np.ndarray:
    """Bias of the 24 hours after the last error, first the next one (B2)."""
    table = _by_day(errors)
    # The hour before and the hour after, each of the same day's row.
    near = np.stack([np.roll(table, 1, axis=1), table, np.roll(table, -1, axis=1)])
    known = np.isfinite(near)
    count = known.sum(axis=(0, 1))
    days = known.any(axis=0).sum(axis=0)
    total = np.where(known, near, 0.0)
    mean = total.sum(axis=(0, 1)) / np.maximum(count, 1)
    variance = np.maximum((total**2).sum(axis=(0, 1)) / np.maximum(count, 1) - mean**2, 1e-9)
    shrunk = mean**3 / (mean**2 + DOUBT * variance / np.maximum(days, 1))
    most = target_limits(target).correction
    bounded: np.ndarray = np.clip(np.where(days >= FEWEST_DAYS, shrunk, 0.0), -most, most)
    return bounded


def _ratio(target: str, errors: np.ndarray) -> float:
    """Farm's errors relative to the usual ones (B3)."""
    known = errors[-24 * DAYS :]
    known = known[np.isfinite(known)]
    usual = float(guidance_defaults.error(target, np.array([_TYPICAL_AGE_H]))[0]) ** 2
    days = len(known) / 24
    own = float(known.var()) if len(known) else 0.0
    square = (days * own + _USUAL_DAYS * usual) / (days + _USUAL_DAYS) / usual
    return float(np.clip(np.sqrt(square), NARROWEST, WIDEST))


def _by_day(errors: np.ndarray) -> np.ndarray:
    """The last `DAYS` days, a day a row; the first column is the hour of the day of the next."""
    padded = np.full(24 * DAYS, np.nan)
    newest: Sequence[float] | np.ndarray = errors[-24 * DAYS :]
    if len(newest):
        padded[-len(newest) :] = newest
    return padded.reshape(DAYS, 24)
