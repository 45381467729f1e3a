"""The rules of a canary's trial. Pure.

Rules, numbered as tests and reasons name them:

    C1  Both releases forecast the same hours: every origin since the canary went live whose last
        lead has been observed, each release on its own normals. The measure per target is the
        square root of the ratio of squared errors, each lead first divided by stable's mean there,
        so that an hour ahead counts as much as two days. Days are resampled in blocks.
    C2  A canary without a number at more than `ABSENT` of the hours that stable knows is halted.
    C3  From `EARLY_DAYS` on it is halted where the lower 95 % bound of a ratio is above `MARGIN`.
    C4  After `canary_days` it goes to stable where the upper 95 % bound of every ratio is at most
        `MARGIN`.
    C5  Where neither is certain the trial goes on until twice `canary_days`. Then it is halted: a
        model that cannot be shown to be harmless does not reach every farm.

The gate, with a year of hours, asks for 1 %. Two weeks of paired hours of equal models scatter by
some 1.5 %, so a margin of 1 % would halt every second good canary; 5 % halts few. It still shows
what a gate cannot see: new weather, a changed feed, a broken file.

Halting publishes stable's models on the canary channel as a new, higher release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from trainer.depot.roles import CANARY, STABLE
from trainer.evaluation import bootstrap
from trainer.evaluation.holdout_scores import HEADLINE_LEAD, SCORED_LEADS
from trainer.evaluation.point_scores import common
from trainer.workspace.config import LEAST_CANARY_DAYS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from trainer.evaluation.dataset import Pairs

MARGIN: Final = 1.05
ABSENT: Final = 0.01
EARLY_DAYS: Final = LEAST_CANARY_DAYS
BLOCK_DAYS: Final = 3
"""About the cube root of the days (Kuensch 1989); weather is correlated for as long."""
FULL_DAY_HOURS: Final = 18
_SEED: Final = 20240417

Outcome = Literal["wait", "promote", "halt"]


class Compared(msgspec.Struct, frozen=True):
    """One target: RMSE at 24 h of both, ratio over all leads with its 95 % bounds, hours missing.

    Bounds are one-sided; None before there are `EARLY_DAYS`.
    """

    rmse_24h_canary: float
    rmse_24h_stable: float
    ratio: float
    lower: float | None
    upper: float | None
    hours: int
    missing: int


class Trial(msgspec.Struct, frozen=True):
    """A canary's trial so far.

    Attributes:
        canary: Its release number.
        stable: Release it is compared with.
        since: First origin, UTC.
        days: Days with at least `FULL_DAY_HOURS` scored hours.
        needed: Days after which it is decided.
        targets: Comparison per target.
        outcome: What the rules say.
        reasons: Why, with figures.
    """

    canary: int
    stable: int
    since: str
    days: int
    needed: int
    targets: dict[str, Compared]
    outcome: Outcome
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DailyErrors:
    """One target's errors by day of the Korean calendar.

    Attributes:
        canary: Sum of squared errors over stable's mean square of their lead, shape (days,).
        stable: The same of stable.
        hours: Scored hours at the headline lead, shape (days,).
        rmse: RMSE at the headline lead: canary, stable.
        known: Pairs that stable and the truth know.
        missing: Those of them at which the canary has no number.
    """

    canary: np.ndarray
    stable: np.ndarray
    hours: np.ndarray
    rmse: tuple[float, float]
    known: int
    missing: int


def decide(
    errors: Mapping[str, DailyErrors], releases: tuple[int, int], since: datetime, needed: int
) -> Trial:
    """Apply C2 to C5. Pure.

    Args:
        errors: Per target.
        releases: Numbers of canary and stable.
        since: First origin, UTC.
        needed: Days after which it is decided.
    """
    full = [int((target.hours >= FULL_DAY_HOURS).sum()) for target in errors.values()]
    days = min(full, default=0)
    compared = {target: _compared(daily, days) for target, daily in errors.items()}
    absent = [
        f"C2 {target}: no number at {daily.missing} of {daily.known} hours"
        for target, daily in errors.items()
        if daily.missing > ABSENT * daily.known
    ]
    outcome, reasons = _outcome(compared, absent, releases[1], days, needed)
    return Trial(
        canary=releases[0],
        stable=releases[1],
        since=f"{since:%Y-%m-%dT%H:%M}Z",
        days=days,
        needed=needed,
        targets=compared,
        outcome=outcome,
        reasons=tuple(reasons),
    )


def _outcome(
    compared: Mapping[str, Compared], absent: list[str], stable: int, days: int, needed: int
) -> tuple[Outcome, list[str]]:
    """Outcome with its reasons; `absent` are those of C2."""
    ratios = {
        target: f"{target}: RMSE ratio to release {stable} is {figures.ratio:.3f}"
        for target, figures in compared.items()
    }
    worse = [
        f"C3 {ratios[target]}, surely above {MARGIN:g} (at least {figures.lower:.3f}) after {days} "
        "days"
        for target, figures in compared.items()
        if figures.lower is not None and figures.lower > MARGIN
    ]
    if absent or worse:
        return "halt", [*absent, *worse]
    if days < needed:
        return "wait", [f"{days} of {needed} days are scored"]
    bounds = {
        target: f"{ratios[target]}, at most {figures.upper:.3f}"
        for target, figures in compared.items()
        if figures.upper is not None
    }
    uncertain = [
        text for target, text in bounds.items() if (compared[target].upper or 0.0) > MARGIN
    ]
    if not uncertain:
        return "promote", [f"C4 {text} after {days} days" for text in bounds.values()]
    if days < 2 * needed:
        return "wait", [f"C5 {text}: not certain after {days} days" for text in uncertain]
    return "halt", [f"C5 {text}: not shown to be harmless in {days} days" for text in uncertain]


def _compared(daily: DailyErrors, days: int) -> Compared:
    total = float(daily.stable.sum())
    ratio = float(np.sqrt(daily.canary.sum() / total)) if total > 0.0 else float("nan")
    lower = upper = None
    if days >= EARLY_DAYS and total > 0.0:
        drawn = bootstrap.weights(len(daily.stable), _SEED, block=BLOCK_DAYS)
        below = drawn @ daily.stable
        ratios = np.sqrt((drawn @ daily.canary)[below > 0.0] / below[below > 0.0])
        lower, upper = (float(bound) for bound in np.quantile(ratios, (0.05, 0.95)))
    return Compared(*daily.rmse, ratio, lower, upper, daily.known - daily.missing, daily.missing)


def daily_errors(
    canary: np.ndarray, stable: np.ndarray, observed: np.ndarray, pairs: Pairs, days: np.ndarray
) -> DailyErrors:
    """Errors of one target by day. Pure.

    Args:
        canary: Forecasts, shape (N,), NaN = none.
        stable: The same.
        observed: Truth, shape (N,), NaN = none.
        pairs: Their leads.
        days: Row of each pair's day, shape (N,).
    """
    known = common(observed, {STABLE: stable})
    missing = known & ~np.isfinite(canary)
    both = known & ~missing
    errors = {CANARY: (canary - observed) ** 2, STABLE: (stable - observed) ** 2}
    scale = np.ones(max(SCORED_LEADS) + 1)
    for lead in SCORED_LEADS:
        rows = both & (pairs.leads == lead)
        if rows.any():
            scale[lead] = max(float(errors[STABLE][rows].mean()), np.finfo(np.float64).tiny)
    count = int(days.max()) + 1 if len(days) else 0
    sums = {
        name: np.bincount(days[both], (squared / scale[pairs.leads])[both], count)
        for name, squared in errors.items()
    }
    headline = both & (pairs.leads == HEADLINE_LEAD)
    rmse = [
        float(np.sqrt(errors[name][headline].mean())) if headline.any() else float("nan")
        for name in (CANARY, STABLE)
    ]
    return DailyErrors(
        sums[CANARY],
        sums[STABLE],
        np.bincount(days[headline], minlength=count),
        (rmse[0], rmse[1]),
        int(known.sum()),
        int(missing.sum()),
    )
