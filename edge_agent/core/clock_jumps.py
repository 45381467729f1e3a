"""Detects that the wall clock was set while the service ran."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)
JUMP_S: Final = 60.0
DISTRUST_S: Final = 900.0
"""How long nothing expires after a jump: the new time may be corrected again."""


class ClockJumps:
    """Compares the wall clock with the monotonic one, which nobody sets."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s = self._measure()
        self._distrust_until = clock.monotonic()

    def settled(self) -> bool:
        """Whether the last jump, if any, is long enough ago; look often, to notice the next."""
        offset_s = self._measure()
        jump_s = offset_s - self._offset_s
        self._offset_s = offset_s
        if abs(jump_s) >= JUMP_S:
            _log.warning("clock: the wall clock was set by %+.0f s", jump_s)
            self._distrust_until = self._clock.monotonic() + DISTRUST_S
        return self._clock.monotonic() >= self._distrust_until

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()
