"""A real Mosquitto on a free loopback port, which can be killed and started again.

`make test` installs it; a machine without it gets a failure, not a skip.
"""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def free_port() -> int:
    """A TCP port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _program() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError("mosquitto is not installed: `make test` installs it")
    return found


class Mosquitto:
    """The broker. It keeps nothing on disk, so a kill forgets sessions and retained messages.

    Args:
        folder: For its configuration and log.
        options: More lines of mosquitto.conf, after the listener's.
        anonymous: Whether clients need no password.
    """

    def __init__(
        self, folder: Path, options: Iterable[str] = (), *, anonymous: bool = True
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._anonymous = anonymous
        self._process: subprocess.Popen[bytes] | None = None
        self.set_options(options)

    def set_options(self, options: Iterable[str]) -> None:
        """Other lines of mosquitto.conf; a running broker takes those that it can."""
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'true' if self._anonymous else 'false'}",
            "persistence false",
            # Started by root it would become another user, who cannot read the test's files.
            f"user {getpass.getuser()}",
            "log_dest stderr",
            *options,
        ]
        self._config.write_text("\n".join(lines) + "\n", "utf-8")
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the broker has logged since it was first started."""
        return self._log.read_text("utf-8", "replace")

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_program(), "-c", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        for _ in range(500):
            if self._process.poll() is not None:
                raise RuntimeError(f"mosquitto ended: {self.log}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError(f"mosquitto does not listen: {self.log}")

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
