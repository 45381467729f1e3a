"""Detects that the wall clock was set while the process ran."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)
JUMP_S: Final = 60.0
"""A difference of less is no setting: a time service slews the clock by such amounts."""
DISTRUST_S: Final = 900.0
"""How long the clock is not settled after a jump: the new time may be corrected again."""


class ClockJumps:
    """Compares the wall clock with the monotonic one, which nobody sets. Call `look` often."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_s = self._measure()
        """Seconds between wall clock (since 1970) and monotonic clock at the last `look`."""
        self._since = clock.monotonic()
        self._settled_at = self._since

    def look(self) -> float:
        """Seconds by which the wall clock was set since the last call; 0.0 where it was not."""
        before_s, self.offset_s = self.offset_s, self._measure()
        jump_s = self.offset_s - before_s
        if abs(jump_s) < JUMP_S:
            return 0.0
        self._since = self._clock.monotonic()
        self._settled_at = self._since + DISTRUST_S
        return jump_s

    @property
    def settled(self) -> bool:
        """Whether the last jump that `look` saw, if any, is long enough ago."""
        return self._clock.monotonic() >= self._settled_at

    @property
    def steady_s(self) -> float:
        """Seconds since the last jump, or since the start."""
        return self._clock.monotonic() - self._since

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()
