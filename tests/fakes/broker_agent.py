"""Outbox, delivery and connection of an agent to a real broker, without the rest of the service."""

from __future__ import annotations

import queue
from random import Random
from typing import TYPE_CHECKING, Any, Final

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.client import MqttConnection
from edge_agent.mqtt.connection import Broker, Event, Outgoing, Received, Session, Subscription
from edge_agent.mqtt.delivery import Delivery
from edge_agent.mqtt.outbox import Outbox
from edge_agent.system.clock import SystemClock

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

ROOT: Final = "farm/v1/s/d"
TOPIC: Final = f"{ROOT}/alert/heat/event"
# The harness process and the broker share one machine: nothing here comes near it when healthy.
PATIENCE_S: Final = 30.0


class SleepyClock(SystemClock):
    """The machine's clock, as if it had slept."""

    slept_s = 0.0

    def monotonic(self) -> float:
        """Seconds, of sleep too."""
        return super().monotonic() + self.slept_s


class BrokerAgent:
    """Outbox, delivery and link, driven as the service drives them."""

    def __init__(self, db: sqlite3.Connection, port: int, **options: Any) -> None:  # noqa: ANN401 - of Broker
        self.clock = SleepyClock()
        self.outbox = Outbox(db)
        self.received: list[Received] = []
        self._events: queue.Queue[Event] = queue.Queue()
        protocol, ping = options.pop("protocol", "auto"), options.pop("ping", "")
        will = Outgoing(f"{ROOT}/availability", b"offline", retain=True, json=False)
        settings: dict[str, Any] = {
            "client_id": "agent",
            "keepalive_s": 5,
        } | options
        broker = Broker(host="127.0.0.1", port=port, will=will, **settings)
        self.delivery = Delivery(
            MqttConnection(broker, self._events.put, self.clock),
            self.outbox,
            Session(
                will.topic,
                (Subscription(f"{ROOT}/cmd/+", commands=True), Subscription("sensor/1")),
                protocol,
                ping,
            ),
            Backoff(Random(4).random, longest_s=0.2),
            self.clock,
        )

    def put(self, *names: str) -> None:
        """Queue an event for each name, which is its payload."""
        for name in names:
            self.outbox.put(Message(name, TOPIC, name.encode(), Kind.ALERT))

    def turn(self) -> None:
        """One turn of the service's loop."""
        wait_s = min(0.05, self.delivery.tick(self.clock.now()))
        try:
            event = self._events.get(timeout=wait_s)
        except queue.Empty:
            return
        self._take(event)

    def until(self, enough: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Turn until a condition holds, or fail."""
        end = self.clock.monotonic() + timeout_s
        while not enough():
            assert self.clock.monotonic() < end, self.delivery.state
            self.turn()

    def drain(self) -> None:
        """Turn until nothing waits."""
        self.until(lambda: not self.outbox.counts().waiting)

    def stop(self) -> None:
        """End as the service does."""
        self.delivery.disconnect(2.0)
        while not self._events.empty():
            self._take(self._events.get())
        self.delivery.remove_acknowledged()

    def _take(self, event: Event) -> None:
        if not self.delivery.handle(event) and isinstance(event, Received):
            self.received.append(event)
