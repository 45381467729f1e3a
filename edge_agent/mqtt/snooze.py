"""Alerts that a person has acknowledged or snoozed: their events are held back, not their state.

Rules (tests name the numbers):

1. `ack`: no more updates of this alert are sent; its end and a new alert are.
2. `snooze`: no start and no update of the rule is sent until then; its end is.
3. Both survive restarts, and end by themselves.
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
    """What is held back of a rule: updates where it was seen; until a time, starts as well."""

    seen: bool
    until: datetime | None


class _AlertEvent(msgspec.Struct):
    event_type: str = ""


class SnoozingOutbox(Outbox):
    """An outbox that holds back events of seen and snoozed rules: `put` returns False for them.

    Args:
        connection: From `database.connect`.
        caps: Room per class.
        topics: Topics of this device.
        rules: Names of the rules there are.
        clock: Ends a snooze.
        also: Called with each alert that goes out, within the same transaction.
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
        self._check(rule)
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
        self._check(rule)
        end = self._clock.now() + timedelta(minutes=minutes)
        with transaction(self._db) as db:
            db.execute(
                "INSERT INTO quiet VALUES (?, ?, 0) "
                "ON CONFLICT (rule) DO UPDATE SET until = excluded.until",
                (rule, int(end.timestamp())),
            )
        return f"{rule}: quiet until {end:%Y-%m-%dT%H:%MZ}"

    def held(self) -> dict[str, Suppression]:
        """What is held back now, by rule."""
        now = self._clock.now()
        with storage_errors(self._db):
            rows = self._db.execute("SELECT rule, until, seen FROM quiet").fetchall()
        suppressions = {}
        for rule, until, seen in rows:
            end = None if until is None else datetime.fromtimestamp(until, UTC)
            held = Suppression(bool(seen), end if end is not None and now < end else None)
            if held.seen or held.until is not None:
                suppressions[rule] = held
        return suppressions

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
        event = msgspec.json.decode(message.payload, type=_AlertEvent).event_type
        until, seen = row
        snoozed = until is not None and self._clock.now() < datetime.fromtimestamp(until, UTC)
        if event == "updated":
            return bool(seen) or snoozed
        # Rule 1: the alert that was seen ends now, or has ended before this start.
        with transaction(self._db) as db:
            db.execute("UPDATE quiet SET seen = 0 WHERE rule = ?", (rule,))
        return event == "raised" and snoozed

    def _check(self, rule: str) -> None:
        if rule not in self._rule_of.values():
            names = ", ".join(sorted(self._rule_of.values()))
            raise BadData(f"rule {rule!r} is not known; there are {names}")
