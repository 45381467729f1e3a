"""The outbox in plain lists: for tests of others, and the model the real one is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.outbox import Caps, QueuedMessage
from edge_agent.mqtt.outbox_counts import Counts
from edge_agent.mqtt.outbox_refusals import RefusedTopic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime


def is_ahead(message: Message) -> bool:
    """Whether it leaves before the others."""
    levels = message.topic.split("/")
    state = levels[-1] == "state" and "alert" in levels[1:-2]
    return message.kind is Kind.ALERT or state or message.topic.endswith("/result")


def size(message: Message) -> int:
    """Room a message takes, written down a second time on purpose."""
    headers = msgspec.json.encode(message.headers)
    return (
        len(message.payload)
        + 2 * len(message.id)
        + len(message.topic)
        + len(headers.decode())
        + 120
    )


@dataclass
class _Dead:
    """A refused message; `again` = it is sent again."""

    entry: QueuedMessage
    reason: str
    hung_up: bool
    again: bool = True


class MemoryOutbox:
    """Same rules as `mqtt.outbox.Outbox`, no disk."""

    def __init__(self, caps: Caps | None = None) -> None:
        room = caps or Caps()
        self._caps = {
            Kind.ALERT: room.alerts_bytes,
            Kind.STATE: room.states_bytes,
            Kind.TELEMETRY: room.telemetry_bytes,
        }
        self._last = 0
        self._waiting: list[QueuedMessage] = []
        self._done: set[str] = set()
        self._dead: dict[str, _Dead] = {}
        self._said: dict[str, Message] = {}
        self._counted: dict[str, dict[str, int]] = {}

    def put(self, message: Message) -> bool:
        """See the real one."""
        dead = self._dead.get(message.id)
        if (dead and dead.again) or any(e.message.id == message.id for e in self._waiting):
            return False
        if message.id in self._done:
            newest = self._said.get(message.topic)
            for entry in self._waiting:
                if entry.message.topic == message.topic and entry.message.retain:
                    newest = entry.message
            if not message.retain or (newest is not None and newest.id == message.id):
                return False
        self._add(message)
        return True

    def due(
        self, now: datetime | None, *, without: Collection[str] = (), limit: int = 10
    ) -> list[QueuedMessage]:
        """See the real one."""
        for entry in list(self._waiting):
            end = entry.message.expires_at
            if now is not None and end is not None and end <= now:
                self._take(entry.message.id, "dropped_expired")
        for dead in self._dead.values():
            end = dead.entry.message.expires_at
            if now is not None and end is not None and end <= now:
                dead.again = False
        waiting = [entry for entry in self._waiting if entry.message.topic not in without]
        return sorted(waiting, key=lambda e: (not is_ahead(e.message), e.seq))[:limit]

    def delivered(self, ids: Iterable[str], unheard: Iterable[str] = ()) -> None:
        """See the real one."""
        lost = set(unheard)
        for name in ids:
            message = self._take(name, "delivered")
            if message is not None:
                self._forget(message.topic)
                if name not in lost:
                    self._done.add(name)
                if message.retain:
                    self._said.pop(message.topic, None)
                    if message.payload:
                        self._said[message.topic] = message

    def refused(self, name: str, reason: str, *, hung_up: bool = False) -> None:
        """See the real one."""
        entry = next((e for e in self._waiting if e.message.id == name), None)
        if entry is None and name in self._dead:
            self._dead[name].reason = reason
            self._dead[name].hung_up |= hung_up
        if entry is not None:
            self._take(name, "refused")
            self._forget(entry.message.topic, retained=True)
            self._dead.pop(name, None)
            self._dead[name] = _Dead(entry, reason, hung_up)

    def refused_topics(self, *, ahead: bool) -> tuple[str, ...]:
        """See the real one."""
        entries = sorted(self._to_try(), key=lambda entry: entry.seq)
        topics = [e.message.topic for e in entries if is_ahead(e.message) is ahead]
        return tuple(dict.fromkeys(topics))

    def oldest_refused(self, topic: str, now: datetime | None) -> QueuedMessage | None:
        """See the real one."""
        entries = [e for e in self._to_try() if e.message.topic == topic]
        valid = [
            e for e in entries
            if now is None or e.message.expires_at is None or e.message.expires_at > now
        ]  # fmt: skip
        return min(valid, key=lambda entry: entry.seq, default=None)

    def _to_try(self) -> list[QueuedMessage]:
        waiting = {entry.message.topic for entry in self._waiting}
        return [
            dead.entry
            for dead in self._dead.values()
            if dead.again and not dead.hung_up and dead.entry.message.topic not in waiting
        ]

    def revive(self, topic: str | None = None) -> frozenset[str]:
        """See the real one."""
        ids = {entry.message.id for entry in self._waiting}
        keys = {entry.message.collapse for entry in self._waiting} - {None}
        retained = {entry.message.topic for entry in self._waiting if entry.message.retain}
        for dead in [d for d in self._dead.values() if d.again]:
            message = dead.entry.message
            if message.topic != topic if topic else dead.hung_up:
                continue
            newer = message.retain and message.topic in retained
            if newer or message.id in ids or message.collapse in keys:
                dead.again = False
            else:
                del self._dead[message.id]
                self._waiting.append(dead.entry)
        self._waiting.sort(key=lambda entry: entry.seq)
        self._make_room()
        return frozenset(
            d.entry.message.topic for d in self._dead.values() if d.again and d.hung_up
        )

    def republish_retained(self, now: datetime | None) -> int:
        """See the real one."""
        topics = {entry.message.topic for entry in self._waiting}
        again = [
            message
            for message in self._said.values()
            if message.topic not in topics
            and (now is None or message.expires_at is None or message.expires_at > now)
        ]
        for message in again:
            self._add(message)
        return len(again)

    def counts(self) -> Counts:
        """See the real one."""
        waiting: dict[str, int] = {}
        room: dict[str, int] = {}
        for entry in self._waiting:
            kind = entry.message.kind.value
            waiting[kind] = waiting.get(kind, 0) + 1
            room[kind] = room.get(kind, 0) + size(entry.message)
        refusals = {d.entry.message.topic: d.reason for d in self._dead.values() if d.again}
        told = tuple(RefusedTopic(topic, refusals[topic]) for topic in sorted(refusals))
        return Counts(waiting=waiting, waiting_bytes=room, refusals=told, **self._counted)

    def _add(self, message: Message) -> None:
        if message.collapse is not None:
            self._waiting = [e for e in self._waiting if e.message.collapse != message.collapse]
        self._last += 1
        self._waiting.append(QueuedMessage(self._last, message, ahead=is_ahead(message)))
        self._make_room()

    def _forget(self, topic: str, *, retained: bool = False) -> None:
        for dead in self._dead.values():
            message = dead.entry.message
            if message.topic == topic and (message.retain or not retained):
                dead.again = False

    def _make_room(self) -> None:
        caps = self._caps
        for kinds, cap in (
            ([Kind.TELEMETRY], caps[Kind.TELEMETRY]),
            ([Kind.STATE], caps[Kind.STATE]),
            ([Kind.TELEMETRY, Kind.ALERT], caps[Kind.ALERT] + caps[Kind.TELEMETRY]),
        ):
            while (group := [e for e in self._waiting if e.message.kind in kinds]) and sum(
                size(e.message) for e in group
            ) > cap:
                victim = min(group, key=lambda e: (kinds.index(e.message.kind), e.seq))
                self._take(victim.message.id, "dropped_for_room")

    def _take(self, name: str, what: str) -> Message | None:
        for entry in self._waiting:
            if entry.message.id == name:
                self._waiting.remove(entry)
                kind = entry.message.kind.value
                by_kind = self._counted.setdefault(what, {})
                by_kind[kind] = by_kind.get(kind, 0) + 1
                return entry.message
        return None
