"""A device on the disk (release, hot weather, configuration) and its service as a process."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import msgspec
import polars as pl

from edge_agent.alerts import default_rules
from edge_agent.contract import manifest as contract
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.core.runtime import DATABASE
from edge_agent.observations.store import Store
from edge_agent.system.database import connect
from edge_agent.updates.slots import Slots
from tests.fakes.loaded import manifest as normals
from tests.fakes.tiny_release import tiny_release
from tests.fakes.tuned import tuning_of, with_tunings

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from pathlib import Path

ROOT = "farm/v1/farm/edge-1"
OWN_RULES_ALONE = f"[builtin]\noff = {list(default_rules.NAMES)}\n"
"""For a configuration: no built-in rule is in force."""
HOT_HOUSE = """
[[sensors]]
topic = "house"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
[[rules]]
name = "hot-house"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
now = true
role = "indoor"
"""
"""For a configuration: a live rule on readings of the topic `house`, from 30 C on."""


@functools.cache
def whole_release(word: str = "tiny") -> tuple[bytes, dict[str, bytes]]:
    """A release with real models, and the normals that a forecast needs; `word` tells two apart."""
    made, files = tiny_release(word)
    known = normals(3)
    whole = msgspec.structs.replace(
        made,
        release=3,
        channel="stable",
        created_at="2026-06-01T00:00:00Z",
        sites=known.sites,
        residuals=known.residuals,
        climatology_residuals=known.climatology_residuals,
        reason="first",
    )
    return contract.encode(whole), files


def install_release(state: Path, tuned_for: str | None = None) -> None:
    """As `edge-agent sync` would leave it, with half a degree more for one device ("site/id")."""
    content, files = whole_release()
    if tuned_for is not None:
        made = contract.decode(content)
        made, shards = with_tunings(made, {tuned_for: tuning_of(made, offset=0.5)})
        content, files = contract.encode(made), files | shards
    slots = Slots(state)
    slots.switch(slots.stage(content, files))


def fill_weather(state: Path, *, degrees: float = 34.0, source: str = "station:108") -> None:
    """A week of hot hours of a source up to now, by the machine's own clock."""
    now = datetime.now(UTC)  # noqa: TID251 - the process under test reads the real clock
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - timedelta(hours=back) for back in range(170)]
    values = {
        AIR_TEMPERATURE: [degrees + hour.hour % 3 for hour in hours],
        RELATIVE_HUMIDITY: [50.0 + hour.hour % 5 for hour in hours],
    }
    frame = pl.DataFrame({TIME: hours} | values, schema_overrides={TIME: TIME_DTYPE})
    connection = connect(state / DATABASE)
    Store(connection).put_hourly(source, frame)
    connection.close()


def write_config(folder: Path, port: int, more: str = "") -> Path:
    """A configuration with its state folder beside it and no web page."""
    path = folder / "config.toml"
    path.write_text(
        '[storage]\npath = "state"\n[web]\nport = 0\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n{more}',
        "utf-8",
    )
    return path


def no_update(state: Path) -> str:
    """For a `Worker` whose configuration names no depot."""
    raise AssertionError(f"{state}: nothing is to be pulled")


class ServiceProcess:
    """`edge-agent run` in a process of its own, with a systemd that only listens.

    Args:
        config: Its configuration file.
        folder: For log and notification socket.
        program: The agent; from source by default, or a built one.
    """

    def __init__(
        self,
        config: Path,
        folder: Path,
        program: Sequence[str] = (sys.executable, "-m", "edge_agent"),
    ) -> None:
        self._config = config
        self._program = program
        self._log = folder / "service.log"
        self._address = folder / "notify"
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._address.unlink(missing_ok=True)
        self._ear.bind(str(self._address))
        self._ear.settimeout(0.05)
        self._process: subprocess.Popen[bytes] | None = None
        self.heard: list[str] = []

    @property
    def log(self) -> str:
        """Everything the service has logged."""
        return self._log.read_text("utf-8", "replace")

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; returns at once."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._program, "run", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"NOTIFY_SOCKET": str(self._address)},
            )

    def wait_for(self, enough: Callable[[list[str]], bool], timeout_s: float = 40.0) -> None:
        """Listen as systemd does until `enough` of it was heard."""
        end = time.monotonic() + timeout_s
        while not enough(self.heard):
            assert time.monotonic() < end, f"{self.heard[-3:]}\n{self.log[-3000:]}"
            assert self._process is not None
            assert self._process.poll() is None, self.log[-3000:]
            self._listen()

    def wait_for_line(self, word: str) -> None:
        """Wait until a line that contains `word` was said since the last `forget`."""
        self.wait_for(lambda lines: any(word in line for line in lines))

    def forget(self) -> None:
        """Forget what was heard so far."""
        self._listen()
        self.heard.clear()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> tuple[int, float]:
        """SIGTERM; exit code, and seconds it took."""
        assert self._process is not None
        start = time.monotonic()
        self._process.terminate()
        code = self._process.wait(20)
        return code, time.monotonic() - start

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        try:
            while True:
                self.heard.extend(self._ear.recv(65_536).decode().splitlines())
        except TimeoutError:
            return

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._ear.close()
