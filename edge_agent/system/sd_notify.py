"""Messages to systemd (sd_notify): READY, STATUS, WATCHDOG, RELOADING, STOPPING."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger(__name__)


class Notifier:
    """Sends to $NOTIFY_SOCKET; without one it does nothing.

    Args:
        env: Environment.
        pid: Process id, compared with $WATCHDOG_PID.
    """

    def __init__(self, env: Mapping[str, str], pid: int | None = None) -> None:
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog(env, os.getpid() if pid is None else pid)
        """Longest time between two pings that systemd accepts, or None."""

    def send(self, *lines: str) -> None:
        """Send lines such as `READY=1`; a missing systemd is no error."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.connect(self._address)
                channel.sendall("\n".join(lines).encode())
        except OSError as fault:
            _log.debug("systemd does not listen: %s", fault)


def _watchdog(env: Mapping[str, str], pid: int) -> float | None:
    # In a one-file bundle $WATCHDOG_PID is the launcher's, and never this process's.
    if env.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    text = env.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdigit() and int(text) > 0 else None
