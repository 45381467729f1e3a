"""A Mosquitto on a loopback port, and a subscriber that notes every message in order."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

if TYPE_CHECKING:
    from pathlib import Path

MARK: Final = "recorder/mark"
WAIT_S: Final = 20.0


class HeldPort:
    """A TCP port of the loopback that refuses connections until it is let go.

    While it is held no other process is given it, so that a broker that is away stays away.
    """

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.number: int = self._socket.getsockname()[1]

    def let_go(self) -> None:
        """Let a server have it."""
        self._socket.close()


class Broker:
    """Mosquitto and the subscriber, for as long as the context lasts.

    Attributes:
        port: Of the loopback.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._held = HeldPort()
        self.port = self._held.number
        self._settings = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        self._settings.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            f"user {getpass.getuser()}\nlog_dest stderr\n",
            "utf-8",
        )
        self._messages: list[dict[str, Any]] = []
        self._marks = 0
        self._heard = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect

    def __enter__(self) -> Self:
        self._held.let_go()
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a broker of this recording
                [program, "-c", str(self._settings)], stdout=log, stderr=log
            )
        end = time.monotonic() + WAIT_S
        while True:
            try:
                self._client.connect("127.0.0.1", self.port)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self._client.loop_start()
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._process.kill()
        self._process.wait()
        self._held = HeldPort(self.port)

    def publish(self, topic: str, payload: str) -> None:
        """Say something at QoS 1 and wait until the broker has it."""
        self._client.publish(topic, payload.encode(), qos=1).wait_for_publish(WAIT_S)

    def take(self) -> list[str]:
        """Messages since the last call, each as a line of JSON, in the broker's order."""
        with self._heard:
            wanted = self._marks + 1
        end = time.monotonic() + WAIT_S
        # Again and again, since the first may be said before the subscription stands.
        while time.monotonic() < end:
            self._client.publish(MARK, str(wanted), qos=1)
            with self._heard:
                if self._heard.wait_for(lambda: self._marks >= wanted, 0.5):
                    taken, self._messages = self._messages, []
                    return [json.dumps(one, ensure_ascii=False) for one in taken]
        raise TimeoutError("the broker does not answer")

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        options = SubscribeOptions(qos=2, retainAsPublished=True)
        client.subscribe("#", options=options)

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._heard:
            if message.topic == MARK:
                self._marks = max(self._marks, int(message.payload))
                self._heard.notify_all()
                return
            self._messages.append(_noted(message))


def _noted(message: mqtt.MQTTMessage) -> dict[str, Any]:
    known = message.properties.json() if message.properties else {}  # type: ignore[no-untyped-call]  # paho has no types there
    try:
        payload: Any = json.loads(message.payload)
    except ValueError:
        payload = message.payload.decode("utf-8", "backslashreplace")
    return {
        "topic": message.topic,
        "qos": message.qos,
        "retain": message.retain,
        "properties": known,
        "payload": payload,
    }
