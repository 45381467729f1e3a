"""How far to trust the wall clock: a small board may start in 1970, in 2099, or at its shutdown.

    untrusted   earlier than a moment that has certainly passed (the floor), or too far beyond the
                last known moment
    holdover    possible, but no time service confirms it now
    trusted     set by a time service, and possible

The floor is the newest of: `EARLIEST`, the newest time that a time service confirmed, and the
newest signing time of an installed release. It only rises. A clock that nobody confirms never
raises it, so a board that once started in 2099 recovers.

The last known moment is the floor or, where that is later, the hour that was worked last on a
possible clock (`see`). Rules (tests name the numbers):

1. Nobody is believed who is `IMPOSSIBLE` or more beyond the last known moment.
2. Without a time service a clock is untrusted that is more than `AHEAD` beyond a seen hour, or that
   was set since a service confirmed it in this run; until it has gone on for a day without a jump.
   So a board that was put away for a winter works again by itself.
3. A clock is *vouched for* when it is possible, was not set within the last quarter of an hour, and
   a service confirms it now, or did in this run and the clock was not set since, or when at the
   start it is within a day after the floor. On another clock nothing expires or is deleted by age.
"""

from __future__ import annotations

import ctypes
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.system.clock import SystemClock
from edge_agent.system.clock_jumps import JUMP_S, ClockJumps
from edge_agent.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)


EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""This code was written later, so an earlier time is wrong."""
AHEAD: Final = timedelta(days=35)
IMPOSSIBLE: Final = timedelta(days=3652)

_STEP: Final = timedelta(hours=1)
"""A moment is written when it differs so much from that in the file: flash memory wears out."""
_DAY: Final = timedelta(days=1)

_TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
_CONFIRMED_S: Final = 3 * 3600.0
"""systemd-timesyncd touches its file at each answer of its server, at least every 34 minutes."""
_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 256


class Timekeeper:
    """Judges the clock, and remembers the floor and the last seen hour.

    Args:
        state: The agent's state folder.
        clock: The clock to judge.
        synchronised: Whether a time service confirms it now.
    """

    def __init__(
        self, state: Path, clock: Clock, synchronised: Callable[[], bool] | None = None
    ) -> None:
        self._state = state
        self._clock = clock
        self._synchronised = synchronised or system_synchronised
        self._jumps = ClockJumps(clock)
        self._confirmed_offset_s: float | None = None
        floor, now = _read(self._floor_path), clock.now()
        near = floor is not None and floor <= now <= floor + _DAY
        self._start_offset_s = self._jumps.offset_s if near else None
        self._moved_s = 0.0

    def take_over(self, before: Timekeeper) -> None:
        """Take the run's jumps and confirmations from the keeper of the same folder."""
        if self._state == before._state:
            self._synchronised = before._synchronised
            self._jumps = before._jumps
            self._confirmed_offset_s = before._confirmed_offset_s
            self._start_offset_s = before._start_offset_s
            self._moved_s = before._moved_s

    def judge(self) -> tuple[datetime, ClockState]:
        """The time now, aware UTC, and how far to trust it."""
        self._look()
        now, floor = self._clock.now(), self.floor()
        if not floor <= now < max(floor, self._seen() or floor) + IMPOSSIBLE:
            return now, "untrusted"
        if self._synchronised():
            if self._jumps.settled:
                self._confirmed_offset_s = self._jumps.offset_s
                self.learn(now)
            return now, "trusted"
        return now, "untrusted" if self._beyond_belief(now, floor) else "holdover"

    def floor(self) -> datetime:
        """A moment that has certainly passed, aware UTC."""
        return max(EARLIEST, _read(self._floor_path) or EARLIEST)

    def learn(self, moment: datetime) -> None:
        """Raise the floor to a moment that a time service or a signature confirms."""
        if moment >= self.floor() + _STEP:
            _write(self._floor_path, moment)

    def see(self) -> None:
        """Remember the time now as that of a worked hour, where the clock dates rightly."""
        now, seen = self._clock.now(), self._seen()
        if self.dates() and (seen is None or abs(now - seen) >= _STEP):
            _write(self._seen_path, now)

    def dates(self) -> bool:
        """Whether hours may be dated by the clock: it is possible, and not just set."""
        return self.judge()[1] != "untrusted" and self._jumps.settled

    def vouched(self) -> bool:
        """Whether somebody vouches for the clock (rule 3)."""
        return self.dates() and self._unset_since(self._confirmed_offset_s, self._start_offset_s)

    def confirmed(self) -> bool:
        """Whether a time service confirms it, or did in this run and it was not set since."""
        return self.dates() and self._unset_since(self._confirmed_offset_s)

    def surely_passed(self) -> datetime:
        """The latest moment, aware UTC, that is not in the future whatever the clock is."""
        now = self._clock.now()
        return now if self.vouched() else min(now, self.floor())

    def moved(self) -> timedelta:
        """How far the clock was set since the last call, while nobody vouched for it."""
        self._look()
        moved_s, self._moved_s = self._moved_s, 0.0
        return timedelta(seconds=moved_s)

    @property
    def _floor_path(self) -> Path:
        return self._state / "clock-floor"

    @property
    def _seen_path(self) -> Path:
        return self._state / "clock-seen"

    def _seen(self) -> datetime | None:
        return _read(self._seen_path)

    def _look(self) -> None:
        vouched = self._unset_since(self._confirmed_offset_s, self._start_offset_s)
        jump_s = self._jumps.look()
        if jump_s:
            _log.warning("clock: the wall clock was set by %+.0f s", jump_s)
        if not vouched:
            self._moved_s += jump_s

    def _unset_since(self, *offsets_s: float | None) -> bool:
        now_s = self._jumps.offset_s
        return any(known is not None and abs(now_s - known) < JUMP_S for known in offsets_s)

    def _beyond_belief(self, now: datetime, floor: datetime) -> bool:
        if self._jumps.steady_s >= _DAY.total_seconds():
            return False
        confirmed_s, seen = self._confirmed_offset_s, self._seen()
        if confirmed_s is not None and not self._unset_since(confirmed_s):
            return True
        return seen is not None and now > max(floor, seen) + AHEAD


def system_synchronised() -> bool:
    """Whether systemd-timesyncd, or the kernel on behalf of chrony or ntpd, says so."""
    with suppress(OSError):
        age_s = SystemClock().now().timestamp() - _TIMESYNCD.stat().st_mtime
        if 0 <= age_s < _CONFIRMED_S:
            return True
    try:
        # A zeroed `struct timex` only reads; the buffer is larger than any layout of it.
        answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return False
    return 0 <= answer < _TIME_ERROR


def _read(path: Path) -> datetime | None:
    try:
        saved = datetime.fromisoformat(path.read_text("ascii").strip())
    except (OSError, ValueError):
        return None
    return saved if saved.tzinfo else None


def _write(path: Path, moment: datetime) -> None:
    try:
        write_atomic(path, moment.astimezone(UTC).isoformat().encode("ascii"))
    except OSError as fault:
        # Without the file less is known of the clock.
        _log.warning("%s: cannot be written: %s", path, fault.strerror)
