"""Rules beside what is live: better or as good, and nowhere clearly worse. Pure.

Absolute limits (bias, coverage) apply where they can be met. Where what is live is outside of one,
a challenger may be outside too, but no further. Otherwise the worse of two models would stay live.
"""

from __future__ import annotations

from enum import StrEnum
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from edge_agent.contract.schema import TARGETS, target_limits
from trainer.evaluation.bootstrap import diebold_mariano
from trainer.evaluation.daily_sums import CHALLENGER, CHAMPION, SEASONS, TAILS, lead_slice
from trainer.gate.resampled_sums import Finding, ratio, rmse_ratio, upper

if TYPE_CHECKING:
    from trainer.gate.resampled_sums import ResampledSums, SliceSums
    from trainer.gate.thresholds import Thresholds

HEADLINE: Final = lead_slice(24)
GAIN: Final = 0.995
"""What the upper bound of the RMSE ratio must be below for "better": real trainings that differ by
their seed alone differ by up to 1 %, which days drawn again cannot tell from a gain."""

SAME_RECIPE: Final = 1.01
OTHER_RECIPE: Final = 1.025
"""Most that the upper 95 % bound of the RMSE ratio may be for a challenger that is not better."""

SLICE_BOUND: Final = 1.03
SLICE_POINT: Final = 1.05
FULL_DAYS: Final = 60
FEW_DAYS: Final = 30
"""A slice with FULL_DAYS is judged by its upper 90 % bound, with FEW_DAYS by its value, with
fewer not at all."""

COVERAGE_SLACK: Final = 0.02
SPREAD_RATIO: Final = 1.02


class Route(StrEnum):
    """How a target got through, or not."""

    FIRST = "first"
    BETTER = "better"
    AS_GOOD = "as good"
    WORSE = "worse"


def compare(
    sums: ResampledSums, target: str, *, alpha: float, same_recipe: bool, live: str
) -> tuple[Route, Finding]:
    """G2: better by resampled days, by Diebold-Mariano and by a gain, or as good within the margin.

    Args:
        sums: With both forecasts.
        target: Quantity.
        alpha: Chance that the comparison calls equal recipes better, for all targets together.
        same_recipe: Whether only data and seeds differ.
        live: Whose the other forecast is, in words ("release 7's").
    """
    own, theirs = (sums.losses(target, HEADLINE, name) for name in (CHALLENGER, CHAMPION))
    share = alpha / len(TARGETS)
    mean = float(sums.daily(target, HEADLINE, CHALLENGER, CHAMPION).mean())
    bound = upper(sums.mean_of_daily(target, HEADLINE, CHALLENGER, CHAMPION), 1.0 - share)
    z = diebold_mariano(sums.daily(target, HEADLINE, CHALLENGER, CHAMPION))
    limit = NormalDist().inv_cdf(share)
    value, draws = rmse_ratio(own, theirs)
    gain, most = upper(draws, 1.0 - share), upper(draws, 0.95)
    margin = SAME_RECIPE if same_recipe else OTHER_RECIPE
    if bound < 0.0 and z < limit and gain < GAIN:
        route = Route.BETTER
    else:
        route = Route.AS_GOOD if most <= margin else Route.WORSE
    text = (
        f"RMSE {own.rmse():.4f} against {live} {theirs.rmse():.4f} on the same "
        f"{int(own.point['rows'])} hours of {own.days} days: {route.value}; better needs the "
        f"daily difference {mean:+.4f} (upper {1 - share:.2%} bound {bound:+.4f}) below 0, "
        f"Diebold-Mariano {z:.2f} below {limit:.2f} and the ratio's bound {gain:.4f} below "
        f"{GAIN:g}; as good needs the ratio {value:.4f} (upper 95 % bound {most:.4f}) within "
        f"{margin:g}"
    )
    return route, Finding("G2", target, "24 h", route is not Route.WORSE, counted=True, text=text)


def slices(sums: ResampledSums, target: str, thresholds: Thresholds) -> list[Finding]:
    """G6: no lead, season, half of the day, tail or station clearly worse."""
    findings = []
    for part in sums.parts(target, CHALLENGER):
        if part != HEADLINE:
            own, theirs = (sums.losses(target, part, name) for name in (CHALLENGER, CHAMPION))
            counted = thresholds.tails or part not in TAILS
            findings.append(_slice(target, part, own, theirs, thresholds, counted=counted))
    for season, name in enumerate(SEASONS):
        own, theirs = (
            sums.losses(target, HEADLINE, forecast, season) for forecast in (CHALLENGER, CHAMPION)
        )
        if own.days:
            findings.append(_slice(target, name, own, theirs, thresholds))
    return findings


def bias(sums: ResampledSums, target: str) -> list[Finding]:
    """G7: mean error within limits, or no further off than what is live."""
    limits = target_limits(target)
    overall, by_season = limits.bias
    findings = []
    for season, name in ((None, ""), *enumerate(SEASONS)):
        own, theirs = (
            sums.losses(target, HEADLINE, forecast, season) for forecast in (CHALLENGER, CHAMPION)
        )
        if not own.days:
            continue
        limit = overall if season is None else by_season
        mean, live = own.mean("error"), theirs.mean("error")
        passed = abs(mean) <= (limit if abs(live) <= limit else abs(live) + limits.bias_slack)
        counted = own.days >= FEW_DAYS
        text = f"bias {mean:+.3f}, limit {limit:g}; what is live has {live:+.3f}"
        findings.append(Finding("G7", target, name, passed or not counted, counted, text))
    return findings


def intervals(sums: ResampledSums, target: str, thresholds: Thresholds) -> list[Finding]:
    """G8: intervals hold what they promise, and the distribution is no worse."""
    own, theirs = (sums.losses(target, HEADLINE, name) for name in (CHALLENGER, CHAMPION))
    findings = [
        _covered(target, "", column, (own, theirs), within)
        for column, within in thresholds.coverage.items()
    ]
    for season, name in enumerate(SEASONS):
        mine, live = (
            sums.losses(target, HEADLINE, forecast, season) for forecast in (CHALLENGER, CHAMPION)
        )
        if mine.days:
            within = thresholds.season_coverage
            findings.append(_covered(target, name, "inside_80", (mine, live), within))
    for column, words in (("crps", "CRPS"), ("interval_80", "80 % interval score")):
        value, draws = ratio(own, theirs, column)
        most = upper(draws, 0.95)
        text = (
            f"{words} {own.mean(column):.4f} against {theirs.mean(column):.4f}: ratio {value:.4f} "
            f"(upper 95 % bound {most:.4f}), limit {SPREAD_RATIO:g}"
        )
        findings.append(Finding("G8", target, words, most <= SPREAD_RATIO, counted=True, text=text))
    return findings


def _slice(
    target: str,
    part: str,
    own: SliceSums,
    theirs: SliceSums,
    thresholds: Thresholds,
    *,
    counted: bool = True,
) -> Finding:
    value, draws = rmse_ratio(own, theirs)
    bound = upper(draws, 0.90)
    counted = counted and own.days >= FEW_DAYS
    if not counted:
        passed, rule = True, "not judged" if own.days >= FEW_DAYS else "too few to judge"
    elif thresholds.proven and own.days >= FULL_DAYS:
        passed, rule = bound <= SLICE_BOUND, f"the bound may be {SLICE_BOUND:g}"
    else:
        passed, rule = value <= SLICE_POINT, f"the ratio may be {SLICE_POINT:g}"
    text = f"RMSE ratio {value:.4f} (upper 90 % bound {bound:.4f}) over {own.days} days; {rule}"
    return Finding("G6", target, part, passed, counted, text)


def _covered(
    target: str,
    part: str,
    column: str,
    sums: tuple[SliceSums, SliceSums],
    within: tuple[float, float],
) -> Finding:
    own, theirs = sums
    low, high = within
    mean, live = own.mean(column), theirs.mean(column)
    beside = _outside(live, within)
    passed = _outside(mean, within) <= (beside + COVERAGE_SLACK if beside else 0.0)
    counted = own.days >= FEW_DAYS
    text = (
        f"{column.removeprefix('inside_')} % interval holds {mean:.3f}, limits {low:g} to "
        f"{high:g}; what is live holds {live:.3f}"
    )
    return Finding("G8", target, part, passed or not counted, counted, text)


def _outside(value: float, within: tuple[float, float]) -> float:
    return max(within[0] - value, value - within[1], 0.0)
