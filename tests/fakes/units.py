"""A systemd of one service: it reads the unit that was written and starts what that names."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from typing import TYPE_CHECKING

from edge_agent.ops.installation.layout import UNIT
from edge_agent.ops.installation.units import UnitState

if TYPE_CHECKING:
    from edge_agent.ops.installation.layout import Layout


class ProcessManager:
    """`Manager` that runs the unit's program below the layout's root, with a socket for READY.

    Args:
        layout: Where the unit was written.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._process: subprocess.Popen[bytes] | None = None
        self._ear: socket.socket | None = None
        self._heard = ""
        self.calls: list[str] = []

    def enable(self) -> None:
        """See `Manager`."""
        self.calls.append("enable")

    def restart(self) -> None:
        """Start the program of ExecStart in a process of its own."""
        self.calls.append("restart")
        self.stop()
        text = (self._layout.units / UNIT).read_text("utf-8")
        (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
        program, *words = shlex.split(line.removeprefix("ExecStart="))
        address = f"\0edge-agent-test-{os.getpid()}-{id(self)}-{len(self.calls)}"
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(address)
        self._ear.settimeout(0.0)
        self._process = subprocess.Popen(
            [str(self._layout.root / program.lstrip("/")), *words],
            env=os.environ | {"NOTIFY_SOCKET": "@" + address[1:]},
        )

    def state(self) -> UnitState:
        """What the process has come to."""
        if self._process is None or self._ear is None:
            return UnitState()
        try:
            while True:
                self._heard += self._ear.recv(4096).decode() + "\n"
        except BlockingIOError:
            pass
        code = self._process.poll()
        if code is not None:
            return UnitState("failed", "failed", "exit-code", text=f"exit {code}")
        ready = "READY=1" in self._heard
        return UnitState("active" if ready else "activating", "running" if ready else "start")

    def disable(self) -> None:
        """See `Manager`."""
        self.calls.append("disable")
        self.stop()

    def forget(self, *, account: bool) -> None:
        """See `Manager`."""
        self.calls.append("forget account" if account else "forget")

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._ear is not None:
            self._ear.close()
        self._process, self._ear, self._heard = None, None, ""
