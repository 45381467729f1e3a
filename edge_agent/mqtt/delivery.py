"""Sends the messages of the outbox to the broker and keeps the connection: policy, no sockets.

Rules (tests name the numbers):

1. A broker that is away is normal: connect again after a pause (`mqtt.backoff`).
2. The reason why a connection ended is logged with what a person can do; so is a suspected second
   client with this id.
3. With protocol `auto` every round begins with MQTT 5; a broker that refuses it, or hangs up
   before an answer, is tried with 3.1.1 at once.
4. Once the broker has accepted: subscriptions, `online` retained, then the outbox from its oldest
   message, never more unacknowledged ones than the broker takes.
5. A message leaves the outbox at its PUBACK. A refusal makes it a dead letter, except that an
   exceeded quota only slows down. One too long for this broker is a dead letter at once.
6. Before `online` is published, the broker is asked for the last word on that topic. One that has
   none within `MEMORY_S`, or does not let it be read, may have forgotten every retained message:
   they are sent again. An `offline` that comes later, such as a late last will, is corrected.
7. A connection is dropped when nothing is acknowledged for a minute, or when a ping to oneself
   does not come back any more (`mqtt.loopback`).
8. A delivery that replaces another one (a reload) keeps its connection, unless the broker, the name
   of the device or the protocol is another.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from edge_agent.mqtt.backoff import STABLE_S, hint
from edge_agent.mqtt.connection import (
    Acknowledged,
    ConnectionState,
    Down,
    Event,
    Outgoing,
    Received,
    Subscribed,
    Subscription,
    Up,
    Version,
)
from edge_agent.mqtt.loopback import LoopbackCheck

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from edge_agent.messages.message import Message
    from edge_agent.mqtt.backoff import Backoff
    from edge_agent.mqtt.connection import Connection, Session
    from edge_agent.mqtt.outbox import QueuedMessage
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)

SILENT_S: Final = 60.0
ANSWER_S: Final = 8.0
"""How long an attempt may take until the broker answers."""
MEMORY_S: Final = 3.0
"""How long a broker may take to send the retained message of a new subscription."""

_REFUSAL: Final = 0x80
_UNSUPPORTED_VERSION: Final = 0x84
_TOO_LARGE: Final = 0x95
_QUOTA: Final = 0x97
_NO_SUBSCRIBER: Final = 0x10
_ENVELOPE_BYTES: Final = 256
"""Room for the parts of a PUBLISH packet around topic and payload."""


class DeliveryQueue(Protocol):
    """The methods of an outbox that a delivery calls."""

    def due(self, now: datetime | None, *, after: int = 0, limit: int = 10) -> list[QueuedMessage]:
        """Oldest messages behind a place."""
        ...

    def delivered(self, ids: Iterable[str], unheard: Iterable[str] = ()) -> None:
        """The broker has these; nobody has got those of them that are `unheard`."""
        ...

    def refused(self, name: str, reason: str) -> None:
        """The broker will never take this one."""
        ...

    def republish_retained(self, now: datetime | None) -> int:
        """Queue retained messages once more."""
        ...


class Delivery:
    """Pass it every event of the connection and call `tick` often; it never blocks.

    Args:
        connection: To the broker.
        outbox: The queue.
        session: Topics and protocol.
        backoff: Pauses of rule 1.
        clock: Pauses are measured on its monotonic side.
    """

    def __init__(
        self,
        connection: Connection,
        outbox: DeliveryQueue,
        session: Session,
        backoff: Backoff,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._session = session
        self._availability = session.availability
        pings = (Subscription(session.ping, own=True),) if session.ping else ()
        own = Subscription(session.availability, own=True)
        self._subscriptions = (own, *session.subscriptions, *pings)
        self._auto = session.protocol == "auto"
        self._version: Version = "5" if session.protocol == "auto" else session.protocol
        self._clock = clock
        self._backoff = backoff
        self._loopback = LoopbackCheck(connection, session.ping, self._subscriptions)

        self._connecting_since: float | None = None
        self._connect_at = clock.monotonic()
        self._up: Up | None = None
        self._up_since = 0.0
        self._online_at: float | None = None
        self._problem = "not connected yet"
        self._connections = 0
        self._refused_topics: tuple[str, ...] = ()

        self._in_flight: dict[int, Message] = {}
        self._acknowledged: deque[str] = deque()
        self._unheard: set[str] = set()
        self._acknowledged_at = 0.0
        self._last_seq = 0

    @property
    def state(self) -> ConnectionState:
        """How the connection stands."""
        up = self._up
        return ConnectionState(
            connected=up is not None,
            version="" if up is None else up.version,
            problem="" if up is not None else self._problem,
            connections=self._connections,
            refused_topics=self._refused_topics,
            concerns=tuple(self._concerns()),
        )

    def take_over(self, before: Delivery) -> bool:
        """Continue on the connection of a delivery that this one replaces (rule 8).

        False where it cannot be, or where that one is not yet `online`: then it is to be ended.
        """
        if before._up is None or before._online_at is not None:
            return False
        changed = replace(before._session, subscriptions=self._session.subscriptions)
        if changed != self._session:
            return False
        if not self._connection.take_over(before._connection):
            return False
        self._up, before._up = before._up, None
        self._up_since, self._connections = before._up_since, before._connections
        # The places in the queue may be others: it may have moved to another database.
        self._in_flight = before._in_flight
        self._acknowledged, self._acknowledged_at = before._acknowledged, before._acknowledged_at
        self._loopback.connected(self._clock.monotonic())
        kept = {subscription.topic for subscription in self._subscriptions}
        if gone := [s for s in before._subscriptions if s.topic not in kept]:
            self._connection.unsubscribe(gone)
        if before._subscriptions != self._subscriptions:
            self._connection.subscribe(self._subscriptions)
        else:
            self._refused_topics = before._refused_topics
        return True

    def tick(self, now: datetime | None) -> float:
        """Connect, send what waits, remove from the outbox what has arrived.

        Args:
            now: UTC for expiry, or None while the clock is not trusted.

        Returns:
            Seconds after which to call again if no event comes before.

        Raises:
            StorageError: The disk refused; the connection is kept, call again.
        """
        moment = self._clock.monotonic()
        if self._up is not None:
            return self._send_due(now, moment)
        if self._connecting_since is None:
            if moment < self._connect_at:
                return self._connect_at - moment
            self._connecting_since = moment
            self._connection.connect(self._version)
            return ANSWER_S
        if moment - self._connecting_since >= ANSWER_S:
            self._connection.drop()
        return ANSWER_S

    def handle(self, event: Event) -> bool:
        """Take in an event; False for a message that is for others, not for the delivery."""
        match event:
            case Up():
                self._on_up(event)
            case Down():
                self._on_down(event)
            case Acknowledged():
                self._on_acknowledged(event)
            case Subscribed():
                self._on_subscribed(event)
            case Received(topic=self._availability):
                self._on_presence(event)
            case Received():
                return self._loopback.hear(event, self._clock.monotonic())
        return True

    def disconnect(self, timeout_s: float) -> None:
        """Say `offline` and disconnect cleanly. Returns in time; events may still follow."""
        self._connection.disconnect(self._presence(b"offline") if self._up else None, timeout_s)
        self._up = None

    def remove_acknowledged(self) -> None:
        """Remove from the outbox what the broker has acknowledged.

        Raises:
            StorageError: The disk refused; call again.
        """
        if self._acknowledged:
            self._outbox.delivered(tuple(self._acknowledged), frozenset(self._unheard))
            self._acknowledged.clear()
            self._unheard.clear()

    def _on_up(self, up: Up) -> None:
        moment = self._clock.monotonic()
        self._up, self._up_since, self._acknowledged_at = up, moment, moment
        self._connecting_since = None
        self._connections += 1
        self._last_seq = 0
        self._online_at = moment + MEMORY_S
        self._connection.subscribe(self._subscriptions)
        self._loopback.connected(moment)
        _log.info("mqtt: connected, protocol %s", up.version)

    def _on_subscribed(self, event: Subscribed) -> None:
        self._refused_topics = tuple(self._subscriptions[n].topic for n in event.refused)
        if self._refused_topics:
            _log.warning(
                "mqtt: broker does not allow listening to %s: check its access list",
                ", ".join(self._refused_topics),
            )
        if self._online_at is not None and self._availability in self._refused_topics:
            self._online_at = self._clock.monotonic()

    def _on_presence(self, event: Received) -> None:
        if self._up is None:
            return
        if self._online_at is None:
            if event.payload == b"offline":
                self._connection.publish(self._presence(b"online"))
        elif event.retain:
            self._online_at = None
            self._connection.publish(self._presence(b"online"))

    def _on_down(self, down: Down) -> None:
        moment = self._clock.monotonic()
        was_up, self._up = self._up, None
        self._connecting_since = None
        if was_up is not None:
            self._backoff.broken(moment - self._up_since)
        if down.code == _TOO_LARGE and self._in_flight:
            largest = max(self._in_flight.values(), key=lambda message: len(message.payload))
            self._outbox.refused(largest.id, down.reason)
        self._in_flight.clear()
        advice = down.advice or self._backoff.duplicate_client(down.code) or hint(down.code)
        problem = f"{down.reason}; {advice}" if advice else down.reason
        if problem != self._problem or was_up is not None:
            _log.warning("mqtt: %s", problem)
        self._problem = problem
        refuses_5 = was_up is None and self._version == "5" and _blames_version(down)
        if self._auto:
            self._version = "3.1.1" if refuses_5 else "5"
            if refuses_5:
                self._connect_at = moment
                return
        self._connect_at = moment + self._backoff.pause(down.code)

    def _on_acknowledged(self, event: Acknowledged) -> None:
        self._acknowledged_at = self._clock.monotonic()
        message = self._in_flight.pop(event.token, None)
        if message is None:
            return
        if event.code == _QUOTA:
            self._connection.drop()
        elif event.code >= _REFUSAL:
            _log.warning("mqtt: broker refuses %s on %s", message.id, message.topic)
            self._outbox.refused(message.id, event.reason)
        else:
            self._acknowledged.append(message.id)
            # A state is retained for whoever comes; an event is gone.
            if event.code == _NO_SUBSCRIBER and not message.retain:
                self._unheard.add(message.id)

    def _send_due(self, now: datetime | None, moment: float) -> float:
        self.remove_acknowledged()
        up = self._up
        assert up is not None
        if self._online_at is not None:
            if moment < self._online_at:
                return self._online_at - moment
            self._outbox.republish_retained(now)
            self._online_at = None
            self._connection.publish(self._presence(b"online"))
        if not self._in_flight:
            self._acknowledged_at = moment
        elif moment - self._acknowledged_at >= SILENT_S:
            _log.warning("mqtt: nothing acknowledged for %.0f s: connecting anew", SILENT_S)
            self._connection.drop()
            return SILENT_S
        room = up.window - len(self._in_flight)
        if room > 0:
            on_its_way = {message.id for message in self._in_flight.values()}
            for entry in self._outbox.due(now, after=self._last_seq, limit=room):
                if entry.message.id not in on_its_way and not self._send(entry.message, now, up):
                    break
                self._last_seq = entry.seq
        return min(SILENT_S, self._loopback.check(moment))

    def _concerns(self) -> Iterator[str]:
        if self._refused_topics:
            topics = ", ".join(self._refused_topics)
            yield f"broker does not allow listening to {topics}: check its access list"
        yield from self._loopback.concerns()
        young = self._clock.monotonic() - self._up_since < STABLE_S
        if young and (suspicion := self._backoff.duplicate_client(None)):
            yield f"the last connections broke {suspicion}"

    def _send(self, message: Message, now: datetime | None, up: Up) -> bool:
        size = len(message.payload) + len(message.topic.encode()) + _ENVELOPE_BYTES
        if up.largest is not None and size > up.largest:
            self._outbox.refused(message.id, f"longer than the broker takes ({up.largest} bytes)")
            return True
        token = self._connection.publish(Outgoing.of(message, now))
        if token is None:
            return False
        self._in_flight[token] = message
        return True

    def _presence(self, payload: bytes) -> Outgoing:
        return Outgoing(self._availability, payload, retain=True, json=False)


def _blames_version(down: Down) -> bool:
    return down.code == _UNSUPPORTED_VERSION or (down.code is None and down.reached)
