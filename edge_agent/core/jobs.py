"""Runs the jobs of the service so that an error in one does not stop the others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar

from edge_agent.contract.errors import FarmError, NothingNew, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_DISK_REPORTED_S: Final = 86_400.0
"""How long `/health` reports a disk that refused and has recovered."""
_ON_DISK: Final = ("cycle", "watch", "outbox", "inbound", "errand")
"""Jobs that use the database; an update that finds the disk full is no reason to leave it."""


class Jobs:
    """Runs jobs by name, and holds the error of each until it succeeds.

    Args:
        in_memory: Whether everything is held in memory already, since the disk refuses.
        clock: Time.

    Attributes:
        errors: Job -> its error; empty where all is well.
        disk_failed: A job found that the disk refuses.
    """

    def __init__(self, in_memory: Callable[[], bool], clock: Clock) -> None:
        self._in_memory = in_memory
        self._clock = clock
        self.errors: dict[str, str] = {}
        self.disk_failed = False
        self._recovered = ""
        self._report_recovery_until = clock.monotonic()

    def run(self, job: str, call: Callable[[], _T]) -> _T | None:
        """Result of a call, or None where it failed, which is logged."""
        try:
            result = call()
        except NothingNew:
            result = None
        except FarmError as fault:
            self.fail(job, str(fault))
            if isinstance(fault, StorageError) and job in _ON_DISK:
                self.disk_failed = not self._in_memory()
            return None
        except Exception as fault:  # noqa: BLE001 - a bug in one job must not stop the others
            self.fail(job, f"internal error: {type(fault).__name__}: {fault}")
            _log.debug("unexpected fault in %s", job, exc_info=True)
            return None
        self.errors.pop(job, None)
        return result

    def fail(self, job: str, text: str) -> None:
        """Set the error of a job; it is logged where it is new."""
        if self.errors.get(job) != text:
            _log.warning("%s: %s", job, text)
        self.errors[job] = text

    def disk_error(self) -> str:
        """The error of the first job that uses the database and failed; empty where none did."""
        return next((self.errors[job] for job in _ON_DISK if job in self.errors), "")

    def disk_recovered(self) -> None:
        """End the error of the storage; `problems` reports it for a day."""
        error = self.errors.pop("storage", "")
        self._recovered = f"storage: until {self._clock.now():%Y-%m-%d %H:%M} UTC {error}"
        self._report_recovery_until = self._clock.monotonic() + _DISK_REPORTED_S
        _log.warning("storage: the disk takes writes again; nothing is kept in memory any more")

    def problems(self, tells: str, concerns: Iterable[str]) -> list[str]:
        """Lines for `/health`.

        Args:
            tells: The job that sends them; its own error is over, since this time it goes through.
            concerns: What the connection reports.
        """
        lines = [f"{job}: {text}" for job, text in self.errors.items() if job != tells]
        lines.extend(f"mqtt: {text}" for text in concerns)
        if self._clock.monotonic() < self._report_recovery_until:
            lines.append(self._recovered)
        return lines
