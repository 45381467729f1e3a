"""Requests made today, by source and key: counted on disk, so that a restart keeps the count."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import StorageError
from edge_agent.contract.hours import korean_date
from edge_agent.system.files import write_atomic
from trainer.ingest.sources.http import QuotaSpent

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.system.ports import Clock

_AHEAD: Final = 25
"""Requests written down before they are made: one write for so many. A kill loses at most so many,
and the count is never too low."""


class _CountsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    day: str
    used: dict[str, int]


class Quota:
    """Counts requests of one service and key; KMA counts anew at midnight in Korea.

    Args:
        path: File of the counts, shared by all services.
        service: Name of the service; KMA counts each one apart.
        key: The key; only a short digest of it is kept.
        limit: Requests a day.
        clock: Tells the day.
    """

    def __init__(self, path: Path, service: str, key: str, limit: int, clock: Clock) -> None:
        self._path = path
        self._name = f"{service}-{hashlib.blake2s(key.encode(), digest_size=4).hexdigest()}"
        self._service = service
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._day = ""
        self._used = 0
        self._written = 0

    def spend(self) -> None:
        """Count one request that is about to be made.

        Raises:
            QuotaSpent: The day's quota is used up.
        """
        with self._lock:
            self._open_day()
            if self._used >= self._limit:
                raise QuotaSpent(
                    f"{self._service}: {self._limit} requests made today, the limit of [kma] "
                    "requests_per_day; the count starts anew at midnight KST"
                )
            self._used += 1
            if self._used > self._written:
                self._write(min(self._used + _AHEAD, self._limit))

    def left(self) -> int:
        """Requests left today."""
        with self._lock:
            self._open_day()
            return self._limit - self._used

    def close(self) -> None:
        """Write down the exact count."""
        with self._lock:
            if self._written != self._used:
                self._write(self._used)

    def _open_day(self) -> None:
        today = korean_date(self._clock.now()).isoformat()
        if today != self._day:
            self._day = today
            self._used = self._written = self._read().get(self._name, 0)

    def _read(self) -> dict[str, int]:
        try:
            document = msgspec.json.decode(self._path.read_bytes(), type=_CountsFile)
        except (FileNotFoundError, msgspec.DecodeError):
            # A damaged file counts as none: KMA itself still says when its quota is reached.
            return {}
        return document.used if document.day == self._day else {}

    def _write(self, count: int) -> None:
        content = msgspec.json.encode(_CountsFile(self._day, {**self._read(), self._name: count}))
        try:
            write_atomic(self._path, content + b"\n")
        except OSError as fault:
            raise StorageError(f"{self._path}: cannot be written: {fault.strerror}") from fault
        self._written = count
