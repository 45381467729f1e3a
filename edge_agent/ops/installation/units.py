"""systemd, as far as an installer needs it: the interface, systemctl, and the states of a unit."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from edge_agent.contract.errors import Unavailable
from edge_agent.ops.installation.child_env import outer_environment
from edge_agent.ops.installation.layout import UNIT, UPDATE_UNITS, USER
from edge_agent.system import fault_words

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S: Final = 120.0
_KEYS: Final = ("ActiveState", "SubState", "Result", "NRestarts", "StatusText")


class ServiceHealth(Enum):
    """State of a service since it was started."""

    READY = "ready"
    WAITING = "waiting"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class UnitState:
    """Properties of the service in the words of `systemctl show`."""

    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    restarts: int = 0
    text: str = ""

    def health(self) -> ServiceHealth:
        """READY once it runs; BROKEN as soon as it has ended once, even if systemd restarts it."""
        if self.active == "failed" or self.result != "success" or self.restarts > 0:
            return ServiceHealth.BROKEN
        if self.active in {"active", "reloading"} and self.sub in {"running", "reload"}:
            return ServiceHealth.READY
        return ServiceHealth.WAITING


class Manager(Protocol):
    """A service manager."""

    def enable(self) -> None:
        """Create the account, reload the units, start the service at every boot from now on."""
        ...

    def restart(self) -> None:
        """Stop the service if it runs and start it; returns before it is ready."""
        ...

    def state(self) -> UnitState:
        """Properties of the service."""
        ...

    def disable(self) -> None:
        """Stop the service and its timer, and do not start them at boot."""
        ...

    def forget(self, *, account: bool) -> None:
        """Reload the units after they were removed; remove the account too where asked."""
        ...


class Systemctl:
    """The systemd of this machine: a `Manager`."""

    def enable(self) -> None:
        """See `Manager`."""
        _call("systemd-sysusers")
        _call("systemctl", "daemon-reload")
        _call("systemctl", "enable", "--quiet", UNIT)

    def restart(self) -> None:
        """See `Manager`; stops first, since the old process's state must not be read as new."""
        _call("systemctl", "stop", UNIT)
        _call("systemctl", "reset-failed", UNIT, check=False)
        _call("systemctl", "start", "--no-block", UNIT)

    def state(self) -> UnitState:
        """See `Manager`."""
        shown = _call("systemctl", "show", UNIT, *(f"--property={key}" for key in _KEYS))
        properties = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        restarts = properties.get("NRestarts", "")
        return UnitState(
            active=properties.get("ActiveState", ""),
            sub=properties.get("SubState", ""),
            result=properties.get("Result", ""),
            restarts=int(restarts) if restarts.isdigit() else 0,
            text=properties.get("StatusText", ""),
        )

    def disable(self) -> None:
        """See `Manager`."""
        for unit in (UNIT, *UPDATE_UNITS):
            _call("systemctl", "disable", "--now", "--quiet", unit, check=False)

    def forget(self, *, account: bool) -> None:
        """See `Manager`."""
        _call("systemctl", "daemon-reload")
        _call("systemctl", "reset-failed", UNIT, check=False)
        if account:
            _call("userdel", USER, check=False)


class OfflineSystemctl:
    """Units of a root folder that does not run, such as an image: a `Manager`.

    Args:
        root: The folder that stands for `/`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def enable(self) -> None:
        """See `Manager`; the account is created when the image boots."""
        _call("systemctl", f"--root={self._root}", "enable", "--quiet", UNIT)

    def restart(self) -> None:
        """Nothing runs there."""

    def state(self) -> UnitState:
        """Nothing runs there."""
        return UnitState()

    def disable(self) -> None:
        """See `Manager`."""
        for unit in (UNIT, UPDATE_UNITS[1]):
            _call("systemctl", f"--root={self._root}", "disable", "--quiet", unit, check=False)

    def forget(self, *, account: bool) -> None:
        """Nothing runs there."""


def _call(*words: str, check: bool = True) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and paths, no shell
            words,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env=outer_environment(os.environ),
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise Unavailable(
            f"{words[0]}: {fault_words.of_file(fault)}: is this a machine with systemd?"
        ) from fault
    if check and done.returncode != 0:
        problem = " ".join(done.stderr.split()) or f"exit {done.returncode}"
        raise Unavailable(f"{' '.join(words)}: {problem}")
    return done.stdout
