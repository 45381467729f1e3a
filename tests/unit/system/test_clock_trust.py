"""How far the clock is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent.system.clock_trust import EARLIEST, Timekeeper, system_synchronised
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_a_clock_in_1970_is_untrusted(tmp_path: Path) -> None:
    """Earlier than the agent was made is impossible, whoever vouches for it."""
    keeper = Timekeeper(tmp_path, FakeClock(datetime(1970, 1, 1, tzinfo=UTC)), lambda: True)
    assert keeper.judge()[1] == "untrusted"
    assert keeper.floor() == EARLIEST


def test_a_possible_clock_is_held_over_until_someone_vouches(tmp_path: Path) -> None:
    """The same time is holdover or trusted, by the time service alone."""
    assert Timekeeper(tmp_path, FakeClock(START), lambda: False).judge() == (START, "holdover")
    assert Timekeeper(tmp_path, FakeClock(START), lambda: True).judge() == (START, "trusted")


def test_the_floor_outlives_a_restart_and_catches_a_clock_set_back(tmp_path: Path) -> None:
    """After a trusted hour an earlier one is impossible, also for the next process."""
    clock = FakeClock(START)
    Timekeeper(tmp_path, clock, lambda: True).judge()
    clock.jump(-86_400)
    assert Timekeeper(tmp_path, clock, lambda: True).judge()[1] == "untrusted"
    clock.jump(2 * 86_400)
    assert Timekeeper(tmp_path, clock, lambda: True).judge()[1] == "trusted"


def test_a_clock_nobody_vouches_for_never_raises_the_floor(tmp_path: Path) -> None:
    """A board that woke up in 2099 is not lost when the time is right again."""
    clock = FakeClock(datetime(2099, 1, 1, tzinfo=UTC))
    keeper = Timekeeper(tmp_path, clock, lambda: False)
    assert keeper.judge()[1] == "untrusted"
    clock.jump((START - clock.now()).total_seconds())
    assert keeper.judge() == (START, "holdover")


def test_the_floor_is_written_seldom(tmp_path: Path) -> None:
    """Judging every second for half an hour writes once."""
    clock = FakeClock(START)
    keeper = Timekeeper(tmp_path, clock, lambda: True)
    keeper.judge()
    written = (tmp_path / "clock-floor").stat().st_ino
    for _ in range(30):
        clock.advance(60)
        keeper.judge()
    assert (tmp_path / "clock-floor").stat().st_ino == written
    clock.advance(3600)
    keeper.judge()
    assert keeper.floor() == START + timedelta(seconds=30 * 60 + 3600)


def _keeper(folder: Path, clock: FakeClock, *, service: bool = False) -> Timekeeper:
    return Timekeeper(folder, clock, lambda: service)


def test_nobody_is_believed_decades_ahead(tmp_path: Path) -> None:
    """Rule 1: not even a time service; and the floor is not raised by it."""
    clock = FakeClock(datetime(2099, 1, 1, tzinfo=UTC))
    keeper = _keeper(tmp_path, clock, service=True)
    assert (keeper.judge()[1], keeper.floor()) == ("untrusted", EARLIEST)


def test_a_new_board_without_a_link_believes_its_clock(tmp_path: Path) -> None:
    """Rule 1: some years after the agent was made are possible where nothing else is known."""
    clock = FakeClock(datetime(2031, 5, 1, tzinfo=UTC))
    assert _keeper(tmp_path, clock).judge()[1] == "holdover"


def test_weeks_without_a_link_are_possible_and_months_take_a_day(tmp_path: Path) -> None:
    """Rule 2: beyond 35 days after the last worked hour the clock must go on for a day."""
    clock = FakeClock(START)
    _keeper(tmp_path, clock).see()
    clock.advance(34 * 86_400)
    assert _keeper(tmp_path, clock).judge()[1] == "holdover"
    clock.advance(90 * 86_400)
    keeper = _keeper(tmp_path, clock)
    assert (keeper.judge()[1], keeper.dates()) == ("untrusted", False)
    keeper.see()
    clock.advance(86_400)
    assert keeper.judge()[1] == "holdover"
    keeper.see()
    assert _keeper(tmp_path, clock).judge()[1] == "holdover"
    clock.advance(90 * 86_400)
    assert _keeper(tmp_path, clock, service=True).judge()[1] == "trusted"


def test_the_seen_hour_follows_a_clock_that_is_put_right(tmp_path: Path) -> None:
    """A possible clock that was wrong for some hours is no bound for later ones."""
    clock = FakeClock(START + timedelta(days=20))
    _keeper(tmp_path, clock).see()
    clock.jump(-20 * 86_400)
    keeper = _keeper(tmp_path, clock)
    keeper.see()
    clock.jump(34 * 86_400)
    assert keeper.judge()[1] == "holdover"
    clock.jump(2 * 86_400)
    assert keeper.judge()[1] == "untrusted"


def test_a_clock_is_vouched_for_until_it_is_set(tmp_path: Path) -> None:
    """Rule 3: by a service in this run, as long as wall and monotonic clock agree."""
    clock, service = FakeClock(START), [True]
    keeper = Timekeeper(tmp_path, clock, lambda: service[0])
    assert keeper.vouched()
    assert keeper.confirmed()
    service[0] = False
    clock.advance(50 * 86_400)
    assert (keeper.judge()[1], keeper.vouched()) == ("holdover", True)
    clock.jump(-7200)
    assert (keeper.judge()[1], keeper.vouched()) == ("untrusted", False)
    assert keeper.surely_passed() == keeper.floor()
    clock.jump(7200)
    assert not keeper.vouched(), "it may be set again"
    clock.advance(900)
    assert keeper.vouched()


def test_a_clock_that_was_set_since_it_was_confirmed_is_untrusted(tmp_path: Path) -> None:
    """Rule 2: the run itself knows better."""
    clock, service = FakeClock(START), [True]
    keeper = Timekeeper(tmp_path, clock, lambda: service[0])
    keeper.judge()
    service[0] = False
    clock.jump(10 * 86_400)
    assert keeper.judge()[1] == "untrusted"
    service[0] = True
    assert keeper.judge()[1] == "trusted"
    assert keeper.floor() == START, "a service is believed once the clock stands"
    clock.advance(900)
    assert keeper.judge()[0] == keeper.floor()


def test_a_start_within_a_day_after_the_floor_is_vouched_for(tmp_path: Path) -> None:
    """Rule 3: a short power cut; but only a service lets rows of the future be deleted."""
    clock = FakeClock(START)
    _keeper(tmp_path, clock, service=True).judge()
    clock.advance(80_000)
    keeper = _keeper(tmp_path, clock)
    assert (keeper.vouched(), keeper.confirmed()) == (True, False)
    clock.advance(10 * 86_400)
    assert keeper.vouched()
    assert not _keeper(tmp_path, clock).vouched()


def test_a_reload_goes_on_with_what_the_run_knows(tmp_path: Path) -> None:
    """What is known of jumps and confirmations is taken over, of the same folder alone."""
    clock, service = FakeClock(START), [True]
    before = Timekeeper(tmp_path, clock, lambda: service[0])
    before.judge()
    service[0] = False
    clock.advance(3 * 86_400)
    after, other = _keeper(tmp_path, clock), _keeper(tmp_path / "other", clock)
    after.take_over(before)
    other.take_over(before)
    assert after.vouched()
    assert not other.vouched()


def test_what_was_moved_is_told_once_and_not_of_a_sure_clock(tmp_path: Path) -> None:
    """Only jumps of a clock that nobody vouched for move what it dated."""
    clock, service = FakeClock(START), [False]
    keeper = Timekeeper(tmp_path, clock, lambda: service[0])
    clock.jump(7200)
    assert keeper.moved() == timedelta(hours=2)
    assert keeper.moved() == timedelta(0)
    service[0] = True
    clock.advance(900)
    keeper.judge()
    clock.jump(-7200)
    assert keeper.moved() == timedelta(0)


@pytest.mark.parametrize("content", ["", "yesterday", "2026-07-01T00:00:00", "\x00"])
def test_a_damaged_floor_falls_back_to_the_making(tmp_path: Path, content: str) -> None:
    """Rubbish in the file, or a time without a zone, is no floor and no fault."""
    (tmp_path / "clock-floor").write_text(content)
    assert Timekeeper(tmp_path, FakeClock(START), lambda: True).floor() == EARLIEST


def test_the_system_can_be_asked() -> None:
    """The question has an answer on any Linux, whatever it is."""
    assert system_synchronised() in {True, False}
