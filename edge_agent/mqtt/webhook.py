"""Alerts that also go to a web address (ntfy, a webhook): a queue of their own, beside the outbox.

Rules (tests name the numbers):

1. What is pushed is what went into the outbox: it is queued in the same transaction, once an id.
2. It leaves the queue when the address has taken it (2xx), when it is outdated, or when the address
   refuses it for good (another 4xx, a redirect): then it is counted and said.
3. Anything else is tried again: full jitter, from 10 s up to half an hour.
4. One at a time, oldest first, sent from a thread of its own; the loop never waits for it.
5. At most `MOST` wait; the oldest goes.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import FarmError, Refused, TryLater
from edge_agent.system.database import faults_told, migrate, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection
    from datetime import datetime

    from edge_agent.messages.message import Message
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)
MOST: Final = 200
FIRST_PAUSE_S: Final = 10.0
LONGEST_PAUSE_S: Final = 1800.0
_STEPS: Final = (
    """CREATE TABLE push (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
  body BLOB NOT NULL, expires INTEGER NOT NULL) STRICT""",
)


class _Alert(msgspec.Struct):
    severity: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to push."""

    id: str
    body: bytes


class PushQueue:
    """What waits to be pushed. Every method raises `StorageError` when the disk refuses.

    Args:
        connection: The outbox's, so that both are committed together.
        severities: Which alerts are pushed.
        template: Text with `{text}`, `{rule}`, `{severity}`; empty: the alert's JSON.
    """

    def __init__(
        self, connection: sqlite3.Connection, severities: Collection[str], template: str
    ) -> None:
        self._db = connection
        self._severities = severities
        self._template = template
        migrate(connection, "push", _STEPS)

    def put(self, message: Message) -> None:
        """Queue an alert's message, where its severity is wanted."""
        alert = msgspec.json.decode(message.payload, type=_Alert)
        if alert.severity not in self._severities or message.expires_at is None:
            return
        words = {"text": alert.text, "rule": alert.rule, "severity": alert.severity}
        body = self._template.format(**words).encode() if self._template else message.payload
        with transaction(self._db) as db:
            db.execute(
                "INSERT OR IGNORE INTO push (id, body, expires) VALUES (?, ?, ?)",
                (message.id, body, int(message.expires_at.timestamp())),
            )
            db.execute("DELETE FROM push WHERE seq <= (SELECT max(seq) FROM push) - ?", (MOST,))

    def due(self, now: datetime | None) -> Entry | None:
        """The oldest that is not outdated; drops outdated ones.

        Args:
            now: UTC, or None while the clock is not trusted: then nothing is outdated.
        """
        if now is not None:
            with transaction(self._db) as db:
                db.execute("DELETE FROM push WHERE expires <= ?", (int(now.timestamp()),))
        with faults_told(self._db):
            row = self._db.execute("SELECT id, body FROM push ORDER BY seq LIMIT 1").fetchone()
        return Entry(*row) if row else None

    def done(self, name: str) -> None:
        """This one is over."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM push WHERE id = ?", (name,))


class Pusher:
    """Carries the queue to its address; lives on the loop's thread, sends from others.

    Args:
        queue: What waits.
        send: Sends one body; raises `TryLater` or `Refused`.
        report: Has a call made on the loop's thread.
        clock: Pauses are measured on its monotonic side.
        random: Uniform numbers in [0, 1).
        start_thread: Runs the sending beside the loop.
    """

    def __init__(
        self,
        queue: PushQueue,
        send: Callable[[bytes], None],
        report: Callable[[Callable[[], None]], None],
        *,
        clock: Clock,
        random: Callable[[], float],
        start_thread: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._queue = queue
        self._send = send
        self._report = report
        self._clock = clock
        self._random = random
        self._start_thread = start_thread or _daemon
        self._busy = False
        self._closed = False
        self._failures = 0
        self._not_before = clock.monotonic()
        self.refused = 0
        """Those the address will never take, since the start."""

    def tick(self, now: datetime | None) -> None:
        """Send the oldest, unless one is on its way or a pause is on.

        Raises:
            StorageError: The disk refused.
        """
        if self._busy or self._clock.monotonic() < self._not_before:
            return
        entry = self._queue.due(now)
        if entry is not None:
            self._busy = True
            self._start_thread(lambda: self._carry(entry))

    def _carry(self, entry: Entry) -> None:
        fault: Exception | None = None
        try:
            self._send(entry.body)
        except Exception as raised:  # noqa: BLE001 - told to the loop, which tries again
            fault = raised
        self._report(lambda: self._settle(entry, fault))

    def close(self) -> None:
        """Leave the queue alone; what is on its way may be sent once more by the next one."""
        self._closed = True

    def _settle(self, entry: Entry, fault: Exception | None) -> None:
        if self._closed:
            return
        self._busy = False
        if fault is not None and not isinstance(fault, Refused):
            cap = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**self._failures)
            self._failures = min(self._failures + 1, 16)
            self._not_before = self._clock.monotonic() + cap * self._random()
            raise fault if isinstance(fault, FarmError) else TryLater(f"push: {fault}")
        self._queue.done(entry.id)
        self._failures = 0
        if fault is not None:
            self.refused += 1
            raise fault
        self.tick(None)


def _daemon(target: Callable[[], None]) -> None:
    threading.Thread(target=target, name="push", daemon=True).start()
