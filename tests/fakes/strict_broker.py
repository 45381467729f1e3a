"""A broker without sockets that ends the connection on what it does not take, as aedes does."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING

from edge_agent.mqtt.connection import Acknowledged, Down, Event, Received, Subscribed, Up
from edge_agent.mqtt.reason_codes import NO_QOS_1, NO_RETAIN
from edge_agent.system.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edge_agent.mqtt.connection import Outgoing, Subscription, Version


class StrictBroker:
    """`mqtt.connection.Connection` to a broker that answers in order.

    Attributes:
        ends_on: Topics on which it ends the connection.
        ends_on_filters: Filters on which it ends the connection.
        asked_for: Filters of each request.
        answers_filters: It answers each SUBSCRIBE.
        listened: Filters that the connection has.
        refuses: Topics that it refuses with "Not authorized".
        longest: It ends the connection on a longer packet; None = takes any.
        drops_over: It acknowledges a longer payload and passes it on to nobody; None = any.
        loses_next: Topics on which it passes the next message on to nobody.
        hidden: Topics that it passes on to nobody.
        sent: Topic and payload of all that was published to it, in order.
        is_away: It accepts no connection.
        hangs_up_on: Codes of what CONNECT may not ask for: it hangs up without a reason.
        hangs_up: So many attempts more it hangs up on, whatever they ask for.
        scripted: Ends of the next attempts.
        asked: Version of each attempt, and what it did not ask for.
        up: How it accepts an attempt; None = as one that takes all that is asked for.
        heard: Topic and payload of all that it took, in order.
        ends: How often it ended a connection on a message.
    """

    def __init__(self) -> None:
        self.ends_on: set[str] = set()
        self.ends_on_filters: set[str] = set()
        self.asked_for: list[list[str]] = []
        self.answers_filters = True
        self.listened: set[str] = set()
        self.refuses: set[str] = set()
        self.longest: int | None = None
        self.drops_over: int | None = None
        self.loses_next: set[str] = set()
        self.hidden: set[str] = set()
        self.sent: list[tuple[str, bytes]] = []
        self.is_away = False
        self.hangs_up_on: set[int] = set()
        self.hangs_up = 0
        self.scripted: list[Event] = []
        self.asked: list[tuple[Version, frozenset[int]]] = []
        self.up: Up | None = None
        self.heard: list[tuple[str, bytes]] = []
        self.ends = 0
        self.events: deque[Event] = deque()
        self._retained: dict[str, bytes] = {}
        self._tokens = count(1)
        self._connected = False

    def connect(self, version: Version, without: Collection[int] = ()) -> None:
        """See `connection.Connection`."""
        self.asked.append((version, frozenset(without)))
        if self.scripted:
            self.events.append(self.scripted.pop(0))
            return
        if self.hangs_up or self.hangs_up_on - set(without):
            self.hangs_up = max(self.hangs_up - 1, 0)
            self.events.append(Down("connection lost", reached=True, silent=True))
            return
        if self.is_away:
            self.events.append(Down("nothing accepts connections"))
            return
        self._connected = True
        takes = [code not in without for code in (NO_RETAIN, NO_QOS_1)]
        self.events.append(self.up or Up(version, 10, None, *takes))

    def take_over(self, before: StrictBroker) -> bool:
        """See `connection.Connection`."""
        return before is self

    def publish(self, message: Outgoing) -> int | None:
        """See `connection.Connection`."""
        token = next(self._tokens)
        if not self._connected:
            # Until the client notices, what it sends goes nowhere.
            return token if any(isinstance(event, Down) for event in self.events) else None
        self.sent.append((message.topic, message.payload))
        if message.topic in self.ends_on or message.size > (self.longest or message.size):
            self.ends += 1
            self.lose()
        elif message.topic in self.refuses:
            self.events.append(Acknowledged(token, 0x87, "Not authorized"))
        elif self.drops_over is not None and len(message.payload) > self.drops_over:
            self.events.append(Acknowledged(token, 0, "Success"))
        else:
            self.heard.append((message.topic, message.payload))
            if message.retain:
                self._retained[message.topic] = message.payload
            self.events.append(Acknowledged(token, 0, "Success"))
            lost = message.topic in self.hidden | self.loses_next
            self.loses_next.discard(message.topic)
            if message.topic in self.listened and not lost:
                self._pass_on(message.topic, message.payload, retain=False)
        return token

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """See `connection.Connection`."""
        asked = {subscription.topic for subscription in subscriptions}
        self.asked_for.append([subscription.topic for subscription in subscriptions])
        if asked & self.ends_on_filters:
            self.ends += 1
            self.lose()
        if not self._connected:
            return
        if self.answers_filters:
            self.events.append(Subscribed(()))
        self.listened |= asked
        for topic in asked & self._retained.keys():
            self._pass_on(topic, self._retained[topic], retain=True)

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """See `connection.Connection`."""
        self.listened -= {subscription.topic for subscription in subscriptions}

    def lose(self, *, own: bool = False) -> None:
        """End the connection: what was published before is answered, what comes after is lost."""
        if self._connected:
            self._connected = False
            self.listened.clear()
            self.events.append(Down("connection lost", reached=True, own=own))

    def drop(self, *, cleanly: bool = False) -> None:
        """See `connection.Connection`."""
        self.lose(own=cleanly)

    def disconnect(self, last: Outgoing | None, timeout_s: float) -> None:  # noqa: ARG002 - the interface has it
        """See `connection.Connection`."""
        self._connected = False

    def _pass_on(self, topic: str, payload: bytes, *, retain: bool) -> None:
        self.events.append(Received(topic, payload, retain, SystemClock().now()))
