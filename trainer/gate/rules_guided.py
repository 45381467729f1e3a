"""Rules for models that correct KMA's forecasts, at the hours that have these. Pure.

What is judged is what a device shows: these models joined with those of observations. Where a rule
fails the release has those of the live release instead, where it has such and they are still fit,
or goes without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trainer.evaluation.daily_sums import (
    GUIDANCE_REFERENCES,
    GUIDED,
    LIVE_GUIDED,
    NEW_PLACE,
    OBSERVATIONS,
    RAW_GUIDANCE,
    SEASONS,
    lead_slice,
)
from trainer.evaluation.holdout_scores import HEADLINE_LEAD
from trainer.gate.resampled_sums import Finding, rmse_ratio, upper
from trainer.gate.rules_champion import (
    FEW_DAYS,
    OTHER_RECIPE,
    SAME_RECIPE,
    SLICE_BOUND,
    SLICE_POINT,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trainer.gate.resampled_sums import ResampledSums, SliceSums

PROVEN_LEADS: Final = (6, 24)
"""Leads at which the upper 95 % bound of the RMSE ratio to each simple use must be below 1."""
OTHER_LEADS: Final = (1, 3, 12, 36, 48)
"""Leads at which that bound may be `AS_GOOD`."""
LEADS: Final = tuple(sorted((*PROVEN_LEADS, *OTHER_LEADS)))
AS_GOOD: Final = 1.01
LEAST_DAYS: Final = 90
LEAK_LEADS: Final = (12, 24, 36, 48)
LEAK_RATIO: Final = 0.65
"""Below this share of raw guidance's RMSE the model knew the answer; sound ones have 0.85."""
COVERAGE: Final = (0.74, 0.86)
"""Share of hours inside the 80 % interval, all leads of `PROVEN_LEADS`."""


def has_guided(sums: ResampledSums, target: str) -> bool:
    """Whether there are hours with corrected forecasts."""
    return (target, lead_slice(24), GUIDED) in sums.daily_sums.losses


def guided(sums: ResampledSums, target: str) -> list[Finding]:
    """G14 of one target; see `docs/gate.md`."""
    if not has_guided(sums, target):
        text = "no hour of the holdout has KMA's forecasts"
        return [_finding(target, "", passed=False, text=text)]
    days = sums.losses(target, lead_slice(24), GUIDED).days
    findings = [
        _finding(
            target, "length", passed=days >= LEAST_DAYS,
            text=f"{days} days of the holdout have KMA's forecasts; {LEAST_DAYS} are needed",
        )
    ]  # fmt: skip
    for lead in LEADS:
        findings += _beside(sums, target, lead)
    for lead in LEAK_LEADS:
        findings.append(_leak(sums, target, lead))
    findings += _new_place(sums, target)
    findings += _slices(sums, target)
    findings += _intervals(sums, target)
    return findings


def beside_live(sums: ResampledSums, target: str, *, same_recipe: bool) -> list[Finding]:
    """G14 beside the live release's corrections, joined with the same models of observations.

    A day ahead as good as G2 asks of models of observations, at the other leads as G6 does.

    Args:
        sums: With both.
        target: Quantity.
        same_recipe: Whether only data and seeds differ.
    """
    findings = []
    for lead, live, own in _by_lead(sums, target, LEADS, (LIVE_GUIDED, GUIDED)):
        value, draws = rmse_ratio(own, live)
        confidence, limit = 0.90, SLICE_BOUND
        if lead == HEADLINE_LEAD:
            confidence, limit = 0.95, SAME_RECIPE if same_recipe else OTHER_RECIPE
        bound = upper(draws, confidence)
        text = (
            f"RMSE {own.rmse():.3f} against {live.rmse():.3f} of the live release's corrections: "
            f"ratio {value:.4f} (upper {confidence:.0%} bound {bound:.4f}), the bound may be "
            f"{limit:g}"
        )
        findings.append(_finding(target, f"{lead} h live", passed=bound <= limit, text=text))
    return findings


def still_fit(sums: ResampledSums, target: str) -> list[Finding]:
    """Whether the live release's corrections may stay: no worse than raw guidance.

    Without hours that have KMA's forecasts nothing speaks against them.
    """
    findings = []
    for lead, live, raw in _by_lead(sums, target, PROVEN_LEADS, (LIVE_GUIDED, RAW_GUIDANCE)):
        value, _ = rmse_ratio(live, raw)
        text = f"the live release's corrections: {value:.4f} of raw guidance's RMSE, limit 1"
        findings.append(_finding(target, f"{lead} h live", passed=value <= 1.0, text=text))
    return findings


def _beside(sums: ResampledSums, target: str, lead: int) -> list[Finding]:
    findings = []
    part = lead_slice(lead)
    if not _there(sums, target, part):
        return []
    own = sums.losses(target, part, GUIDED)
    for name in (*GUIDANCE_REFERENCES, OBSERVATIONS):
        theirs = sums.losses(target, part, name)
        value, draws = rmse_ratio(own, theirs)
        bound = upper(draws, 0.95)
        proven = lead in PROVEN_LEADS and name != OBSERVATIONS
        limit = 1.0 if proven else AS_GOOD
        findings.append(
            _finding(
                target, f"{lead} h", passed=bound < limit if proven else bound <= limit,
                text=(
                    f"RMSE {own.rmse():.3f} against {theirs.rmse():.3f} of {name}: ratio "
                    f"{value:.4f} (upper 95 % bound {bound:.4f}), the bound may be {limit:g}"
                ),
            )
        )  # fmt: skip
    return findings


def _new_place(sums: ResampledSums, target: str) -> list[Finding]:
    """At most raw guidance for a farm that took no part: unseen months, nothing known of the place.

    The place's own months were trained on, so that a figure of this kind flatters somewhat.
    """
    findings = []
    for lead, own, raw in _by_lead(sums, target, LEADS, (NEW_PLACE, RAW_GUIDANCE)):
        value, draws = rmse_ratio(own, raw)
        bound = upper(draws, 0.95)
        text = (
            f"RMSE {own.rmse():.3f} against {raw.rmse():.3f} of {RAW_GUIDANCE} without an "
            f"observation of the place: ratio {value:.4f} (upper 95 % bound {bound:.4f}), limit 1"
        )
        findings.append(_finding(target, f"{lead} h new place", passed=value <= 1.0, text=text))
    return findings


def _leak(sums: ResampledSums, target: str, lead: int) -> Finding:
    part = lead_slice(lead)
    value = 1.0
    if _there(sums, target, part):
        value, _ = rmse_ratio(
            sums.losses(target, part, GUIDED), sums.losses(target, part, RAW_GUIDANCE)
        )
    return _finding(
        target, f"{lead} h", passed=value >= LEAK_RATIO,
        text=(
            f"{value:.3f} of raw guidance's RMSE; below {LEAK_RATIO:g} is a leak alarm: look for "
            "the future among the inputs"
        ),
    )  # fmt: skip


def _slices(sums: ResampledSums, target: str) -> list[Finding]:
    """No season, half of the day or station clearly worse than raw guidance, a day ahead."""
    part = lead_slice(24)

    def pair(name: str, season: int | None = None) -> tuple[SliceSums, SliceSums]:
        own, theirs = (sums.losses(target, name, who, season) for who in (GUIDED, RAW_GUIDANCE))
        return own, theirs

    parts = {name: pair(part, season) for season, name in enumerate(SEASONS)}
    parts |= {
        name: pair(name)
        for name in sums.parts(target, GUIDED)
        if name in {"day", "night"} or name.startswith("station:")
    }
    findings = []
    for name, (own, theirs) in parts.items():
        if own.days < FEW_DAYS:
            continue
        value, _ = rmse_ratio(own, theirs)
        text = f"RMSE ratio to raw guidance {value:.4f} over {own.days} days, limit {SLICE_POINT:g}"
        findings.append(_finding(target, name, passed=value <= SLICE_POINT, text=text))
    return findings


def _intervals(sums: ResampledSums, target: str) -> list[Finding]:
    findings = []
    for lead in PROVEN_LEADS:
        inside = sums.losses(target, lead_slice(lead), GUIDED).mean("inside_80")
        low, high = COVERAGE
        text = f"80 % interval holds {inside:.3f}, limits {low:g} to {high:g}"
        findings.append(
            _finding(target, f"{lead} h intervals", passed=low <= inside <= high, text=text)
        )
    return findings


def _by_lead(
    sums: ResampledSums, target: str, leads: tuple[int, ...], names: tuple[str, str]
) -> Iterator[tuple[int, SliceSums, SliceSums]]:
    """Losses of two forecasts at each lead at which the first one has hours."""
    for lead in leads:
        part = lead_slice(lead)
        if _there(sums, target, part, names[0]):
            first, second = (sums.losses(target, part, name) for name in names)
            yield lead, first, second


def _there(sums: ResampledSums, target: str, part: str, forecast: str = GUIDED) -> bool:
    key = (target, part, forecast)
    return key in sums.daily_sums.losses and bool(sums.daily_sums.losses[key][:, 0].any())


def _finding(target: str, part: str, *, passed: bool, text: str) -> Finding:
    return Finding("G14", target, part, passed, counted=True, text=text)
