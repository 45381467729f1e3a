"""Every alert edge that was said, kept after the message has gone out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.alerts.payloads import AlertEvent
from edge_agent.database import faults_told, migrate, transaction

if TYPE_CHECKING:
    import sqlite3

    from edge_agent.messaging.message import Message

KEPT: Final = 2_000
_STEPS: Final = (
    """CREATE TABLE alert_log (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,
  rule TEXT NOT NULL, edge TEXT NOT NULL, text TEXT NOT NULL, id TEXT NOT NULL) STRICT""",
)


@dataclass(frozen=True, slots=True)
class Said:
    """One edge: when, which rule, what happened, the text for people, the id of its message."""

    at: datetime
    rule: str
    edge: str
    text: str
    id: str


class AlertLog:
    """The newest `KEPT` edges. Every method raises `StorageError` when the disk refuses.

    Args:
        connection: From `database.connect`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        migrate(connection, "alert_log", _STEPS)

    def add(self, event: Message) -> None:
        """Keep an edge from its message; part of the caller's transaction."""
        said = msgspec.json.decode(event.payload, type=AlertEvent)
        with transaction(self._db) as db:
            db.execute(
                "INSERT INTO alert_log (at, rule, edge, text, id) VALUES (?, ?, ?, ?, ?)",
                (int(said.issued_at.timestamp()), said.rule, said.event_type, said.text, said.id),
            )
            db.execute(
                "DELETE FROM alert_log WHERE seq <= (SELECT max(seq) FROM alert_log) - ?", (KEPT,)
            )

    def newest(self, count: int) -> list[Said]:
        """The last `count` edges, oldest first."""
        with faults_told(self._db):
            rows = self._db.execute(
                "SELECT at, rule, edge, text, id FROM alert_log ORDER BY seq DESC LIMIT ?",
                (count,),
            ).fetchall()
        return [Said(datetime.fromtimestamp(at, UTC), *rest) for at, *rest in reversed(rows)]
