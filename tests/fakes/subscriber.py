"""A subscriber as a controller would run it, with a client of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from paho.mqtt.client import MQTTMessage
    from paho.mqtt.properties import Properties


@dataclass(frozen=True, slots=True)
class Heard:
    """One message as it came."""

    topic: str
    payload: bytes
    retain: bool
    properties: Properties | None
    at: float = 0.0
    """Seconds since 1970."""


class Subscriber:
    """Connects, reconnects by itself, keeps all it hears, in order.

    Args:
        port: Of the broker.
        topic: What to hear.
        name: Client id.
        login: Name and password.
        ca: Who signed the broker's certificate; without it there is no TLS.
        protocol: MQTT 5, or 3.1.1 for a broker that speaks no other.
    """

    def __init__(
        self,
        port: int,
        topic: str = "#",
        name: str = "controller",
        *,
        login: tuple[str, str] | None = None,
        ca: Path | None = None,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
    ) -> None:
        self.heard: list[Heard] = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol)
        self._client.reconnect_delay_set(1, 1)
        if login:
            self._client.username_pw_set(*login)
        if ca:
            self._client.tls_set(str(ca))
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take
        self._port = port
        self._marks = 0

    def _take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        with self._news:
            self.heard.append(
                Heard(
                    message.topic,
                    bytes(message.payload),
                    message.retain,
                    message.properties,
                    time.time(),  # noqa: TID251 - beside the times of a real service
                )
            )
            self._news.notify_all()

    def wait(self, enough: Callable[[list[Heard]], bool], timeout_s: float = 20.0) -> list[Heard]:
        """Block until `enough` says so; fails the test otherwise."""
        with self._news:
            done = self._news.wait_for(lambda: enough(self.heard), timeout_s)
            heard = list(self.heard)
        assert done, f"after {timeout_s} s only: {[h.topic for h in heard]}"
        return heard

    def payloads(self, topic: str) -> list[bytes]:
        """What was heard on one topic, in order."""
        return [heard.payload for heard in list(self.heard) if heard.topic == topic]

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        properties: Properties | None = None,
        qos: int = 1,
    ) -> None:
        """Say something and wait for the PUBACK."""
        info = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        info.wait_for_publish(10)

    def mark(self, qos: int = 1) -> None:
        """Say something to oneself and wait for it: all that the broker had before has come."""
        self._marks += 1
        payload = f"mark-{self._marks}".encode()
        self.publish("mark", payload, qos=qos)
        self.wait(lambda heard: any(h.payload == payload for h in heard[-5000:]))

    def broker_will_be_killed(self) -> None:
        """From here on `wait_subscribed_again` waits for a new subscription."""
        self._subscribed.clear()

    def wait_subscribed_again(self, timeout_s: float = 30.0) -> None:
        """Block until a broker that was started anew has this subscription."""
        assert self._subscribed.wait(timeout_s)

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
