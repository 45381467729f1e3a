"""Rules P1 to P4 of `trainer.ingest.gap_plan`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.hours import hour_of, time_of
from trainer.ingest import gap_plan


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 5, 2, 1, 59, tzinfo=UTC), date(2026, 4, 30)),
        (datetime(2026, 5, 2, 2, 0, tzinfo=UTC), date(2026, 5, 1)),
        (datetime(2026, 5, 2, 14, 59, tzinfo=UTC), date(2026, 5, 1)),
        (datetime(2026, 5, 2, 15, 0, tzinfo=UTC), date(2026, 5, 1)),
        (datetime(2026, 5, 3, 2, 0, tzinfo=UTC), date(2026, 5, 2)),
    ],
)
def test_p1_yesterday_is_out_from_eleven_in_korea(now: datetime, day: date) -> None:
    """Before 11:00 KST the newest whole day is the one before yesterday."""
    assert gap_plan.last_published(now) == day


def test_p1_a_korean_day_begins_at_fifteen_utc() -> None:
    """Its 24 labels run from 00 to 23 h KST."""
    hours = gap_plan.hours_of(date(2024, 2, 28), date(2024, 3, 1))
    assert len(hours) == 72
    assert time_of(hours[0]) == datetime(2024, 2, 27, 15, tzinfo=UTC)
    assert time_of(hours[-1]) == datetime(2024, 3, 1, 14, tzinfo=UTC)
    assert len(gap_plan.hours_of(date(2024, 3, 1), date(2024, 2, 28))) == 0


def test_p2_what_is_there_or_waits_is_not_asked() -> None:
    """Hours outside of what is wanted do not matter, on either side."""
    found = gap_plan.missing(range(100, 110), np.array([99, 101, 105, 110]), [100, 109, 200])
    assert found.tolist() == [102, 103, 104, 106, 107, 108]


def test_p3_waits_grow_and_end_for_recent_hours() -> None:
    """Asked 1, 2, 4, ... days later; after seven asks the hour is not coming."""
    hour = hour_of(datetime(2026, 5, 1, 3, tzinfo=UTC))
    day, waits = date(2026, 5, 2), []
    for times in range(1, 10):
        due = gap_plan.next_ask(hour, times, day)
        if due is None:
            break
        waits.append((due - day).days)
        day = due
    assert waits == [1, 2, 4, 8, 16, 32]


def test_p3_the_end_of_the_day_before_is_still_to_come() -> None:
    """Asked again on the same day; holes and older days wait, and so does a silent station."""
    today = date(2026, 5, 3)
    day = gap_plan.hours_of(date(2026, 5, 2), date(2026, 5, 2))
    waiting = [day[0] - 1, day[1], day[5], day[23]]
    some = np.arange(day[0] - 30, day[4])
    assert gap_plan.held_back(waiting, some, today) == [day[0] - 1, day[1]]
    assert gap_plan.held_back(waiting, some - 96, today) == waiting
    later = np.append(some, [day.stop, 24 * 365 * 129])
    assert gap_plan.held_back(waiting, later, today) == [day[0] - 1, day[1]]
    assert gap_plan.held_back(waiting, np.array([], np.int64), today) == waiting


def test_p3_old_hours_are_given_up_sooner() -> None:
    """An hour of years ago is asked for three times in all."""
    hour = hour_of(datetime(2016, 5, 1, 3, tzinfo=UTC))
    assert gap_plan.next_ask(hour, 1, date(2026, 5, 2)) == date(2026, 5, 9)
    assert gap_plan.next_ask(hour, 2, date(2026, 5, 9)) == date(2026, 6, 8)
    assert gap_plan.next_ask(hour, 3, date(2026, 6, 8)) is None


def test_p4_ten_years_take_the_fewest_requests() -> None:
    """An empty lake is asked for in full windows, oldest first."""
    wanted = gap_plan.hours_of(date(2014, 1, 1), date(2023, 12, 31))
    found = gap_plan.windows(np.asarray(wanted))
    assert len(found) == -(-len(wanted) // gap_plan.WINDOW_HOURS)
    assert [window.start for window in found] == sorted(window.start for window in found)
    assert found[0].end - found[0].start == timedelta(hours=gap_plan.WINDOW_HOURS - 1)
    assert gap_plan.windows(np.empty(0, dtype=np.int64)) == []


@given(st.sets(st.integers(0, 20_000), max_size=60))
def test_p4_windows_cover_exactly_and_minimally(hours: set[int]) -> None:
    """Every asked hour is in one window, ends are asked hours, and no fewer windows would do."""
    found = gap_plan.windows(np.array(sorted(hours), dtype=np.int64))
    assert [hour for window in found for hour in window.hours] == sorted(hours)
    for window in found:
        assert hour_of(window.end) - hour_of(window.start) < gap_plan.WINDOW_HOURS
    # Starts further apart than a window cannot share one: their number is a lower bound.
    starts = [int(window.hours[0]) for window in found]
    gaps = [later - first for first, later in pairwise(starts)]
    assert all(gap >= gap_plan.WINDOW_HOURS for gap in gaps)
