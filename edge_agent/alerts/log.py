"""Log of alert edges and of the inputs behind them, kept after their messages are sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import InputMissing
from edge_agent.messages.payloads import AlertEvent, schema_name
from edge_agent.system.database import migrate, storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3

    from edge_agent.messages.message import Message

KEPT: Final = 2_000
_NOT_IN_OLDER: Final = {"value_at": None}
"""Keys that events of earlier agents lack."""
_STEPS: Final = (
    """CREATE TABLE alert_log (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,
  rule TEXT NOT NULL, edge TEXT NOT NULL, text TEXT NOT NULL, id TEXT NOT NULL) STRICT""",
    """ALTER TABLE alert_log ADD COLUMN event BLOB;
ALTER TABLE alert_log ADD COLUMN inputs BLOB""",
)


class _Edge(msgspec.Struct):
    """Of an event of either kind."""

    schema: str
    id: str
    issued_at: datetime
    rule: str
    event_type: str
    text: str


@dataclass(frozen=True, slots=True)
class LoggedEdge:
    """One edge: when, which rule, what happened, the text for people, the id of its message."""

    at: datetime
    rule: str
    edge: str
    text: str
    id: str


@dataclass(frozen=True, slots=True)
class RecordedAlert:
    """An edge as it was sent, and its decision record; None where a rule was taken out."""

    event: AlertEvent
    inputs: bytes | None


class AlertLog:
    """The newest `KEPT` edges. Every method raises `StorageError` when the disk refuses.

    Args:
        connection: From `database.connect`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        migrate(connection, "alert_log", _STEPS)

    def add(self, event: Message, inputs: bytes | None = None) -> None:
        """Add an edge; part of the caller's transaction.

        Args:
            event: Its message.
            inputs: Its decision record.
        """
        edge = msgspec.json.decode(event.payload, type=_Edge)
        # Of an official warning there is no decision of this device to explain.
        kept = event.payload if edge.schema == schema_name("alert-event") else None
        with transaction(self._db) as db:
            db.execute(
                "INSERT INTO alert_log (at, rule, edge, text, id, event, inputs) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    int(edge.issued_at.timestamp()),
                    edge.rule,
                    edge.event_type,
                    edge.text,
                    edge.id,
                    kept,
                    inputs,
                ),
            )
            db.execute(
                "DELETE FROM alert_log WHERE seq <= (SELECT max(seq) FROM alert_log) - ?", (KEPT,)
            )

    def newest(self, count: int) -> list[LoggedEdge]:
        """The last `count` edges, oldest first."""
        return [edge for _, edge in reversed(self.before(None, count))]

    def before(self, number: int | None, most: int) -> list[tuple[int, LoggedEdge]]:
        """The newest `most` edges with a number below `number`, newest first."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT seq, at, rule, edge, text, id FROM alert_log "
                "WHERE seq < coalesce(?, seq + 1) ORDER BY seq DESC LIMIT ?",
                (number, most),
            ).fetchall()
        return [
            (seq, LoggedEdge(datetime.fromtimestamp(at, UTC), *fields)) for seq, at, *fields in rows
        ]

    def find(self, name: str) -> RecordedAlert:
        """The newest edge whose id is `name` or ends with it.

        Raises:
            InputMissing: There is none, or it is of an agent that stored no event.
        """
        with storage_errors(self._db):
            row = self._db.execute(
                "SELECT event, inputs FROM alert_log "
                "WHERE substr(id, -length(?)) = ? ORDER BY seq DESC LIMIT 1",
                (name, name),
            ).fetchone()
        if row is None or row[0] is None:
            raise InputMissing(
                f"alert {name}: not among the last {KEPT}; `edge-agent history --json` lists ids"
            )
        event = _NOT_IN_OLDER | msgspec.json.decode(row[0])
        return RecordedAlert(msgspec.convert(event, AlertEvent), row[1])
