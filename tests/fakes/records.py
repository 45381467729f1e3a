"""Evidence of two models with the daily errors of real ones: see `pair`."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY
from trainer.evaluation.daily_sums import (
    CHALLENGER,
    CHAMPION,
    CLIMATOLOGY,
    DAMPED,
    PERSISTENCE,
    DailySums,
    lead_slice,
)
from trainer.evaluation.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

# Mean squared error a day ahead, and of each lead and reference as a share of it: Seoul 2018.
SQUARED = {AIR_TEMPERATURE: 8.1, RELATIVE_HUMIDITY: 248.0}
LEADS = {1: 0.03, 3: 0.15, 6: 0.34, 12: 0.62, 24: 1.0, 36: 1.4, 48: 1.66}
DAMPED_BY_LEAD = {1: 0.04, 3: 0.2, 6: 0.47, 12: 0.84, 24: 1.17, 36: 1.6, 48: 1.77}
SPREAD = 0.07
"""Standard deviation of the daily difference of two seeds, as a share (0.56 of 8.1 C^2)."""
MONTHS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}


def pair(
    seed: int = 0,
    days: int = 365,
    *,
    first: date = date(2018, 1, 1),
    worse: Mapping[str, float] | float = 0.0,
    squared: float = 1.0,
    error: float = 0.0,
    inside: float = 0.8,
    absent: int = 0,
) -> DailySums:
    """Daily sums of a champion and a challenger that differs from it as another seed does.

    Args:
        seed: Of the weather and of the difference.
        days: Length.
        first: First day.
        worse: By how much the challenger's squared error is larger, as a share; by season, or
            all year round.
        squared: Factor of both models' squared errors, the references' left as they are.
        error: Mean error of the challenger, in the target's unit.
        inside: Share that the challenger's 80 % interval holds.
        absent: Hours without a forecast of the challenger.
    """
    random = np.random.default_rng(seed)
    found = DailySums(first, days)
    months = np.array([(first + timedelta(days=d)).month for d in range(days)])
    by_season = worse if not isinstance(worse, float) else dict.fromkeys(MONTHS, worse)
    shift = np.zeros(days)
    for season, share in by_season.items():
        shift[np.isin(months, MONTHS[season])] = share
    for target, mean in SQUARED.items():
        level = np.zeros(days)
        for day in range(1, days):
            level[day] = 0.3 * level[day - 1] + random.normal(0.0, 0.7)
        base = mean * np.exp(level - level.mean() - level.var() / 2)
        apart = 1.0 + shift + random.normal(0.0, SPREAD, days) * mean / base
        for lead, share in LEADS.items():
            part = lead_slice(lead)
            own = {
                CHAMPION: base * share * squared,
                CHALLENGER: base * share * squared * np.maximum(apart, 0.05),
                DAMPED: base * DAMPED_BY_LEAD[lead] * np.exp(random.normal(0, 0.3, days)),
                PERSISTENCE: base
                * (1.4 if lead <= 24 else 2.5)
                * np.exp(random.normal(0, 0.5, days)),
                CLIMATOLOGY: np.full(days, 2.1 * mean),
            }
            for name, values in own.items():
                _put(found, (target, part, name), values, 24.0, error, inside)
                if lead == 24:
                    for half in ("day", "night"):
                        _put(found, (target, half, name), values, 12.0, error, inside)
        found.absent[target, CHALLENGER] = absent
    for event in EVENTS:
        chance = np.clip(random.beta(0.3, 1.2, days), 0.0, 1.0)
        seen = np.array([random.binomial(24, p) for p in chance], np.float64)
        for name in (CHALLENGER, CHAMPION):
            hits, alarms = seen * (chance >= 0.3), (24 - seen) * (chance >= 0.3)
            found.warnings[event.target, event.name, name] = np.stack(
                [
                    np.full(days, 24.0),
                    seen,
                    24 * chance,
                    24 * chance**2,
                    chance * seen,
                    seen * (1 - chance) ** 2 + (24 - seen) * chance**2,
                    seen * (1 - 0.2) ** 2 + (24 - seen) * 0.2**2,
                    hits,
                    alarms,
                    seen - hits,
                ],
                axis=1,
            )
    return found


def _put(
    found: DailySums,
    key: tuple[str, str, str],
    squared: np.ndarray,
    rows: float,
    error: float,
    inside: float,
) -> None:
    own = key[2] == CHALLENGER
    root = np.sqrt(squared)
    shares = (
        np.ones_like(root),
        np.full_like(root, error if own else 0.0),
        0.8 * root,
        squared,
        0.56 * root,
        np.full_like(root, inside if own else 0.8),
        np.full_like(root, 0.9),
        3.6 * root,
    )
    found.losses[key] = rows * np.stack(shares, axis=1)
