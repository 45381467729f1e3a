"""Alerts that a person has seen or put off: their news is held back, their state is still told.

Rules (tests name the numbers):

1. `ack`: updates of this alert are not sent any more; its end and a new alert are.
2. `snooze`: no start and no update of the rule is sent until then; its end is.
3. Both are kept over restarts, and end by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import BadData
from edge_agent.mqtt.outbox import Caps, Outbox
from edge_agent.system.database import migrate, storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

    from edge_agent.messages.message import Message
    from edge_agent.messages.topics import Topics
    from edge_agent.system.ports import Clock

_STEPS: Final = (
    "CREATE TABLE quiet (rule TEXT PRIMARY KEY, until INTEGER, seen INTEGER NOT NULL) STRICT",
)


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is held back of a rule: updates, where it was seen; starts too, until then."""

    seen: bool
    until: datetime | None


class _News(msgspec.Struct):
    event_type: str = ""


class SnoozingOutbox(Outbox):
    """An outbox that holds back the news of seen and snoozed rules; `put` says False for them.

    Args:
        connection: From `database.connect`.
        caps: Room per class.
        topics: Topics of this device.
        rules: Names of the rules there are.
        clock: Ends a snooze.
        also: Told of each alert that goes out, within the same transaction.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        caps: Caps,
        topics: Topics,
        rules: Collection[str],
        clock: Clock,
        *,
        also: Callable[[Message], None] | None = None,
    ) -> None:
        super().__init__(connection, caps)
        self._also = also
        self._clock = clock
        self._rule_of = {topics.alert_event(rule): rule for rule in rules}
        migrate(connection, "quiet", _STEPS)

    def ack(self, rule: str) -> str:
        """A person has seen the alert of this rule.

        Raises:
            BadData: There is no such rule.
        """
        self._know(rule)
        with transaction(self._db) as db:
            db.execute(
                "INSERT INTO quiet VALUES (?, NULL, 1) ON CONFLICT (rule) DO UPDATE SET seen = 1",
                (rule,),
            )
        return f"{rule}: seen; no more updates of this alert"

    def snooze(self, rule: str, minutes: int) -> str:
        """Hold back starts and updates of a rule for a time.

        Raises:
            BadData: There is no such rule.
        """
        self._know(rule)
        end = self._clock.now() + timedelta(minutes=minutes)
        with transaction(self._db) as db:
            db.execute(
                "INSERT INTO quiet VALUES (?, ?, 0) "
                "ON CONFLICT (rule) DO UPDATE SET until = excluded.until",
                (rule, int(end.timestamp())),
            )
        return f"{rule}: quiet until {end:%Y-%m-%dT%H:%MZ}"

    def held(self) -> dict[str, Suppression]:
        """Rules whose news are held back now."""
        now = self._clock.now()
        with storage_errors(self._db):
            rows = self._db.execute("SELECT rule, until, seen FROM quiet").fetchall()
        found = {}
        for rule, until, seen in rows:
            end = None if until is None else datetime.fromtimestamp(until, UTC)
            held = Suppression(bool(seen), end if end is not None and now < end else None)
            if held.seen or held.until is not None:
                found[rule] = held
        return found

    def put(self, message: Message) -> bool:
        """See `Outbox`."""
        rule = self._rule_of.get(message.topic)
        if rule is None:
            return super().put(message)
        with transaction(self._db):
            new = not self._held_back(rule, message) and super().put(message)
            if new and self._also is not None:
                self._also(message)
        return new

    def _held_back(self, rule: str, message: Message) -> bool:
        with storage_errors(self._db):
            row = self._db.execute(
                "SELECT until, seen FROM quiet WHERE rule = ?", (rule,)
            ).fetchone()
        if row is None:
            return False
        news = msgspec.json.decode(message.payload, type=_News).event_type
        until, seen = row
        snoozed = until is not None and self._clock.now() < datetime.fromtimestamp(until, UTC)
        if news == "updated":
            return bool(seen) or snoozed
        # Rule 1: what was seen was the alert that now ends, or the one before this start.
        with transaction(self._db) as db:
            db.execute("UPDATE quiet SET seen = 0 WHERE rule = ?", (rule,))
        return news == "raised" and snoozed

    def _know(self, rule: str) -> None:
        if rule not in self._rule_of.values():
            known = ", ".join(sorted(self._rule_of.values()))
            raise BadData(f"rule {rule!r} is not known; there are {known}")
