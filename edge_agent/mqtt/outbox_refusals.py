"""Messages of the outbox that the broker refuses: dead letters, as long as they may be sent again.

Part of rule 6 of the outbox. Every function is part of the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge_agent.mqtt.outbox_table import COLUMNS, IS_AHEAD
from edge_agent.system.database import storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3

DEAD_KEPT: Final = 1_000
_TO_TRY: Final = "again AND NOT hung_up AND topic NOT IN (SELECT topic FROM outbox)"


@dataclass(frozen=True, slots=True)
class RefusedTopic:
    """A topic whose newest message the broker refuses, and why."""

    topic: str
    reason: str


def set_aside(db: sqlite3.Connection, name: str, reason: str, *, hung_up: bool) -> None:
    """Turn a message that waits into a dead letter.

    Args:
        db: The outbox's.
        name: Id of the message.
        reason: The broker's, for people.
        hung_up: The broker ended the connection on it.
    """
    db.execute(
        "UPDATE outbox_dead SET again = 0 WHERE retain AND topic = "
        "(SELECT topic FROM outbox WHERE id = ?)",
        (name,),
    )
    db.execute(
        f"INSERT OR REPLACE INTO outbox_dead (reason, place, again, hung_up, {COLUMNS}) "  # noqa: S608 - fixed column names
        f"SELECT ?, seq, 1, ?, {COLUMNS} FROM outbox WHERE id = ?",
        (reason, hung_up, name),
    )
    db.execute("DELETE FROM outbox WHERE id = ?", (name,))
    db.execute(
        "DELETE FROM outbox_dead WHERE seq <= (SELECT max(seq) FROM outbox_dead) - ?", (DEAD_KEPT,)
    )


def tell_again(db: sqlite3.Connection, name: str, reason: str, *, hung_up: bool) -> bool:
    """Give a dead letter that does not wait this reason; whether the message is one.

    Writes only where the reason is another one.
    """
    with storage_errors(db):
        row = db.execute(
            "SELECT reason, hung_up FROM outbox_dead WHERE id = ? "
            "AND id NOT IN (SELECT id FROM outbox)",
            (name,),
        ).fetchone()
    if row is not None and (row[0] != reason or row[1] < hung_up):
        with transaction(db):
            db.execute(
                "UPDATE outbox_dead SET reason = ?, hung_up = max(hung_up, ?) WHERE id = ?",
                (reason, hung_up, name),
            )
    return row is not None


def topics_to_try(db: sqlite3.Connection, *, ahead: bool) -> tuple[str, ...]:
    """Topics of dead letters that may be tried without a write, the oldest first.

    Args:
        db: The outbox's.
        ahead: Of messages that leave first, or of the others.
    """
    rows = db.execute(
        f"SELECT topic FROM outbox_dead WHERE {_TO_TRY} AND ({IS_AHEAD}) = ? "  # noqa: S608 - fixed texts
        "GROUP BY topic ORDER BY min(place)",
        (ahead,),
    ).fetchall()
    return tuple(topic for (topic,) in rows)


def oldest(db: sqlite3.Connection, topic: str, now_ms: int | None) -> tuple[Any, ...] | None:
    """Place, whether it leaves first, and `COLUMNS` of the oldest such dead letter of a topic."""
    row: tuple[Any, ...] | None = db.execute(
        f"SELECT place, {IS_AHEAD}, {COLUMNS} FROM outbox_dead "  # noqa: S608 - fixed texts
        f"WHERE {_TO_TRY} AND topic = ? AND (? IS NULL OR expires_ms IS NULL OR expires_ms > ?) "
        "ORDER BY place LIMIT 1",
        (topic, now_ms, now_ms),
    ).fetchone()
    return row


def bring_back(db: sqlite3.Connection, topic: str | None) -> frozenset[str]:
    """Put dead letters back to their places in the queue.

    Args:
        db: The outbox's.
        topic: Those of this topic; None = all but those on which the broker ended the connection.

    Returns:
        Topics of those on which the broker ended the connection and which are still dead letters.
    """
    chosen, names = ("again AND topic = ?", (topic,)) if topic else ("again AND NOT hung_up", ())
    db.execute(
        f"UPDATE outbox_dead SET again = 0 WHERE {chosen} "  # noqa: S608 - placeholders
        "AND (retain AND topic IN (SELECT topic FROM outbox WHERE retain) "
        "OR collapse IN (SELECT collapse FROM outbox) OR id IN (SELECT id FROM outbox))",
        names,
    )
    db.execute(
        f"INSERT INTO outbox (seq, {COLUMNS}) SELECT place, {COLUMNS} FROM outbox_dead "  # noqa: S608 - fixed column names
        f"WHERE {chosen}",
        names,
    )
    db.execute(f"DELETE FROM outbox_dead WHERE {chosen}", names)  # noqa: S608 - placeholders
    rows = db.execute("SELECT DISTINCT topic FROM outbox_dead WHERE again AND hung_up").fetchall()
    return frozenset(name for (name,) in rows)


def supersede(db: sqlite3.Connection, topic: str, *, deletions: bool = False) -> None:
    """Send no dead letter of a topic again; with `deletions`, only no empty one."""
    empty = " AND length(payload) = 0" if deletions else ""
    db.execute(f"UPDATE outbox_dead SET again = 0 WHERE topic = ?{empty}", (topic,))  # noqa: S608 - a fixed text


def expire(db: sqlite3.Connection, now_ms: int) -> None:
    """Send no dead letter again that ended at or before this time."""
    db.execute("UPDATE outbox_dead SET again = 0 WHERE again AND expires_ms <= ?", (now_ms,))


def refusals(db: sqlite3.Connection) -> tuple[RefusedTopic, ...]:
    """Topics of the dead letters that are sent again, by name."""
    rows = db.execute(
        "SELECT topic, reason, max(seq) FROM outbox_dead WHERE again GROUP BY topic ORDER BY topic"
    ).fetchall()
    return tuple(RefusedTopic(topic, reason) for topic, reason, _ in rows)
