"""The name under which a device publishes, and the one it has just given up.

After a power cut the broker says `offline` under the former name as soon as it notices that the
connection is dead. So the former name is remembered for `WILL_S`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.mqtt.outbox_table import milliseconds
from edge_agent.system.database import migrate, storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

WILL_S: Final = 300
"""A dead connection is noticed after 1.5 keep-alives: 90 s by default."""
_STEPS: Final = (
    """CREATE TABLE own_name (place INTEGER PRIMARY KEY CHECK (place = 1), root TEXT NOT NULL,
  former TEXT NOT NULL, left_ms INTEGER NOT NULL) STRICT""",
)


class OwnName:
    """Root of the device's topics, kept over restarts; the disk's refusal is a `StorageError`.

    Args:
        connection: The outbox's.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        migrate(connection, "own_name", _STEPS)

    def root(self) -> str:
        """Root under which the device has published last; empty where it has not yet."""
        with storage_errors(self._db):
            row = self._db.execute("SELECT root FROM own_name").fetchone()
            if row is None:  # an agent that did not write it down may have published
                row = self._db.execute(
                    "SELECT substr(topic, 1, length(topic) - length('/health')) "
                    "FROM outbox_retained WHERE topic LIKE '%/health' ORDER BY seq DESC LIMIT 1"
                ).fetchone()
        return row[0] if row else ""

    def change(self, root: str, now: datetime) -> None:
        """Publish under another root from now on."""
        former = self.root()
        with transaction(self._db) as db:
            db.execute(
                "INSERT OR REPLACE INTO own_name VALUES (1, ?, ?, ?)",
                (root, former, milliseconds(now)),
            )
            # What was refused under the former name is not sent again.
            db.execute("UPDATE outbox_dead SET again = 0")

    def former(self, now: datetime) -> str:
        """The root that was given up within the last minutes; empty where none was."""
        with storage_errors(self._db):
            row = self._db.execute("SELECT former, left_ms FROM own_name").fetchone()
        if row is None or not 0 <= milliseconds(now) - row[1] < 1000 * WILL_S:
            return ""
        return str(row[0])

    def retained_topics(self) -> list[str]:
        """Topics of which the broker may hold a retained message of this device."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT topic FROM outbox_retained UNION "
                "SELECT topic FROM outbox WHERE retain AND length(payload) > 0 ORDER BY topic"
            ).fetchall()
        return [topic for (topic,) in rows]
