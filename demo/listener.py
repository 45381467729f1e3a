"""A subscriber like a controller: it stores the messages of the farm's topics."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(slots=True)
class Heard:
    """Messages by topic suffix (after site and device), in order of arrival."""

    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Payloads whose topic contains `kind`."""
        return [payload for topic, payload in self.messages if kind in topic]


class Listener:
    """Context manager that subscribes to everything below `base` on a broker of this machine.

    Args:
        port: The broker's.
        base: Topic root.
    """

    def __init__(self, port: int, base: str) -> None:
        self.heard = Heard()
        self._base = base
        self._port = port
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="controller", protocol=paho.MQTTv311
        )
        self._client.on_connect = lambda client, *_: client.subscribe(f"{base}/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        if not self._subscribed.wait(10):
            raise TimeoutError("the embedded broker did not answer a subscription")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        topic = message.topic.removeprefix(f"{self._base}/")
        try:
            payload = json.loads(message.payload)
        except ValueError:
            payload = {"text": message.payload.decode(errors="replace")}
        self.heard.messages.append((topic, payload))
