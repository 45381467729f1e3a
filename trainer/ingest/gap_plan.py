"""Which hours to ask for, in which requests. Pure: whole hours since 1970 in UTC as integers.

Rules, numbered as the tests name them:
    P1  Wanted is every hour from the first day to the last day that is out, Korean days.
    P2  Asked is what is wanted, not in the lake, and not known as absent, or due to be asked again.
    P3  An hour that an answer lacked is asked again after growing waits, then never: KMA fills
        late hours within days, and hours that are long past rarely. Hours at the end of the day
        before are still to come, not lacking: the next run asks again, on the same day too. Not
        so of a station that is out of order: it has no record in the three days before.
    P4  A request spans up to `WINDOW_HOURS`, begins and ends at an asked hour, and the requests
        are the fewest that cover all asked hours. Oldest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.hours import KST, hour_of, korean_date, korean_midnight, time_of

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW_HOURS: Final = 984
"""41 days. KMA's limit is 999 rows; the rest is room for doubled rows, which would cost a page."""

PUBLISHED_AT: Final = time(11)
"""Korean time at which the day before is complete, by the users' experience."""

OUT_OF_ORDER_DAYS: Final = 3
"""A station without a record for longer is out of order: its newest day is not waited for."""

RECENT_DAYS: Final = 30
WAITS_RECENT: Final = (1, 2, 4, 8, 16, 32)
WAITS_OLD: Final = (7, 30)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Hours of one request, ascending; hours that are not needed may lie between them.

    An array of int32: all hours of all stations in ten years are 8.5 million.
    """

    hours: np.ndarray

    @property
    def start(self) -> datetime:
        """First hour."""
        return time_of(int(self.hours[0]))

    @property
    def end(self) -> datetime:
        """Last hour, included."""
        return time_of(int(self.hours[-1]))


def last_published(now: datetime) -> date:
    """Newest Korean day that is out in full."""
    local = now.astimezone(KST)
    return local.date() - timedelta(days=1 if local.time() >= PUBLISHED_AT else 2)


def held_back(waiting: list[int], present: np.ndarray, today: date) -> list[int]:
    """Absent hours that are not asked for today: all but those still to come (P3).

    Args:
        waiting: Absent hours whose time to be asked again has not come.
        present: Hours in the lake, any order.
        today: Korean day.
    """
    yesterday = today - timedelta(days=1)
    day = hours_of(yesterday, yesterday)
    # A row of a later day says nothing of this one: somebody has imported it.
    newest = int(present[present < day.stop].max(initial=0))
    if newest < day.start - 24 * OUT_OF_ORDER_DAYS:
        return waiting
    return [hour for hour in waiting if hour not in day or hour < newest]


def hours_of(first: date, last: date) -> range:
    """Hours labelled with the Korean days `first` to `last`."""
    start = hour_of(korean_midnight(first))
    return range(start, start + 24 * ((last - first).days + 1))


def missing(wanted: range, present: np.ndarray, waiting: Iterable[int]) -> np.ndarray:
    """Hours to ask for, ascending.

    Args:
        wanted: Hours that should be in the lake.
        present: Hours that are, any order.
        waiting: Absent hours whose time to be asked again has not come.
    """
    lacking = np.ones(len(wanted), dtype=bool)
    for hours in (np.asarray(present, dtype=np.int64), np.fromiter(waiting, dtype=np.int64)):
        inside = hours[(hours >= wanted.start) & (hours < wanted.stop)]
        lacking[inside - wanted.start] = False
    return np.flatnonzero(lacking) + wanted.start


def windows(hours: np.ndarray) -> list[Window]:
    """The fewest requests that cover ascending `hours` (P4)."""
    requests = []
    first = 0
    while first < len(hours):
        stop = int(np.searchsorted(hours, hours[first] + WINDOW_HOURS))
        requests.append(Window(hours[first:stop].astype(np.int32)))
        first = stop
    return requests


def next_ask(hour: int, times: int, last: date) -> date | None:
    """Day on which an absent hour is asked for again, or None when it is not coming.

    Args:
        hour: The hour.
        times: How often it was asked for, at least once.
        last: Day of the last time.
    """
    age = (last - korean_date(time_of(hour))).days
    # An hour keeps the schedule it began with: its age at the first ask decides.
    waits = WAITS_RECENT if age - sum(WAITS_RECENT[: times - 1]) <= RECENT_DAYS else WAITS_OLD
    return last + timedelta(days=waits[times - 1]) if times <= len(waits) else None
