"""Rules for every release, champion or not: better than simple references, no leak. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.contract.schema import AIR_TEMPERATURE, QUANTITIES, target_limits
from trainer.evaluation.daily_sums import CHALLENGER, CLIMATOLOGY, PERSISTENCE, lead_slice
from trainer.evaluation.dataset import JUDGED_DAYS
from trainer.gate.resampled_sums import Finding, lower, ratio

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    import numpy as np

    from trainer.gate.resampled_sums import ResampledSums

FLOOR: Final = {6: 0.05, 12: 0.05, 24: 0.0, 48: 0.0}
"""Least skill by lead against the best reference: the lower 95 % bound, at 48 h the value."""

POINT_ONLY: Final = 48

LEAST_DAYS: Final = JUDGED_DAYS
LEAST_HALF: Final = 60
"""Days that a holdout must have in October to March, and in April to September."""

LEAST_PRESENT: Final = 0.99


def too_short(days: int) -> Finding:
    """G11 for a holdout to which no other rule can be applied."""
    return _length(days >= LEAST_DAYS, f"{days} days")


def length(days: Collection[date]) -> Finding:
    """G11 for the Korean days on which a candidate could be judged at most."""
    winter = sum(day.month >= 10 or day.month <= 3 for day in days)
    return _halves(winter, len(days) - winter)


def holdout(sums: ResampledSums) -> list[Finding]:
    """G11: long enough, with a winter and a summer half."""
    rows = sums.daily_sums.losses[AIR_TEMPERATURE, lead_slice(24), CHALLENGER][:, 0] > 0
    cold = sums.daily_sums.winter_half()
    winter, summer = int((rows & cold).sum()), int((rows & ~cold).sum())
    return [_halves(winter, summer)]


def floor(sums: ResampledSums, target: str, *, counted: bool) -> list[Finding]:
    """G1: skill against the best of persistence, climatology and damped anomaly."""
    findings = []
    for lead, least in FLOOR.items():
        reference = sums.best_reference(target, lead)
        value, draws = skill(sums, target, lead, reference)
        bound = lower(draws, 0.95)
        passed = value >= least if lead == POINT_ONLY else bound > least
        own = sums.losses(target, lead_slice(lead), CHALLENGER).rmse()
        theirs = sums.losses(target, lead_slice(lead), reference).rmse()
        needed = "the skill at least" if lead == POINT_ONLY else "the bound above"
        findings.append(
            Finding(
                "G1", target, f"{lead} h", passed or not counted, counted,
                text=(
                    f"RMSE {own:.3f} against {reference}'s {theirs:.3f}, skill {value:.3f} "
                    f"(lower 95 % bound {bound:.3f}); {needed} {least:g} is needed"
                ),
            )
        )  # fmt: skip
    return findings


def leaks(sums: ResampledSums, target: str) -> list[Finding]:
    """G10: too good to be true means that the model knew the answer.

    Both limits count, as the sea makes some stations easy for everybody.
    """
    unit = QUANTITIES[target].unit
    own = sums.losses(target, lead_slice(24), CHALLENGER).rmse()
    theirs = sums.losses(target, lead_slice(24), PERSISTENCE).rmse()
    share = own / theirs
    limits = target_limits(target)
    limit, least = limits.leak_rmse, limits.leak_share
    near, near_draws = skill(sums, target, 12, CLIMATOLOGY)
    far, far_draws = skill(sums, target, 24, CLIMATOLOGY)
    bound = lower(far_draws - near_draws, 0.95)
    return [
        Finding(
            "G10", target, "24 h", not (own < limit and share < least), counted=True,
            text=(
                f"RMSE {own:.3f} {unit}, {share:.3f} of persistence's; below both {limit:g} and "
                f"{least:g} is a leak alarm: look for the future among the inputs"
            ),
        ),
        Finding(
            "G10", target, "12-24 h", far <= 0.0 or bound <= 0.0, counted=True,
            text=(
                f"skill against the normals {near:.3f} at 12 h and {far:.3f} at 24 h (lower "
                f"95 % bound of the difference {bound:+.3f}); above 0 is a leak alarm: look for "
                "the future among the inputs"
            ),
        ),
    ]  # fmt: skip


def present(sums: ResampledSums, target: str) -> list[Finding]:
    """G12: a forecast that is missing where one could be made is a failure."""
    absent = sums.daily_sums.absent.get((target, CHALLENGER), 0)
    rows = sum(
        sums.losses(target, part, CHALLENGER).point["rows"]
        for part in sums.parts(target, CHALLENGER)
        if part.startswith("lead:")
    )
    share = rows / (rows + absent)
    return [
        Finding(
            "G12", target, "", share >= LEAST_PRESENT, counted=True,
            text=f"forecasts for {share:.2%} of the hours, at least {LEAST_PRESENT:.0%} are needed",
        )
    ]  # fmt: skip


def skill(sums: ResampledSums, target: str, lead: int, reference: str) -> tuple[float, np.ndarray]:
    """Skill 1 - MSE / MSE of the reference at a lead: the value, and one per draw."""
    part = lead_slice(lead)
    value, draws = ratio(
        sums.losses(target, part, CHALLENGER), sums.losses(target, part, reference), "squared"
    )
    return 1.0 - value, 1.0 - draws


def _halves(winter: int, summer: int) -> Finding:
    enough = winter + summer >= LEAST_DAYS and min(winter, summer) >= LEAST_HALF
    return _length(enough, f"{winter + summer} days, {winter} of them from October to March")


def _length(enough: bool, days: str) -> Finding:
    text = (
        f"the holdout has {days}; at least {LEAST_DAYS} are needed with {LEAST_HALF} in each "
        "half of the year (October to March, April to September): ingest more years, or raise "
        "holdout_share in trainer.toml"
    )
    return Finding("G11", "", "", enough, counted=True, text=text)
