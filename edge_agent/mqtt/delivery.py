"""Sends the messages of the outbox to the broker and keeps the connection: policy, no sockets.

Rules (tests name the numbers):

1. A broker that is away is normal: connect again after a pause (`mqtt.backoff`).
2. The reason why a connection ended is logged, with what a person can do where that is known.
3. With protocol `auto` every round begins with MQTT 5; a broker that refuses it, or hangs up
   before an answer, is tried with 3.1.1 at once.
4. Once the broker has accepted: subscriptions, `online` retained, then the outbox.
5. What a message's way out of the outbox is, and what is done about refused ones, are the rules of
   `mqtt.sender`, and for filters those of `mqtt.listening`. What was refused is tried again at each
   connection and reload, when a person asks, and every `RETRY_S`; answers of the broker to single
   messages and filters more often (`mqtt.refused_retry`, `FILTERS_S`).
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
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt import reason_codes
from edge_agent.mqtt.backoff import hint
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
from edge_agent.mqtt.lessening import Lessening
from edge_agent.mqtt.listening import Listening
from edge_agent.mqtt.loopback import LoopbackCheck
from edge_agent.mqtt.sender import Sender
from edge_agent.mqtt.under_way import SILENT_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edge_agent.mqtt.backoff import Backoff
    from edge_agent.mqtt.connection import Connection, Session
    from edge_agent.mqtt.delivery_queue import DeliveryQueue
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)

ANSWER_S: Final = 8.0
"""How long an attempt may take until the broker answers."""
MEMORY_S: Final = 3.0
"""How long a broker may take to send the retained message of a new subscription."""
RETRY_S: Final = 21_600.0
FILTERS_S: Final = 300.0
"""Between two requests for the filters that the broker does not allow."""


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
        self._listening = Listening(connection, (own, *session.subscriptions, *pings))
        self._auto = session.protocol == "auto"
        self._version: Version = "5" if session.protocol == "auto" else session.protocol
        self._clock = clock
        self._backoff = backoff
        self._sender = Sender(
            connection, outbox, (session.availability, session.ping), session.ping
        )
        self._loopback = LoopbackCheck(self._sender, session.ping, self._subscribe)

        self._connecting_since: float | None = None
        self._connect_at = clock.monotonic()
        self._up: Up | None = None
        self._up_since = 0.0
        self._online_at: float | None = None
        self._problem = "not connected yet"
        self._connections = 0
        self._since: datetime | None = None
        self._last_problem = ""
        self._lessening = Lessening()
        self._retry_at = clock.monotonic() + RETRY_S
        self._filters_at = clock.monotonic() + FILTERS_S

    @property
    def state(self) -> ConnectionState:
        """How the connection stands."""
        up = self._up
        return ConnectionState(
            connected=up is not None,
            version="" if up is None else up.version,
            problem="" if up is not None else self._problem,
            connections=self._connections,
            refused_topics=self._listening.refused,
            concerns=tuple(self._concerns()),
            since=None if up is None else self._since,
            last_problem=self._last_problem,
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
        self._since, self._last_problem = before._since, before._last_problem
        self._lessening = before._lessening
        self._sender.take_over(before._sender)
        self._loopback.connected(self._clock.monotonic())
        self._listening.take_over(before._listening, self._clock.monotonic())
        self._ask_for_all()
        return True

    def retry(self) -> None:
        """Send and subscribe to what the broker has refused once more (rule 5)."""
        self._retry_at = self._clock.monotonic() + RETRY_S
        self._sender.retry()
        if self._up is not None:
            self._listening.retry(self._clock.monotonic())
        self._ask_for_all()

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
            self._connection.connect(self._version, self._lessening.without)
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
                self._sender.answered(event, self._clock.monotonic())
            case Subscribed():
                self._on_subscribed(event)
            case Received(topic=self._availability):
                self._on_presence(event)
            case Received():
                self._sender.hear(event)
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
        self._sender.remove_acknowledged()

    def _ask_for_all(self) -> None:
        """Only another CONNECT tells what such a broker takes now."""
        if self._up is not None and self._lessening.guessed:
            self._connection.drop(cleanly=True)

    def _on_up(self, up: Up) -> None:
        moment = self._clock.monotonic()
        if not self._lessening.accepted(retains=up.retains, acknowledges=up.acknowledges):
            self._connection.drop(cleanly=True)
            return
        self._up, self._up_since, self._since = up, moment, self._clock.now()
        self._sender.connected(moment, up.version)
        self._connecting_since = None
        self._connections += 1
        self._online_at = moment + MEMORY_S
        self._listening.ask(moment)
        self._loopback.connected(moment)
        _log.info("mqtt: connected, protocol %s", up.version)

    def _on_subscribed(self, event: Subscribed) -> None:
        moment = self._clock.monotonic()
        self._listening.answered(event, moment)
        if self._online_at is not None and self._availability in self._listening.refused:
            self._online_at = moment

    def _on_presence(self, event: Received) -> None:
        if self._up is None:
            return
        if self._online_at is None:
            if event.payload == b"offline":
                self._announce()
        elif event.retain:
            self._announce()

    def _on_down(self, down: Down) -> None:
        moment = self._clock.monotonic()
        was_up, self._up = self._up, None
        self._connecting_since = None
        if was_up is not None:
            self._backoff.broken(moment - self._up_since)
        advice = down.advice or hint(down.code)
        problem = f"{down.reason}; {advice}" if advice else down.reason
        if problem != self._problem or was_up is not None:
            _log.warning("mqtt: %s", problem)
        self._problem = self._last_problem = problem
        asks_anew = self._asks_anew(down, was_up=was_up is not None)
        refuses_5 = was_up is None and self._version == "5" and _blames_version(down)
        if self._auto:
            again = down.silent and asks_anew
            self._version = "3.1.1" if refuses_5 or again else "5"
        if asks_anew or (self._auto and refuses_5):
            self._connect_at = moment
            return
        self._connect_at = moment + self._backoff.pause(down.code)
        if was_up is None:
            return
        innocent = self._sender.is_innocent(down) or down.code == reason_codes.TOO_LARGE
        blames_filter = self._listening.ended(moment, innocent=innocent)
        # What was published meanwhile has its turn once the filters are answered.
        if (
            self._sender.ended(replace(down, own=down.own or blames_filter), moment)
            or blames_filter
        ):
            self._connect_at = moment + self._backoff.shortest()

    def _asks_anew(self, down: Down, *, was_up: bool) -> bool:
        if down.silent and self._version == "3.1.1":
            return self._lessening.hung_up()
        if down.silent:  # in a round of both protocols the older one is next
            return False
        return self._lessening.ended(down.code, was_up=was_up)

    def _send_due(self, now: datetime | None, moment: float) -> float:
        self._sender.remove_acknowledged()
        up = self._up
        assert up is not None
        if self._sender.is_silent(moment):
            _log.warning("mqtt: nothing is acknowledged: connecting anew")
            self._connection.drop()
            return SILENT_S
        wait_s = self._listening.tick(moment, idle=False)
        if wait_s is not None:
            return wait_s
        if self._online_at is not None:
            if moment < self._online_at:
                return self._online_at - moment
            self._outbox.republish_retained(now)
            self._announce()
        if moment >= self._retry_at:
            self.retry()
        if moment >= self._filters_at:
            self._filters_at = moment + FILTERS_S
            self._listening.ask_refused(moment)
        self._sender.send_due(now, moment, up)
        wait_s = self._listening.tick(moment, idle=self._sender.is_idle)
        if wait_s is not None:
            return wait_s
        wait_s = min(SILENT_S, self._sender.due_in(moment))
        if not self._sender.may_send(self._session.ping, moment):
            return wait_s
        return min(wait_s, self._loopback.check(moment))

    def _announce(self) -> None:
        self._online_at = None
        self._sender.publish(self._presence(b"online"), self._clock.monotonic())

    def _subscribe(self) -> None:
        self._listening.ask(self._clock.monotonic())

    def _concerns(self) -> Iterator[str]:
        yield from self._listening.concerns()
        for topic, reason in self._sender.refused_own.items():
            yield f"broker refuses {topic}: {reason}"
        yield from self._loopback.concerns()
        if self._up is not None and not self._up.retains:
            yield "broker keeps no retained message: who subscribes later waits for the next one"
        if self._up is not None and not self._up.acknowledges:
            yield "broker takes QoS 0 only: what is sent while the connection breaks is lost"

    def _presence(self, payload: bytes) -> Outgoing:
        return Outgoing(self._availability, payload, retain=True, json=False)


def _blames_version(down: Down) -> bool:
    return down.code == reason_codes.UNSUPPORTED_VERSION or (down.code is None and down.reached)
