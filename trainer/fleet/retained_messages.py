"""Retained messages of a fleet from its broker. The only module of the trainer that speaks MQTT."""

from __future__ import annotations

import queue
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.contract.errors import Refused, Unavailable, UsageError
from edge_agent.system import fault_words

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST: Final = 100_000
MOST_BYTES: Final = 1_000_000_000
"""Topics and bytes taken at most, so that a broker cannot flood the trainer."""
LARGEST: Final = 65_536
_Received: TypeAlias = "queue.Queue[MQTTMessage | Refused | Unavailable]"
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Address of the broker; a password never stands in it."""

    host: str
    port: int
    tls: bool
    username: str

    @classmethod
    def of(cls, text: str) -> BrokerAddress:
        """From `mqtt://user@host:1883` or `mqtts://...`.

        Raises:
            UsageError: Not such an address, or one with a password.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as fault:
            raise UsageError(f"--mqtt {text}: its port is no number of 1 to 65535") from fault
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UsageError(f"--mqtt {text}: write mqtt://host or mqtts://user@host:port")
        if parts.password:
            raise UsageError("--mqtt: put the password into a file and name it: --password-file")
        username = unquote(parts.username or "")
        return cls(parts.hostname, port or _PORTS[parts.scheme], parts.scheme == "mqtts", username)


@dataclass(frozen=True, slots=True)
class RetainedMessages:
    """Retained payload of each topic, and topics whose payload is longer than `LARGEST`."""

    messages: dict[str, bytes]
    too_long: tuple[str, ...]


def retained(
    address: BrokerAddress,
    base: str,
    kinds: Iterable[str],
    *,
    password: str | None,
    ca: Path | None,
    wait_s: float,
) -> RetainedMessages:
    """What a broker retains of all devices, as soon as nothing has come for `wait_s`.

    Args:
        address: The broker.
        base: What topics begin with.
        kinds: What they end with, after site and device.
        password: Of the user, or None.
        ca: Certificate authority of the broker; None = the system's.
        wait_s: How long to listen after the last message; ten times as long for the first.

    Raises:
        Unavailable: The broker cannot be reached or hangs up.
        Refused: It refuses the login or the subscription.
    """
    client = _client(address, password, ca)
    where = f"{address.host}:{address.port}"
    listener = _Listener(where, base, tuple(kinds))
    client.on_connect = listener.on_connect
    client.on_subscribe = listener.on_subscribe
    client.on_disconnect = listener.on_disconnect
    client.on_message = listener.on_message
    try:
        client.connect(address.host, address.port)
    except (OSError, ValueError) as fault:
        raise Unavailable(f"{where}: {fault_words.of_connection(fault)}: check --mqtt") from fault
    client.loop_start()
    try:
        return _gathered(listener.received, wait_s)
    finally:
        client.disconnect()
        client.loop_stop()


class _Listener:
    """Callbacks of the client: retained messages, and the fault that ends the listening.

    Args:
        where: What to call the broker in errors.
        base: What topics begin with.
        kinds: What they end with.
    """

    def __init__(self, where: str, base: str, kinds: tuple[str, ...]) -> None:
        self._where = where
        self._base = base
        self._kinds = kinds
        self.received: _Received = queue.Queue()

    def on_connect(
        self,
        client: Client,
        _: object,
        __: object,
        code: Any,  # noqa: ANN401 - paho's own
        *___: object,
    ) -> None:
        if code.is_failure:
            fault = f"{self._where}: {code}: check the user and --password-file"
            self.received.put(Refused(fault))
            return
        client.subscribe([(f"{self._base}/+/+/{kind}", 1) for kind in self._kinds])

    def on_subscribe(
        self, _: Client, __: object, ___: int, codes: list[Any], *____: object
    ) -> None:
        if all(code.is_failure for code in codes):
            self.received.put(
                Refused(f"{self._where}: may not listen to {self._base}/#: check its access list")
            )

    def on_message(self, _: Client, __: object, message: MQTTMessage) -> None:
        # A message that is sent while we listen is not retained. A fleet sends without an end.
        if message.retain:
            self.received.put(message)

    def on_disconnect(self, *_: object) -> None:
        self.received.put(Unavailable(f"{self._where}: the broker hung up"))


def _client(address: BrokerAddress, password: str | None, ca: Path | None) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv311)
    if address.username:
        client.username_pw_set(address.username, password)
    if address.tls:
        client.tls_set_context(ssl.create_default_context(cafile=None if ca is None else str(ca)))
    return client


def _gathered(received: _Received, wait_s: float) -> RetainedMessages:
    messages: dict[str, bytes] = {}
    too_long: set[str] = set()
    size = 0
    patience_s = 10 * wait_s
    while len(messages) + len(too_long) < MOST and size < MOST_BYTES:
        try:
            item = received.get(timeout=patience_s)
        except queue.Empty:
            break
        if not isinstance(item, MQTTMessage):
            raise item
        patience_s = wait_s
        size += len(item.payload)
        if len(item.payload) <= LARGEST:
            messages[item.topic] = bytes(item.payload)
        else:
            too_long.add(item.topic)
    return RetainedMessages(messages, tuple(sorted(too_long)))
