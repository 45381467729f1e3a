"""Thresholds of the gate's rules for a release, and for a correction of one farm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds that differ between the two.

    Attributes:
        floor: Whether G1 counts.
        tails: Whether G6 counts for hours that were observed to be cold or hot.
        proven: Whether G6 asks for the bound of a slice with many days, and not for its value.
        coverage: Least and largest share of hours inside an interval, by column of the daily sums.
        season_coverage: The same of the 80 % interval in one season.
        slope: Least and largest reliability slope of warnings.
        sedi: Whether SEDI counts in G9, beside Brier skill, slope and CSI.
    """

    floor: bool
    tails: bool
    proven: bool
    coverage: Mapping[str, tuple[float, float]]
    season_coverage: tuple[float, float]
    slope: tuple[float, float]
    sedi: bool


RELEASE: Final = Thresholds(
    floor=True,
    tails=True,
    proven=True,
    coverage={"inside_80": (0.77, 0.83), "inside_90": (0.87, 0.93)},
    season_coverage=(0.70, 0.90),
    slope=(0.8, 1.2),
    sedi=True,
)

FARM: Final = Thresholds(
    # The shared models are live there in any case, so a better one is let in at any skill.
    floor=False,
    # Hours chosen by what was observed favour a model that errs to that side (Lerch et al. 2017,
    # doi 10.1214/16-STS588), and taking such an error away is what a correction is for.
    tails=False,
    # A season of one place has too few days for its bound.
    proven=False,
    # One place and year: sound corrections of Yeonggwang hold 0.80 within 0.026 (one sigma).
    coverage={"inside_80": (0.74, 0.86), "inside_90": (0.85, 0.95)},
    season_coverage=(0.65, 0.95),
    slope=(0.7, 1.3),
    # It depends on a few warnings.
    sedi=False,
)
"""For one farm; each choice has its reason beside it."""
