"""Retained messages of a fleet from its broker. The only module of the trainer that speaks MQTT."""

from __future__ import annotations

import queue
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.contract.errors import Refused, Unavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST: Final = 100_000
MOST_BYTES: Final = 1_000_000_000
"""Topics and bytes taken at most: a broker that floods ends there."""
LARGEST: Final = 65_536
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the broker is; the password is kept out of addresses."""

    host: str
    port: int
    tls: bool
    username: str

    @classmethod
    def of(cls, address: str) -> Place:
        """From `mqtt://user@host:1883` or `mqtts://...`.

        Raises:
            UsageError: Not such an address, or one with a password.
        """
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as fault:
            raise UsageError(f"--mqtt {address}: {fault}") from fault
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UsageError(f"--mqtt {address}: write mqtt://host or mqtts://user@host:port")
        if parts.password:
            raise UsageError("--mqtt: put the password into a file and name it: --password-file")
        username = unquote(parts.username or "")
        return cls(parts.hostname, port or _PORTS[parts.scheme], parts.scheme == "mqtts", username)


@dataclass(frozen=True, slots=True)
class Heard:
    """Retained payload of each topic, and topics whose payload is longer than `LARGEST`."""

    messages: dict[str, bytes]
    too_long: tuple[str, ...]


def retained(
    place: Place,
    base: str,
    kinds: Iterable[str],
    *,
    password: str | None,
    ca: Path | None,
    wait_s: float,
) -> Heard:
    """What a broker retains of all devices, as soon as nothing has come for `wait_s`.

    Args:
        place: The broker.
        base: What topics begin with.
        kinds: What they end with, after site and device.
        password: Of the user, or None.
        ca: Certificate authority of the broker; None = the system's.
        wait_s: How long to listen after the last message; ten times as long for the first.

    Raises:
        Unavailable: The broker cannot be reached or hangs up.
        Refused: It refuses the login or the subscription.
    """
    came: queue.Queue[MQTTMessage | Refused | Unavailable] = queue.Queue()
    wanted = tuple(kinds)
    client = _client(place, password, ca)
    where = f"{place.host}:{place.port}"

    def on_connect(_: Client, __: object, ___: object, code: Any, *____: object) -> None:  # noqa: ANN401 - paho's own
        if code.is_failure:
            came.put(Refused(f"{where}: {code}: check the user and --password-file"))
            return
        client.subscribe([(f"{base}/+/+/{kind}", 1) for kind in wanted])

    def on_subscribe(_: Client, __: object, ___: int, codes: list[Any], *____: object) -> None:
        if all(code.is_failure for code in codes):
            came.put(Refused(f"{where}: may not listen to {base}/#: check its access list"))

    def on_message(_: Client, __: object, message: MQTTMessage) -> None:
        # What is said while we listen is not retained; a fleet that speaks all the time has no end.
        if message.retain:
            came.put(message)

    def on_disconnect(*_: object) -> None:
        came.put(Unavailable(f"{where}: the broker hung up"))

    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_disconnect = on_disconnect
    client.on_message = on_message
    try:
        client.connect(place.host, place.port)
    except (OSError, ValueError) as fault:
        raise Unavailable(f"{where}: {fault}: check --mqtt") from fault
    client.loop_start()
    try:
        return _gathered(came, wait_s)
    finally:
        client.disconnect()
        client.loop_stop()


def _client(place: Place, password: str | None, ca: Path | None) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv311)
    if place.username:
        client.username_pw_set(place.username, password)
    if place.tls:
        client.tls_set_context(ssl.create_default_context(cafile=None if ca is None else str(ca)))
    return client


def _gathered(came: queue.Queue[MQTTMessage | Refused | Unavailable], wait_s: float) -> Heard:
    found: dict[str, bytes] = {}
    too_long: set[str] = set()
    size = 0
    patience_s = 10 * wait_s
    while len(found) + len(too_long) < MOST and size < MOST_BYTES:
        try:
            item = came.get(timeout=patience_s)
        except queue.Empty:
            break
        if not isinstance(item, MQTTMessage):
            raise item
        patience_s = wait_s
        size += len(item.payload)
        if len(item.payload) <= LARGEST:
            found[item.topic] = bytes(item.payload)
        else:
            too_long.add(item.topic)
    return Heard(found, tuple(sorted(too_long)))
