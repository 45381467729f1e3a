"""Issues of KMA's forecast that count, as a course that is held until others come."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import polars as pl

from edge_agent.contract.bundles import ISSUED
from edge_agent.contract.guidance_course import SPAN_H, GuidanceCourse
from edge_agent.contract.guidance_features import HISTORY_H
from edge_agent.contract.hours import hour_of, time_of
from edge_agent.contract.schema import TARGETS, TIME
from edge_agent.forecasting import odd_issues

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEW: Final = timedelta(days=3)
"""Issues of this time may change; see `guidance_mark` of the store."""
_log = logging.getLogger(__name__)


class GuidanceStore(Protocol):
    """Where KMA's guidance is kept."""

    def guidance(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Rows issued in this time, see `contract.bundles`."""

    def guidance_mark(self, until: datetime) -> tuple[float, ...]:
        """Changes with the newest of the rows issued until then."""


@dataclass
class TrustedIssues:
    """Issues of the farm's cell without those that are set aside (`odd_issues`).

    Args:
        store: Where they are.
    """

    store: GuidanceStore
    _held: tuple[tuple[float, ...], datetime, GuidanceCourse] | None = field(
        init=False, default=None
    )
    _without: tuple[tuple[float, ...], list[datetime], GuidanceCourse] | None = field(
        init=False, default=None
    )
    _logged: list[datetime] = field(init=False, default_factory=list)

    def course(self, truth: pl.DataFrame, now: datetime) -> tuple[GuidanceCourse, list[datetime]]:
        """Course of the issues that count, and base times of newer ones that are set aside.

        Args:
            truth: Checked hours, at least one.
            now: UTC; issues of later base times are not there yet.

        Raises:
            StorageError: The disk refused.
        """
        course = self._course(now)
        values = {name: truth[name].cast(float).to_numpy() for name in TARGETS}
        observed = odd_issues.ObservedHours(hour_of(truth[TIME][0]), values)
        odd = [time_of(int(course.issues[row])) for row in odd_issues.rows(course, observed)]
        if not odd:
            return course, []
        assert self._held is not None, "the course is"
        mark = self._held[0]
        if self._without is None or self._without[:2] != (mark, odd):
            issues = self.store.guidance(now - timedelta(hours=HISTORY_H), now)
            others = GuidanceCourse.of(issues.filter(~pl.col(ISSUED).is_in(odd)))
            self._without = (mark, odd, others)
        course = self._without[2]
        return course, [at for at in odd if hour_of(at) > course.issues[-1]]

    def log(self, aside: list[datetime]) -> None:
        """Log the issues that are set aside, where they are others than before."""
        if aside != self._logged:
            _log.warning("%s", set_aside_text(aside) or "KMA's newest forecast counts again")
            self._logged = aside

    def _course(self, now: datetime) -> GuidanceCourse:
        mark = self.store.guidance_mark(now)
        if self._held is not None and self._held[0] == mark:
            return self._held[2]
        held, back = self._held, timedelta(hours=HISTORY_H)
        # Only the newest issues have changed, and a month of them takes five times as long.
        if held is None or not timedelta(0) <= now - held[1] <= _NEW / 2:
            course = GuidanceCourse.of(self.store.guidance(now - back, now))
        else:
            back = _NEW + timedelta(hours=SPAN_H)
            course = GuidanceCourse.of(self.store.guidance(now - back, now))
            course = held[2].renewed(course, hour_of(now - _NEW), hour_of(now) - HISTORY_H)
        self._held = (mark, now, course)
        return course


def set_aside_text(issues: Sequence[datetime]) -> str:
    """Note and log line on issues that are set aside; empty without one."""
    if not issues:
        return ""
    return (
        f"KMA's forecasts since {issues[0]:%Y-%m-%dT%H:%MZ} are set aside: "
        "they are far from what is observed and was forecast before"
    )
