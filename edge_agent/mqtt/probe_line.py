"""A connection that waits for each answer, for a probe that tells what a broker refuses."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt.client import MqttConnection
from edge_agent.mqtt.connection import (
    Acknowledged,
    Down,
    Outgoing,
    Received,
    Subscribed,
    Up,
)
from edge_agent.mqtt.reason_codes import TOO_LARGE

if TYPE_CHECKING:
    from edge_agent.mqtt.connection import Broker, Event, Subscription, Version
    from edge_agent.system.ports import Clock

WAIT_S: Final = 8.0
_REFUSAL: Final = 0x80
_UNSUPPORTED_VERSION: Final = 0x84
_ENVELOPE_BYTES: Final = 256
"""Room for the parts of a PUBLISH packet around topic and payload."""


class ProbeLine:
    """Connects, and connects again where the broker hung up on the last request.

    Args:
        broker: Where and as whom.
        ping: Topic of the message that a clean end is sent with; nobody minds it.
        clock: Stamps what comes in.
        without: Codes of what is not asked of the broker.

    Attributes:
        version: Protocol of the last connection.
        down: How the last connection or attempt ended.
        code: The broker's reason code for not taking the last message; None where it gave none.
    """

    def __init__(
        self, broker: Broker, ping: str, clock: Clock, without: frozenset[int] = frozenset()
    ) -> None:
        self.version: Version = "5"
        self.down = Down("no answer")
        self.code: int | None = None
        self.without = without
        self._broker = broker
        self._ping = ping
        self._clock = clock
        self._events: queue.Queue[Event] = queue.Queue()
        self._connection: MqttConnection | None = None
        self._up: Up | None = None
        self._heard: list[Received] = []

    def connect(self, *versions: Version) -> bool:
        """Whether the broker accepts the first of these protocols that it speaks."""
        for version in versions:
            self.close()
            self._events = queue.Queue()
            self._connection = MqttConnection(self._broker, self._events.put, self._clock)
            self._connection.connect(version, self.without)
            answer = self._next(Up)
            if isinstance(answer, Up):
                self._up, self.version = answer, version
                return True
            if not self.down.reached or self.down.code not in {None, _UNSUPPORTED_VERSION}:
                break
        return False

    def publish(self, message: Outgoing) -> str:
        """Why the broker does not take a message; empty where it acknowledges it."""
        self.code = None
        if self._up is None and not self.connect(self.version):
            return f"no connection any more: {self.down.reason}"
        assert self._up is not None
        assert self._connection is not None
        size = len(message.payload) + len(message.topic.encode()) + _ENVELOPE_BYTES
        if self._up.largest is not None and size > self._up.largest:
            self.code = TOO_LARGE
            return f"longer than the broker takes ({self._up.largest} bytes)"
        token = self._connection.publish(message)
        while isinstance(event := self._next(Acknowledged), Acknowledged):
            if event.token == token:
                self.code = event.code
                return f"the broker refuses to take it: {event.reason}" * (event.code >= _REFUSAL)
        return self._unanswered("no PUBACK")

    def subscribe(self, wanted: Subscription) -> str:
        """Why the broker does not let a filter be read; empty where it does."""
        if self._up is None and not self.connect(self.version):
            return f"no connection any more: {self.down.reason}"
        assert self._connection is not None
        self._connection.subscribe([wanted])
        event = self._next(Subscribed)
        if not isinstance(event, Subscribed):
            return self._unanswered("no SUBACK")
        return "the broker does not let this client read it" * bool(event.refused)

    def hear(self, payload: bytes, *, retained: bool = False, wait_s: float = WAIT_S) -> bool:
        """Whether a message with this payload comes in time."""
        heard, self._heard = self._heard, []
        while not any(
            message.payload == payload and message.retain is retained for message in heard
        ):
            event = self._next(Received, wait_s=wait_s)
            if not isinstance(event, Received):
                return False
            heard.append(event)
        return True

    def close(self) -> None:
        """Disconnect cleanly where a connection stands."""
        if self._connection is not None:
            last = Outgoing(self._ping, b"doctor", expiry_s=1, json=False)
            self._connection.disconnect(last if self._up else None, 4.0 if self._up else 1.0)
        self._connection, self._up = None, None

    def _unanswered(self, silence: str) -> str:
        if self._up is not None:
            return silence
        self.code = self.down.code
        return "the broker hangs up on it" + f": {self.down.reason}" * (self.down.code is not None)

    def _next(self, kind: type[Event], *, wait_s: float = WAIT_S) -> Event | None:
        """The next event of a kind; None at the end of the connection and of the time."""
        end = self._clock.monotonic() + wait_s
        try:
            while True:
                event = self._events.get(timeout=max(end - self._clock.monotonic(), 0.0))
                if isinstance(event, kind):
                    return event
                if isinstance(event, Received):  # may come before the PUBACK
                    self._heard.append(event)
                if isinstance(event, Down):
                    self.down, self._up = event, None
                    return None
        except queue.Empty:
            return None
