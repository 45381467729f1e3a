"""The outbox in plain lists: for tests of others, and the model the real one is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.outbox import Caps, Counts, QueuedMessage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


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
        self._dead: set[str] = set()
        self._said: dict[str, Message] = {}
        self._counted: dict[str, dict[str, int]] = {}

    def put(self, message: Message) -> bool:
        """See the real one."""
        if message.id in self._dead or any(e.message.id == message.id for e in self._waiting):
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

    def due(self, now: datetime | None, *, after: int = 0, limit: int = 10) -> list[QueuedMessage]:
        """See the real one."""
        for entry in list(self._waiting):
            end = entry.message.expires_at
            if now is not None and end is not None and end <= now:
                self._take(entry.message.id, "dropped_expired")
        return [entry for entry in self._waiting if entry.seq > after][:limit]

    def delivered(self, ids: Iterable[str], unheard: Iterable[str] = ()) -> None:
        """See the real one."""
        lost = set(unheard)
        for name in ids:
            message = self._take(name, "delivered")
            if message is not None:
                if name not in lost:
                    self._done.add(name)
                if message.retain:
                    self._said.pop(message.topic, None)
                    if message.payload:
                        self._said[message.topic] = message

    def refused(self, name: str, reason: str) -> None:  # noqa: ARG002 - the interface has it
        """See the real one."""
        if self._take(name, "refused") is not None:
            self._dead.add(name)

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
        return Counts(waiting=waiting, waiting_bytes=room, **self._counted)

    def _add(self, message: Message) -> None:
        if message.collapse is not None:
            self._waiting = [e for e in self._waiting if e.message.collapse != message.collapse]
        self._last += 1
        self._waiting.append(QueuedMessage(self._last, message))
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
