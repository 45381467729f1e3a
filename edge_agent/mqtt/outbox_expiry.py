"""Drops messages of the outbox that have expired, and counts them (rule 4 of the outbox)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.mqtt import outbox_refusals
from edge_agent.mqtt.outbox_table import count
from edge_agent.system.database import storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3


def expire(db: sqlite3.Connection, now_ms: int) -> None:
    """Drop what ended at or before this time; dead letters are sent no more.

    Args:
        db: The outbox's.
        now_ms: Milliseconds since 1970.

    Raises:
        StorageError: The disk refused.
    """
    with storage_errors(db):
        rows = db.execute(
            "SELECT kind, sum(waits) FROM (SELECT kind, 1 AS waits, expires_ms FROM outbox "
            "UNION ALL SELECT kind, 0, expires_ms FROM outbox_dead WHERE again) "
            "WHERE expires_ms <= ? GROUP BY kind",
            (now_ms,),
        ).fetchall()
    if not rows:
        return
    with transaction(db):
        for kind, number in rows:
            if number:
                count(db, "dropped_expired", kind, number)
        db.execute("DELETE FROM outbox WHERE expires_ms <= ?", (now_ms,))
        outbox_refusals.expire(db, now_ms)
