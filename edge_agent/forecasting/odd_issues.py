"""Issues of KMA's forecast that cannot be right, while the one before them is. Pure.

O1  An issue is set aside where the median difference of its first hours (`_FIRST`) from what was
    observed is beyond `LIMIT_SHARE` of the quantity's `neighbour_limit`: 6.0 C, 34 %. Hours that
    are not observed yet are compared with the newest older issue that was not set aside.
O2  That older issue must be right: within the limit of the last observed hours. So a sensor that is
    wrong, and a change of the weather that only the newer issue knows, set nothing aside. A place
    may differ from its cell by less.
    Without any observed hour at most `UNSEEN` issues in a row are set aside.
O3  Where the older issue has ended, an issue that goes on as the one set aside before it is set
    aside too, as long as what is observed is beyond the limit from these.

At Busan, 2017 to 2020, an issue differs from the one before by at most 3.0 C and 27 %, from one of
two days before by at most 6.3 C and 27 %; 99.9 % of first hours are within 4.3 C and 32 % of what
was observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.schema import TARGETS, neighbour_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.guidance_course import GuidanceCourse

LIMIT_SHARE: Final = 0.75
UNSEEN: Final = 2
_FIRST: Final = np.arange(4, 10)
"""Hours from an issue's base time; an issue begins 1 to 4 hours after it."""
_LAST: Final = 6
"""Newest observed hours that tell whether an issue is right."""


@dataclass(frozen=True, slots=True)
class ObservedHours:
    """What was observed, hourly and gapless.

    Attributes:
        first: First hour, since 1970.
        values: By target; NaN = missing.
    """

    first: int
    values: Mapping[str, np.ndarray]

    def at(self, target: str, hours: np.ndarray) -> np.ndarray:
        """Values at hours; NaN = none."""
        values, rows = self.values[target], hours - self.first
        inside = (rows >= 0) & (rows < len(values))
        return np.where(inside, values[np.clip(rows, 0, len(values) - 1)], np.nan)


def rows(course: GuidanceCourse, observed: ObservedHours) -> list[int]:
    """Rows of the issues that are set aside, ascending.

    Args:
        course: Every issue.
        observed: At least one hour, with or without values.
    """
    jumps = np.any([_jumps(course, target) for target in TARGETS], axis=0)
    if not jumps.any():
        return []
    aside: list[int] = []
    good = 0
    for row in range(1, len(course.issues)):
        suspect = jumps[row - 1] or good < row - 1
        if suspect and any(
            _Pair(course, observed, target, row, good).odd(aside) for target in TARGETS
        ):
            aside.append(row)
        else:
            good = row
    return aside


def _limit(target: str) -> float:
    return LIMIT_SHARE * neighbour_limit(target)


def _jumps(course: GuidanceCourse, target: str) -> np.ndarray:
    """Whether each issue but the first is far from the one before; shape (N - 1,)."""
    later = np.arange(1, len(course.issues))[:, None]
    hours = course.issues[1:, None] + _FIRST
    change = course.at(target, later, hours) - course.at(target, later - 1, hours)
    change[~np.isfinite(change).any(axis=1)] = 0.0
    return np.asarray(np.nanmedian(np.abs(change), axis=1) > _limit(target))


@dataclass(frozen=True, slots=True)
class _Pair:
    """One target of an issue, and the newest older one that was not set aside."""

    course: GuidanceCourse
    observed: ObservedHours
    target: str
    row: int
    good: int

    def odd(self, aside: list[int]) -> bool:
        """Whether the issue is set aside, after those of `aside`."""
        hours = int(self.course.issues[self.row]) + _FIRST
        own, before = self._at(self.row, hours), self._at(self.good, hours)
        if np.isfinite(before).any():
            seen = self.observed.at(self.target, hours)
            expected = np.where(np.isfinite(seen), seen, before)
            return self._far(own - expected) and self._is_right()
        if not aside or aside[-1] != self.row - 1:
            return False
        last = aside[-1]
        errors = self._errors(last, int(self.course.issues[last]) + _FIRST)
        return not self._far(own - self._at(last, hours)) and self._far(errors)

    def _is_right(self) -> bool:
        """Rule O2, of the older issue."""
        issued = int(self.course.issues[self.row])
        errors = self._errors(self.good, issued + np.arange(1 - _LAST, _FIRST[-1] + 1))
        if not len(errors):
            return self.row - 1 - self.good < UNSEEN
        return bool(abs(np.median(errors)) <= _limit(self.target))

    def _errors(self, row: int, hours: np.ndarray) -> np.ndarray:
        errors = self.observed.at(self.target, hours) - self._at(row, hours)
        return np.asarray(errors[np.isfinite(errors)][-_LAST:])

    def _at(self, row: int, hours: np.ndarray) -> np.ndarray:
        return self.course.at(self.target, np.full(len(hours), row), hours)

    def _far(self, differences: np.ndarray) -> bool:
        known = differences[np.isfinite(differences)]
        return bool(len(known)) and bool(np.median(np.abs(known)) > _limit(self.target))
