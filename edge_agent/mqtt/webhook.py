"""Alerts by HTTP POST to a web address (ntfy, a webhook), from a queue beside the outbox.

Rules (tests name the numbers):

1. An alert is queued in the transaction that puts it into the outbox, once for each id.
2. It leaves the queue when the address accepts it (2xx), when it is outdated, or when the address
   refuses it for good (another 4xx, a redirect): then it is counted and logged.
3. Anything else is retried: full jitter, from 10 s up to half an hour.
4. Alerts are sent one at a time, oldest first, from a thread; the loop never waits for it.
5. At most `MOST` wait; beyond that the oldest is dropped.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from edge_agent.contract.errors import FarmError, Refused, TryLater
from edge_agent.messages.message import is_misdated, lifetime
from edge_agent.system import fault_words, proxies
from edge_agent.system.database import migrate, storage_errors, transaction
from edge_agent.system.jitter import backoff, jitter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection
    from datetime import datetime, timedelta

    from edge_agent.messages.message import Message
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)
MOST: Final = 200
FIRST_PAUSE_S: Final = 10.0
LONGEST_PAUSE_S: Final = 1800.0
TIMEOUT_S: Final = 10.0
_UNKNOWN: Final = -(2**40)
"""Instead of the deadline of an alert that an untrusted clock dated, until the time is known."""
_LATER: Final = {408, 425, 429}
_STEPS: Final = (
    """CREATE TABLE push (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
  body BLOB NOT NULL, expires INTEGER NOT NULL) STRICT""",
    "ALTER TABLE push ADD COLUMN valid INTEGER",
)


class _Alert(msgspec.Struct):
    severity: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class WebhookAlert:
    """One alert that waits."""

    id: str
    body: bytes


class WebhookQueue:
    """Alerts that wait to be sent. Every method raises `StorageError` when the disk refuses.

    Args:
        connection: The outbox's, so that both are committed together.
        severities: Which alerts are sent.
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
        values = {"text": alert.text, "rule": alert.rule, "severity": alert.severity}
        body = self._template.format(**values).encode() if self._template else message.payload
        with transaction(self._db) as db:
            valid = lifetime(message)
            expires = int(message.expires_at.timestamp())
            db.execute(
                "INSERT OR IGNORE INTO push (id, body, expires, valid) VALUES (?, ?, ?, ?)",
                (
                    message.id,
                    body,
                    _UNKNOWN if valid is not None and is_misdated(message) else expires,
                    None if valid is None else int(valid.total_seconds()),
                ),
            )
            db.execute("DELETE FROM push WHERE seq <= (SELECT max(seq) FROM push) - ?", (MOST,))

    def last_place(self) -> int:
        """Place of the newest alert; 0 where none waits."""
        with storage_errors(self._db):
            (place,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM push").fetchone()
        return int(place)

    def postpone(self, after: int, by: timedelta) -> None:
        """Move the deadlines of the alerts behind place `after`."""
        with transaction(self._db) as db:
            db.execute(
                "UPDATE push SET expires = expires + ? WHERE seq > ?",
                (int(by.total_seconds()), after),
            )

    def bound(self, now: datetime) -> None:
        """Let alerts that a wrong clock dated be valid for their own length from now."""
        with transaction(self._db) as db:
            db.execute(
                "UPDATE push SET expires = :now + valid "
                "WHERE expires > :now + valid OR (expires < 0 AND valid IS NOT NULL)",
                {"now": int(now.timestamp())},
            )

    def due(self, now: datetime | None) -> WebhookAlert | None:
        """The oldest alert that is not outdated; drops outdated ones.

        Args:
            now: UTC, or None while nobody vouches for the clock: then nothing is outdated.
        """
        if now is not None:
            with transaction(self._db) as db:
                db.execute("DELETE FROM push WHERE expires <= ?", (int(now.timestamp()),))
        with storage_errors(self._db):
            row = self._db.execute("SELECT id, body FROM push ORDER BY seq LIMIT 1").fetchone()
        return WebhookAlert(*row) if row else None

    def done(self, name: str) -> None:
        """Remove an alert."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM push WHERE id = ?", (name,))


class WebhookSender:
    """Sends the queue to its address. Its methods run on the loop's thread, the request on another.

    Args:
        queue: What waits.
        send: Sends one body; raises `TryLater` or `Refused`.
        report: Runs a call on the loop's thread.
        clock: Pauses are measured on its monotonic side.
        random: Uniform numbers in [0, 1).
        start_thread: Runs a request beside the loop.
    """

    def __init__(
        self,
        queue: WebhookQueue,
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
        """Number of alerts that the address refused for good, since the start."""

    def tick(self, now: datetime | None) -> None:
        """Send the oldest alert, unless a request is under way or a pause is on.

        Raises:
            StorageError: The disk refused.
        """
        if self._busy or self._clock.monotonic() < self._not_before:
            return
        alert = self._queue.due(now)
        if alert is not None:
            self._busy = True
            self._start_thread(lambda: self._post(alert))

    def _post(self, alert: WebhookAlert) -> None:
        fault: Exception | None = None
        try:
            self._send(alert.body)
        except Exception as raised:  # noqa: BLE001 - reported to the loop, which retries
            fault = raised
        self._report(lambda: self._settle(alert, fault))

    def close(self) -> None:
        """Ignore the request under way; its alert may be sent once more after the next start."""
        self._closed = True

    def _settle(self, alert: WebhookAlert, fault: Exception | None) -> None:
        if self._closed:
            return
        self._busy = False
        if fault is not None and not isinstance(fault, Refused):
            longest_s = backoff(self._failures, FIRST_PAUSE_S, LONGEST_PAUSE_S)
            self._failures += 1
            self._not_before = self._clock.monotonic() + jitter(0.0, longest_s, self._random)
            raise (
                fault
                if isinstance(fault, FarmError)
                else TryLater(f"push: {fault_words.of_connection(fault)}")
            )
        self._queue.done(alert.id)
        self._failures = 0
        if fault is not None:
            self.refused += 1
            raise fault
        self.tick(None)


def _daemon(target: Callable[[], None]) -> None:
    threading.Thread(target=target, name="push", daemon=True).start()


def sender(url: str, token: Callable[[], str | None], *, json: bool) -> Callable[[bytes], None]:
    """A function that sends one body. Its errors name the host only: such addresses are secrets.

    Args:
        url: Where to; redirects are not followed.
        token: Read at each try; sent as a bearer token where there is one.
        json: The body is JSON; otherwise plain text.
    """
    import httpx  # costs start-up time, and few devices push

    host = urlsplit(url).hostname
    kind = "application/json" if json else "text/plain; charset=utf-8"

    def send(body: bytes) -> None:
        headers = {"Content-Type": kind}
        secret = token()
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret}"
        proxy = proxies.proxy_for(url)
        try:
            with (
                httpx.Client(transport=proxies.transport(proxy), timeout=TIMEOUT_S) as client,
                client.stream("POST", url, content=body, headers=headers) as answer,
            ):
                status = answer.status_code
        except httpx.HTTPError as fault:
            how = f"{fault_words.of_connection(fault)}{proxies.through(proxy)}"
            raise TryLater(f"push to {host}: {how}; tried again") from fault
        if status in _LATER or status >= 500:
            raise TryLater(f"push to {host}: answered {status}; tried again")
        if not 200 <= status < 300:
            raise Refused(f"push to {host}: refused with {status}: check push.url and its token")

    return send
