"""Rules for warnings: better than the normal rates, reliable, no worse than live ones. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from trainer.evaluation.daily_sums import CHALLENGER, CHAMPION
from trainer.evaluation.event_scores import Contingency, slope
from trainer.evaluation.events import EVENTS
from trainer.gate.resampled_sums import Finding, lower

if TYPE_CHECKING:
    from trainer.gate.resampled_sums import ResampledSums, SliceSums
    from trainer.gate.thresholds import Thresholds

LEAST_DAYS: Final = 30
SLOPE_SLACK: Final = 0.05
SKILL_SLACK: Final = 0.02
DROP: Final = 0.03
"""Most that CSI and SEDI at the served probability may fall."""


def events(sums: ResampledSums, target: str, thresholds: Thresholds) -> list[Finding]:
    """G9 for every event of a target; it counts from LEAST_DAYS days with the event on."""
    findings = []
    for event in EVENTS:
        if (
            event.target != target
            or (target, event.name, CHALLENGER) not in sums.daily_sums.warnings
        ):
            continue
        own, theirs = (sums.warnings(target, event.name, name) for name in (CHALLENGER, CHAMPION))
        counted = own.days >= LEAST_DAYS
        findings += [
            Finding("G9", target, event.name, passed or not counted, counted, text)
            for passed, text in (
                _skill(own, theirs),
                _slope(own, theirs, thresholds),
                *_served(own, theirs, thresholds),
            )
        ]
    return findings


def table_of(sums: SliceSums) -> Contingency:
    """Contingency at the served probability."""
    point = sums.point
    happened = point["hits"] + point["false_alarms"] + point["misses"]
    return Contingency(
        point["hits"], point["false_alarms"], point["misses"], point["rows"] - happened
    )


def slope_of(sums: SliceSums) -> float:
    """Slope of happened on forecast probability."""
    point = sums.point
    return slope(point["rows"], point["said"], point["seen"], point["said_squared"], point["both"])


def brier_skill(sums: SliceSums) -> tuple[float, float]:
    """Skill against the normal rate by month and hour, and its lower 90 % bound."""
    normal = sums.draws["normal_brier"]
    used = normal > 0.0
    reference = sums.point["normal_brier"]
    value = 1.0 - sums.point["brier"] / reference if reference > 0.0 else math.nan
    return value, lower(1.0 - sums.draws["brier"][used] / normal[used], 0.90)


def _skill(own: SliceSums, theirs: SliceSums) -> tuple[bool, str]:
    value, bound = brier_skill(own)
    live, beside = brier_skill(theirs)
    return bound > 0.0 or (beside <= 0.0 and value >= live - SKILL_SLACK), (
        f"Brier skill {value:.3f} (lower 90 % bound {bound:.3f}) over {own.days} days with the "
        f"event, above 0 is needed; what is live has {live:.3f}"
    )


def _slope(own: SliceSums, theirs: SliceSums, thresholds: Thresholds) -> tuple[bool, str]:
    value, live = slope_of(own), slope_of(theirs)
    low, high = thresholds.slope
    inside = low <= value <= high
    as_live = not low <= live <= high and abs(value - 1.0) <= abs(live - 1.0) + SLOPE_SLACK
    return inside or as_live, (
        f"reliability slope {value:.3f}, limits {low:g} to {high:g}; what is live has {live:.3f}"
    )


def _served(own: SliceSums, theirs: SliceSums, thresholds: Thresholds) -> list[tuple[bool, str]]:
    mine, live = table_of(own), table_of(theirs)
    found = []
    for words, value, other, asked in (
        ("CSI", mine.csi, live.csi, True),
        ("SEDI", mine.sedi, live.sedi, thresholds.sedi),
    ):
        known = asked and math.isfinite(value) and math.isfinite(other)
        found.append(
            (
                not known or value >= other - DROP,
                (
                    f"{words} {value:.3f} at the served probability, what is live has {other:.3f} "
                    f"and it may fall by {DROP:g} (POD {mine.pod:.3f}, FAR {mine.far:.3f}, "
                    f"ETS {mine.ets:.3f}, frequency bias {mine.bias:.2f})"
                ),
            )
        )
    return found
