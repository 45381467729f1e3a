"""Deadlines of the messages that wait in the outbox."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from edge_agent.messages.message import put_right
from edge_agent.mqtt.outbox_table import COLUMNS, message_of, milliseconds
from edge_agent.system.database import storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime


class OutboxDeadlines:
    """A `core.deadlines.MessageQueue` on the outbox's table, which must be there.

    Args:
        connection: The outbox's.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def last_place(self) -> int:
        """Place of the newest message; 0 where none waits."""
        with storage_errors(self._db):
            (place,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM outbox").fetchone()
        return int(place)

    def postpone(self, after: int, by: timedelta) -> None:
        """Move the deadlines of the messages behind place `after`."""
        with transaction(self._db) as db:
            db.execute(
                "UPDATE outbox SET expires_ms = expires_ms + ? WHERE seq > ?",
                (by // timedelta(milliseconds=1), after),
            )

    def bound(self, now: datetime) -> None:
        """Let messages that a wrong clock dated be valid for their own length from now."""
        with storage_errors(self._db):
            rows = self._db.execute(
                f"SELECT {COLUMNS} FROM outbox WHERE expires_ms IS NOT NULL"  # noqa: S608 - fixed column names
            ).fetchall()
        ends = [(put_right(message, now), message.id) for message in map(message_of, rows)]
        with transaction(self._db) as db:
            db.executemany(
                "UPDATE outbox SET expires_ms = ? WHERE id = ?",
                [(milliseconds(end), name) for end, name in ends if end is not None],
            )
