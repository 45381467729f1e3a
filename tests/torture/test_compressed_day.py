"""A day in seconds, and a month: no hour is missed, the disk is spared, memory stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.days import live

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_WRITTEN = 6_000_000
"""Bytes a day handed to the system for writing, 2 GB a year; a flash card lives on that for years.

A message that waits and is delivered takes 20 to 30 kB of them; each rule sends one an hour.
"""
MOST_GROWN_KB = 200
"""A day, once a week has passed: the noise of the allocator."""
HOUR = timedelta(hours=1)


def _clock() -> FakeClock:
    now = datetime.now(UTC)  # noqa: TID251 - the device's weather ends at the machine's now
    return FakeClock(now.replace(minute=30, second=0, microsecond=0))


def test_a_day_misses_no_hour_and_spares_the_disk(tmp_path: Path) -> None:
    """24 hours follow each other, all is delivered, and less than 6 MB are written."""
    life = live(tmp_path, _clock(), 1)
    hours = life.hours
    assert len(hours) >= 24
    assert {after - before for before, after in pairwise(hours)} == {HOUR}
    assert life.counts.waiting == {}
    assert 100_000 < life.written <= MOST_WRITTEN


def test_a_clock_that_hops_makes_no_duplicate_no_hole_no_loss(tmp_path: Path) -> None:
    """Three days forward and back by a bad time service, then two hours back for good."""
    clock = _clock()
    ahead = timedelta(0)

    def hop(hours: float, *, right: bool = False) -> Callable[[], None]:
        def jump() -> None:
            nonlocal ahead
            clock.jump(hours * 3600)
            ahead -= timedelta(0) if right else timedelta(hours=hours)

        return jump

    plan: dict[float, Callable[[], None]] = {
        4 * 3600: hop(72),
        4 * 3600 + 600: hop(-72),
        8 * 3600: hop(-2, right=True),
    }
    life = live(tmp_path, clock, 0.75, plan, true_offset=lambda: ahead)
    ids = [event["id"] for event in life.told("alert/heat/event")]
    assert len(set(ids)) == len(ids) >= 1
    edges = [event["event_type"] for event in life.told("alert/heat/event")]
    assert "raised" not in edges[1:], "it stands since the beginning"
    assert life.counts.dropped_expired == {}
    assert life.counts.waiting == {}
    start = life.hours[0]
    hours = [hour for hour in life.hours if hour < start + timedelta(days=2)]
    assert {after - before for before, after in pairwise(hours)} == {HOUR}


def test_a_start_in_1970_waits_for_the_time(tmp_path: Path) -> None:
    """Before the time is known normals at most, no alert, nothing expires; then all, once."""
    clock = _clock()
    lost = clock.now().timestamp()
    clock.jump(-lost)
    life = live(
        tmp_path, clock, 0.25, {1200: lambda: clock.jump(lost)},
        true_offset=lambda: timedelta(seconds=lost if clock.now().year < 2000 else 0),
    )  # fmt: skip
    first, *later = life.told("health")
    assert (first["clock"], first["forecast_source"]) == ("untrusted", "climatology")
    assert later
    events = life.told("alert/heat/event")
    assert [event["event_type"] for event in events] == ["raised"]
    assert events[0]["clock"] == "trusted"
    assert life.counts.dropped_expired == {}


def test_a_day_of_sleep_ends_in_one_summary(tmp_path: Path) -> None:
    """One cycle for all that was slept through; what stood before stands, and is not told anew."""
    clock = _clock()
    life = live(tmp_path, clock, 1.25, {3 * 3600: lambda: clock.advance(86_400)})
    woke = max(b - a for a, b in pairwise(life.hours))
    assert woke >= timedelta(hours=23)
    assert len(life.hours) < 9
    assert [e["event_type"] for e in life.told("alert/heat/event")].count("raised") == 1
    states = life.told("alert/heat/state")
    assert len({state["issued_at"][:13] for state in states}) == len(states) < 9


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_month_does_not_grow(tmp_path: Path) -> None:
    """720 hours, none missed; after the first week memory stays where it is."""
    life = live(tmp_path, _clock(), 30, keep=False)
    hours = life.hours
    assert len(hours) >= 720
    assert {after - before for before, after in pairwise(hours)} == {HOUR}
    assert life.written / 30 <= MOST_WRITTEN
    rss_kb, week = life.rss_kb, 7 * 24
    days = len(rss_kb[week:]) / 24 - 1
    grown = (min(rss_kb[-24:]) - min(rss_kb[week : week + 24])) / days
    assert grown < MOST_GROWN_KB, rss_kb[::24]
    print(f"{life.written / 30:.0f} bytes a day, {grown:.0f} kB a day, RSS {rss_kb[-1]} kB")  # noqa: T201 - for RESULTS
