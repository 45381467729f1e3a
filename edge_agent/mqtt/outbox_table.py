"""Tables of the outbox in the agent's SQLite file, and rows of them as messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt import discovery
from edge_agent.system.database import storage_errors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_OVERHEAD_BYTES: Final = 120
"""Bytes of a row beside its texts: many small messages count too."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
RANKS: Final = tuple(Kind)
IS_AHEAD: Final = """kind = 0
  OR topic GLOB '*/alert/*/state' OR topic GLOB '*/cmd/*/result*'"""
COLUMNS: Final = "id, kind, topic, payload, retain, expires_ms, collapse, correlation, headers"
_FIELDS: Final = f"""
  id TEXT NOT NULL UNIQUE,
  kind INTEGER NOT NULL,
  topic TEXT NOT NULL,
  payload BLOB NOT NULL,
  retain INTEGER NOT NULL,
  expires_ms INTEGER,
  collapse TEXT,
  correlation BLOB,
  headers TEXT NOT NULL,
  size INTEGER NOT NULL GENERATED ALWAYS AS
    (length(payload) + 2 * length(id) + length(topic) + length(headers) + {_OVERHEAD_BYTES}) STORED
"""
STEPS: Final = (
    f"""CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, {_FIELDS}) STRICT;
CREATE INDEX outbox_room ON outbox (kind, size);
CREATE INDEX outbox_collapse ON outbox (collapse) WHERE collapse IS NOT NULL;
CREATE INDEX outbox_expiry ON outbox (expires_ms) WHERE expires_ms IS NOT NULL;
CREATE TABLE outbox_dead (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, reason TEXT NOT NULL, {_FIELDS}) STRICT;
CREATE TABLE outbox_retained (seq INTEGER PRIMARY KEY AUTOINCREMENT, {_FIELDS}) STRICT;
CREATE UNIQUE INDEX outbox_retained_topic ON outbox_retained (topic);
CREATE TABLE outbox_delivered (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE) STRICT;
CREATE TABLE outbox_counts (
  what TEXT, kind INTEGER, n INTEGER NOT NULL, PRIMARY KEY (what, kind)) STRICT""",
    # Events, states of alerts and answers to commands are ahead. Of what an earlier version had
    # given up, the newest message of each topic is sent again, unless the topic got a newer one.
    f"""ALTER TABLE outbox ADD COLUMN lane INTEGER GENERATED ALWAYS AS (CASE WHEN {IS_AHEAD}
  THEN 0 ELSE 1 END) VIRTUAL;
CREATE INDEX outbox_order ON outbox (lane, seq);
ALTER TABLE outbox_dead ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox_dead ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox_dead ADD COLUMN hung_up INTEGER NOT NULL DEFAULT 0;
UPDATE outbox_dead SET place = seq - 1000000000;
UPDATE outbox_dead SET again = 1 WHERE seq IN (SELECT max(seq) FROM outbox_dead GROUP BY topic)
  AND topic NOT IN (SELECT topic FROM outbox_retained)""",  # noqa: S608 - fixed texts
)


def count(connection: sqlite3.Connection, what: str, rank: int, number: int) -> None:
    """Add to a counter of a class, which is named by its rank."""
    connection.execute(
        "INSERT INTO outbox_counts VALUES (?, ?, ?) "
        "ON CONFLICT (what, kind) DO UPDATE SET n = n + excluded.n",
        (what, rank, number),
    )


def counters(db: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """What was delivered, dropped and refused since the file was made, by class."""
    counts: dict[str, dict[str, int]] = {}
    with storage_errors(db):
        for what, kind, number in db.execute("SELECT what, kind, n FROM outbox_counts"):
            counts.setdefault(what, {})[RANKS[kind].value] = number
    return counts


def drop_oldest(connection: sqlite3.Connection, ranks: Sequence[int], cap: int) -> None:
    """Delete and count the oldest messages of classes whose bytes are beyond `cap`.

    Args:
        connection: Of the caller's transaction.
        ranks: The classes; messages of the first one go first.
        cap: Room of all of them together.
    """
    used = dict.fromkeys(ranks, 0)
    for kind, size in connection.execute("SELECT kind, sum(size) FROM outbox GROUP BY kind"):
        if kind in used:
            used[kind] = size
    for rank in ranks:
        while used[rank] and sum(used.values()) > cap:
            seq, size = connection.execute(
                "SELECT seq, size FROM outbox WHERE kind = ? ORDER BY seq LIMIT 1", (rank,)
            ).fetchone()
            connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,))
            count(connection, "dropped_for_room", rank, 1)
            used[rank] -= size


def milliseconds(time: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def row_of(message: Message) -> tuple[object, ...]:
    """Values of `COLUMNS` of a message."""
    return (
        message.id,
        RANKS.index(message.kind),
        message.topic,
        message.payload,
        message.retain,
        None if message.expires_at is None else milliseconds(message.expires_at),
        message.collapse,
        message.correlation,
        msgspec.json.encode(message.headers).decode(),
    )


def message_of(row: tuple[Any, ...]) -> Message:
    """Message from a row of `COLUMNS`."""
    name, kind, topic, payload, retain, expires_ms, collapse, correlation, headers = row
    return Message(
        id=name,
        topic=topic,
        payload=payload,
        kind=RANKS[kind],
        retain=bool(retain),
        expires_at=None if expires_ms is None else _EPOCH + timedelta(milliseconds=expires_ms),
        collapse=collapse,
        correlation=correlation,
        headers=msgspec.json.decode(headers, type=tuple[tuple[str, str], ...]),
    )


def describes_anew(db: sqlite3.Connection, name: str) -> bool:
    """Whether a message that waits changes a description for Home Assistant that it has."""
    row = db.execute(
        "SELECT 1 FROM outbox JOIN outbox_retained AS last USING (topic) WHERE outbox.id = ? "
        "AND outbox.collapse = ? AND outbox.payload <> last.payload AND outbox.payload <> x''",
        (name, discovery.COLLAPSE),
    ).fetchone()
    return row is not None


def is_repetition(db: sqlite3.Connection, message: Message) -> bool:
    """Whether the id of a message was accepted before (rule 1 of the outbox)."""
    queued, delivered = db.execute(
        "SELECT EXISTS (SELECT 1 FROM outbox WHERE id = :id UNION ALL "
        "SELECT 1 FROM outbox_dead WHERE id = :id AND again), "
        "EXISTS (SELECT 1 FROM outbox_delivered WHERE id = :id)",
        {"id": message.id},
    ).fetchone()
    if queued or not delivered or not message.retain:
        return bool(queued or delivered)
    newest = db.execute(
        "SELECT id FROM ("
        "SELECT id, seq, 1 AS waits FROM outbox WHERE topic = :topic AND retain "
        "UNION ALL SELECT id, seq, 0 FROM outbox_retained WHERE topic = :topic) "
        "ORDER BY waits DESC, seq DESC LIMIT 1",
        {"topic": message.topic},
    ).fetchone()
    return newest is not None and bool(newest[0] == message.id)
