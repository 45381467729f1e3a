"""How far to trust the wall clock: a small board may start in 1970, or at its last shutdown.

    untrusted   earlier than a moment that has certainly passed (the floor)
    holdover    possible, but no time service confirms it now
    trusted     set by a time service, and possible

The floor is the newest of: `EARLIEST`, the newest time that a time service confirmed, and the
newest signing time of an installed release. It only rises. A clock that nobody confirms never
raises it, so a board that once started in 2099 recovers.
"""

from __future__ import annotations

import ctypes
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)


EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""This code was written later, so an earlier time is wrong."""

_STEP: Final = timedelta(hours=1)
"""The floor is written when it rises by this much: flash memory wears out."""

_TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 256


class Timekeeper:
    """Judges the clock and remembers the floor.

    Args:
        state: The agent's state folder.
        clock: The clock to judge.
        synchronised: Whether a time service confirms it now.
    """

    def __init__(
        self, state: Path, clock: Clock, synchronised: Callable[[], bool] | None = None
    ) -> None:
        self._path = state / "clock-floor"
        self._clock = clock
        self._synchronised = synchronised or system_synchronised

    def judge(self) -> tuple[datetime, ClockState]:
        """The time now, aware UTC, and how far to trust it."""
        now = self._clock.now()
        if now < self.floor():
            return now, "untrusted"
        if not self._synchronised():
            return now, "holdover"
        self.learn(now)
        return now, "trusted"

    def floor(self) -> datetime:
        """A moment that has certainly passed, aware UTC."""
        try:
            saved = datetime.fromisoformat(self._path.read_text("ascii").strip())
        except (OSError, ValueError):
            return EARLIEST
        return max(EARLIEST, saved) if saved.tzinfo else EARLIEST

    def learn(self, moment: datetime) -> None:
        """Raise the floor to a moment that a time service or a signature confirms."""
        if moment < self.floor() + _STEP:
            return
        try:
            write_atomic(self._path, moment.astimezone(UTC).isoformat().encode("ascii"))
        except OSError as fault:
            # Without the file the floor is only lower than it could be.
            _log.warning("%s: cannot be written: %s", self._path, fault.strerror)


def system_synchronised() -> bool:
    """Whether systemd-timesyncd, or the kernel on behalf of chrony or ntpd, says so."""
    if _TIMESYNCD.exists():
        return True
    try:
        # A zeroed `struct timex` only reads; the buffer is larger than any layout of it.
        answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return False
    return 0 <= answer < _TIME_ERROR
