"""How far the wall clock can be believed: a small board often boots in 1970, or where it stopped.

    untrusted   earlier than a moment that has certainly passed (the floor)
    holdover    possible, but no time service vouches for it now
    trusted     set by a time service, and possible

The floor is the newest of: this agent's own making, the newest time that a time service vouched
for, and the newest signing time of a release that was installed. It only rises, and a clock that
nobody vouches for never raises it, so a board that once woke up in 2099 is not lost.
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


MADE: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock of a device that runs this code can rightly show an earlier time."""

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
        synchronised: Whether a time service vouches for it now.
    """

    def __init__(
        self, state: Path, clock: Clock, synchronised: Callable[[], bool] | None = None
    ) -> None:
        self._path = state / "clock-floor"
        self._clock = clock
        self._synchronised = synchronised or system_synchronised

    def judge(self) -> tuple[datetime, ClockState]:
        """The time now, aware UTC, and how far to believe it."""
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
            return MADE
        return max(MADE, saved) if saved.tzinfo else MADE

    def learn(self, moment: datetime) -> None:
        """Raise the floor to a moment that a time service or a signature vouches for."""
        if moment < self.floor() + _STEP:
            return
        try:
            write_atomic(self._path, moment.astimezone(UTC).isoformat().encode("ascii"))
        except OSError as fault:
            # A floor that cannot be kept makes the clock no worse than it was.
            _log.warning("%s: cannot be written: %s", self._path, fault.strerror)


def system_synchronised() -> bool:
    """Whether systemd-timesyncd, or the kernel on behalf of chrony or ntpd, says so."""
    if _TIMESYNCD.exists():
        return True
    try:
        # `struct timex` zeroed asks without setting; the buffer is larger than any layout of it.
        answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return False
    return 0 <= answer < _TIME_ERROR
