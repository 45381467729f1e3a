"""Reports the state of the service to systemd: READY, STATUS, WATCHDOG, RELOADING, STOPPING."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.core.interfaces import Systemd
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)
PING_S: Final = 30.0
PATIENCE_S: Final = 90.0
"""How much longer systemd is asked to wait for READY, with each ping."""


class SystemdReports:
    """Sends what changed, and feeds the watchdog.

    Args:
        systemd: Takes the lines.
        clock: Time.

    Attributes:
        due: When the watchdog must be fed next, by the monotonic clock.
    """

    def __init__(self, systemd: Systemd, clock: Clock) -> None:
        self._systemd = systemd
        self._clock = clock
        watchdog_s = systemd.watchdog_s
        self._every_s = min(PING_S, watchdog_s / 2) if watchdog_s else PING_S
        self._ready = False
        self._last = ""
        self.due = clock.monotonic()

    def report(self, status: Callable[[], str], ready: Callable[[], bool | None]) -> None:
        """Report in each turn of the loop.

        Args:
            status: One line for people.
            ready: Whether configuration, database and release are good; asked until they are.
        """
        now = self._clock.monotonic()
        if not self._ready and ready():
            self._ready = True
            self._systemd.send("READY=1", f"STATUS={status()}")
            _log.info("ready")
        line = f"STATUS={status()}"
        if self.due <= now:
            self.due = now + self._every_s
            lines = ["WATCHDOG=1", line]
            if not self._ready:
                lines.append(f"EXTEND_TIMEOUT_USEC={int(PATIENCE_S * 1e6)}")
            self._last = line
            self._systemd.send(*lines)
        elif self._last != line:
            self._last = line
            self._systemd.send(line)

    def reloading(self) -> None:
        """Report that the configuration is read anew."""
        now_us = int(self._clock.monotonic() * 1e6)
        self._systemd.send("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def reloaded(self, status: str) -> None:
        """Report the end of a reload."""
        if self._ready:
            self._systemd.send("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Report the end of the service."""
        self._systemd.send("STOPPING=1", "STATUS=stopping")
