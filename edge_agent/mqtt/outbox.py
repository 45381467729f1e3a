"""The queue of messages for the broker, in the agent's SQLite file.

Rules (tests name the numbers):

1. An id is accepted once: not while it waits, is set aside, or is among the last delivered.
   A retained message is a repetition only where it is the newest of its topic: a state that went
   and came back within an hour is sent again.
2. Events, states of alerts and answers to commands leave before everything else; apart from that
   messages leave in the order they came. All messages of a topic are on the same side. One leaves
   the queue only by PUBACK, expiry, lack of room, a broker's refusal, `queue drop`, `withdraw` or
   `take_back`. Every loss but the last two is counted.
3. A newer message with the same collapse key replaces one that still waits.
4. A message is not sent at or after its `expires_at`. While nobody vouches for the clock nothing
   expires.
5. Room: each class has its own, and loses its oldest messages beyond it. Alerts also use what
   telemetry leaves, and displace its oldest. States are few, since they collapse; their room is
   theirs alone, so that the present state outlives a flood of alerts.
6. A message that the broker refuses becomes a dead letter. `revive` brings it back to its place,
   unless it has expired, or a later message of its topic was delivered or, where it is retained,
   waits or was refused.
7. The last delivered retained message of a topic is kept, so that it can be sent again to a
   broker that has lost it; not where the topic was taken back. It is also sent again behind another
   description for Home Assistant, which takes the values of what it describes as expired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge_agent.messages import envelope
from edge_agent.mqtt import outbox_refusals
from edge_agent.mqtt.outbox_counts import counts_of
from edge_agent.mqtt.outbox_expiry import expire
from edge_agent.mqtt.outbox_table import (
    COLUMNS,
    STEPS,
    count,
    describes_anew,
    drop_oldest,
    is_repetition,
    message_of,
    milliseconds,
    row_of,
)
from edge_agent.system.database import migrate, storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from edge_agent.messages.message import Message
    from edge_agent.mqtt.outbox_counts import Counts

DELIVERED_KEPT: Final = 5_000


@dataclass(frozen=True, slots=True)
class Caps:
    """Room in bytes, see rule 5."""

    alerts_bytes: int = 20_000_000
    states_bytes: int = 5_000_000
    telemetry_bytes: int = 5_000_000


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message with its place in the queue; places only grow.

    Attributes:
        ahead: It leaves before others (rule 2).
    """

    seq: int
    message: Message
    ahead: bool = False


class Outbox:
    """The queue. Each method is one transaction, or part of the caller's.

    Args:
        connection: From `database.connect`; the caller's, so that messages are committed together
            with what caused them.
        caps: Room per class.

    Every method raises `StorageError` when the disk refuses.
    """

    def __init__(self, connection: sqlite3.Connection, caps: Caps | None = None) -> None:
        self._db = connection
        room = caps or Caps()
        self._caps = (room.alerts_bytes, room.states_bytes, room.telemetry_bytes)
        migrate(connection, "outbox", STEPS)

    def put(self, message: Message) -> bool:
        """Add a message at the end.

        Returns:
            False when the id was accepted before (rule 1): nothing was done.
        """
        with transaction(self._db) as db:
            if is_repetition(db, message):
                return False
            self._insert(message)
        return True

    def due(
        self, now: datetime | None, *, without: Collection[str] = (), limit: int = 10
    ) -> list[QueuedMessage]:
        """The messages that are to leave first; drops and counts the expired ones (rules 2, 4).

        Args:
            now: UTC, or None while nobody vouches for the clock.
            without: Topics that are left out.
            limit: At most so many.
        """
        if now is not None:
            expire(self._db, milliseconds(now))
        left_out = ", ".join("?" * len(without))
        with storage_errors(self._db):
            rows = self._db.execute(
                f"SELECT seq, lane, {COLUMNS} FROM outbox "  # noqa: S608 - fixed column names
                f"WHERE topic NOT IN ({left_out}) ORDER BY lane, seq LIMIT ?",
                (*without, limit),
            ).fetchall()
        return [QueuedMessage(row[0], message_of(row[2:]), ahead=not row[1]) for row in rows]

    def delivered(self, ids: Iterable[str], unheard: Iterable[str] = ()) -> None:
        """Remove acknowledged messages; keep their ids and the retained ones (rule 7).

        Args:
            ids: Of messages that the broker has.
            unheard: Those of them that no subscriber got; their ids are not kept.
        """
        lost, described = frozenset(unheard), False
        with transaction(self._db) as db:
            for name in ids:
                described = described or describes_anew(db, name)
                if not self._count_one("delivered", name):
                    continue
                db.execute(
                    "DELETE FROM outbox_retained WHERE topic = "
                    "(SELECT topic FROM outbox WHERE id = ? AND retain)",
                    (name,),
                )
                db.execute(
                    f"INSERT INTO outbox_retained ({COLUMNS}) "  # noqa: S608 - fixed column names
                    f"SELECT {COLUMNS} FROM outbox WHERE id = ? AND retain AND length(payload) > 0",
                    (name,),
                )
                (topic,) = db.execute("SELECT topic FROM outbox WHERE id = ?", (name,)).fetchone()
                outbox_refusals.supersede(db, topic)
                if name not in lost:
                    db.execute("INSERT OR REPLACE INTO outbox_delivered (id) VALUES (?)", (name,))
                db.execute("DELETE FROM outbox WHERE id = ?", (name,))
            db.execute(
                "DELETE FROM outbox_delivered WHERE seq <= "
                "(SELECT max(seq) FROM outbox_delivered) - ?",
                (DELIVERED_KEPT,),
            )
            if described:
                self.republish_retained(None)

    def heard(self, name: str) -> bool:
        """Whether a message is among the last delivered ones, and a subscriber got it."""
        return self._first("SELECT 1 FROM outbox_delivered WHERE id = ?", name) is not None

    def withdraw(self, name: str) -> None:
        """Remove a message that still waits, uncounted."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM outbox WHERE id = ?", (name,))

    def refused(self, name: str, reason: str, *, hung_up: bool = False) -> None:
        """Turn a refused message into a dead letter; see `outbox_refusals.set_aside`.

        Of one that is a dead letter, a reason that changed is written, and nothing else.
        """
        if outbox_refusals.tell_again(self._db, name, reason, hung_up=hung_up):
            return
        with transaction(self._db) as db:
            if self._count_one("refused", name):
                outbox_refusals.set_aside(db, name, reason, hung_up=hung_up)

    def refused_topics(self, *, ahead: bool) -> tuple[str, ...]:
        """See `delivery_queue.DeliveryQueue`."""
        with storage_errors(self._db):
            return outbox_refusals.topics_to_try(self._db, ahead=ahead)

    def oldest_refused(self, topic: str, now: datetime | None) -> QueuedMessage | None:
        """See `delivery_queue.DeliveryQueue`."""
        now_ms = None if now is None else milliseconds(now)
        with storage_errors(self._db):
            row = outbox_refusals.oldest(self._db, topic, now_ms)
        if row is None:
            return None
        return QueuedMessage(row[0], message_of(row[2:]), ahead=bool(row[1]))

    def revive(self, topic: str | None = None) -> frozenset[str]:
        """Bring dead letters back (rule 6); see `outbox_refusals.bring_back`."""
        with transaction(self._db) as db:
            hung_up = outbox_refusals.bring_back(db, topic)
            self._make_room()
        return hung_up

    def republish_retained(self, now: datetime | None) -> int:
        """Queue the last delivered retained message of every topic, unless a newer one waits.

        Returns:
            How many were queued.
        """
        with transaction(self._db) as db:
            rows = db.execute(
                f"SELECT {COLUMNS} FROM outbox_retained AS retained WHERE NOT EXISTS "  # noqa: S608 - fixed column names
                "(SELECT 1 FROM outbox WHERE topic = retained.topic) ORDER BY seq"
            ).fetchall()
            current = [
                message
                for message in map(message_of, rows)
                if now is None or message.expires_at is None or message.expires_at > now
            ]
            for message in current:
                self._insert(message)
        return len(current)

    def take_back(self, topic: str) -> None:
        """Delete the retained message of a topic on the broker, and what waits for the topic."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM outbox WHERE topic = ?", (topic,))
            outbox_refusals.supersede(db, topic)
            (last,) = db.execute(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'"
            ).fetchone()
            # Each request is a new message, whatever was taken back before.
            self._insert(envelope.forget(topic, f"{topic}/forget/{last + 1}"))

    def keep(self, topic: str) -> None:
        """Withdraw a deletion of the topic's retained message that still waits."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM outbox WHERE topic = ? AND length(payload) = 0", (topic,))
            outbox_refusals.supersede(db, topic, deletions=True)

    def waiting(self, topic: str) -> bytes:
        """Newest payload, not an empty one, that waits on a topic; empty where none does."""
        query = "SELECT payload FROM outbox WHERE topic = ? AND length(payload) > 0 "
        return self._first(f"{query} ORDER BY seq DESC LIMIT 1", topic) or b""

    def last_delivered(self, topic: str) -> bytes:
        """Payload of the last delivered retained message of a topic; empty where none was."""
        return self._first("SELECT payload FROM outbox_retained WHERE topic = ?", topic) or b""

    def counts(self) -> Counts:
        """What waits and what has left."""
        return counts_of(self._db)

    def _first(self, query: str, key: str) -> Any:  # noqa: ANN401 - of the column's type
        with storage_errors(self._db):
            row = self._db.execute(query, (key,)).fetchone()
        return row[0] if row else None

    def _insert(self, message: Message) -> None:
        if message.collapse is not None:
            self._db.execute("DELETE FROM outbox WHERE collapse = ?", (message.collapse,))
        places = ", ".join("?" * len(COLUMNS.split(",")))
        self._db.execute(
            f"INSERT INTO outbox ({COLUMNS}) VALUES ({places})",  # noqa: S608 - fixed column names
            row_of(message),
        )
        self._make_room()

    def _make_room(self) -> None:
        alerts, states, telemetry = self._caps
        for ranks, cap in (((2,), telemetry), ((1,), states), ((2, 0), alerts + telemetry)):
            drop_oldest(self._db, ranks, cap)

    def _count_one(self, what: str, name: str) -> bool:
        row = self._db.execute("SELECT kind FROM outbox WHERE id = ?", (name,)).fetchone()
        if row is None:  # collapsed or expired while it was in flight
            return False
        count(self._db, what, row[0], 1)
        return True
