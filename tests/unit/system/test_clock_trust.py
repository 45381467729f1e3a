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
    assert keeper.judge()[1] == "holdover"
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


@pytest.mark.parametrize("content", ["", "yesterday", "2026-07-01T00:00:00", "\x00"])
def test_a_damaged_floor_falls_back_to_the_making(tmp_path: Path, content: str) -> None:
    """Rubbish in the file, or a time without a zone, is no floor and no fault."""
    (tmp_path / "clock-floor").write_text(content)
    assert Timekeeper(tmp_path, FakeClock(START), lambda: True).floor() == EARLIEST


def test_the_system_can_be_asked() -> None:
    """The question has an answer on any Linux, whatever it is."""
    assert system_synchronised() in {True, False}
