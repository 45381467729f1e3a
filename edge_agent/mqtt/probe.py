"""Tests the broker step by step as the service uses it, with a client id of its own.

reach     a TCP connection
TLS       the broker's certificate is valid, and until when
login     CONNECT with the configured user and protocol
loop      subscribe to the ping's topic, publish to it, receive it
"""

from __future__ import annotations

import queue
import socket
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt import tls_faults
from edge_agent.mqtt.backoff import hint
from edge_agent.mqtt.client import MqttConnection
from edge_agent.mqtt.connection import (
    Acknowledged,
    Broker,
    Down,
    Outgoing,
    Received,
    Subscribed,
    Subscription,
    Up,
    Version,
)
from edge_agent.mqtt.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.mqtt.connection import Event
    from edge_agent.mqtt.tls import TlsFiles
    from edge_agent.system.ports import Clock

WAIT_S: Final = 8.0
_REFUSAL: Final = 0x80


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step: whether it succeeded, what was seen, what to do where it did not.

    Attributes:
        ends: End of the broker's certificate (UTC); only of the step `TLS`.
    """

    name: str
    good: bool
    seen: str
    advice: str = ""
    ends: datetime | None = None


def probe(broker: Broker, topic: str, protocol: str, clock: Clock) -> Iterator[ProbeStep]:
    """The steps, up to and including the first that fails.

    Args:
        broker: As the service connects. The client id gets a suffix, so that a running service
            keeps its connection.
        topic: The ping's topic.
        protocol: `auto`, `5` or `3.1.1`.
        clock: Stamps what comes in.
    """
    for step in _reach(broker):
        yield step
        if not step.good:
            return
    guest = replace(
        broker,
        client_id=f"{broker.client_id}-doctor",
        will=Outgoing(topic, b"doctor", json=False),
    )
    events: queue.Queue[Event] = queue.Queue()
    link = MqttConnection(guest, events.put, clock)
    versions: tuple[Version, ...] = ("5", "3.1.1") if protocol == "auto" else (_version(protocol),)
    answer: Event | None = None
    for version in versions:
        link.connect(version)
        answer = _next(events, Up, Down)
        if isinstance(answer, Up):
            break
    if not isinstance(answer, Up):
        link.disconnect(None, 1.0)
        yield _refused(answer)
        return
    yield ProbeStep("broker login", good=True, seen=f"MQTT {answer.version} as {guest.client_id}")
    try:
        yield _loop(link, topic, events)
    finally:
        link.disconnect(Outgoing(topic, b"doctor", expiry_s=1, json=False), 4.0)


def _reach(broker: Broker) -> Iterator[ProbeStep]:
    place = f"{broker.host}:{broker.port}"
    try:
        connection = socket.create_connection((broker.host, broker.port), WAIT_S)
    except OSError as fault:
        yield ProbeStep(
            "broker reach", good=False, seen=f"{place}: {fault.strerror or fault}",
            advice="check mqtt.host, mqtt.port, the network and whether the broker runs",
        )  # fmt: skip
        return
    with connection:
        yield ProbeStep("broker reach", good=True, seen=place)
        if broker.tls is not None:
            yield _shake_hands(connection, broker, broker.tls)


def _shake_hands(connection: socket.socket, broker: Broker, files: TlsFiles) -> ProbeStep:
    try:
        context = tls_context(files)
    except OSError as fault:
        return ProbeStep(
            "broker TLS", good=False, seen=str(fault),
            advice="check the files of mqtt.tls: ca, cert and key",
        )  # fmt: skip
    try:
        with context.wrap_socket(connection, server_hostname=broker.host) as secure:
            peer = secure.getpeercert() or {}
            seconds = ssl.cert_time_to_seconds(str(peer["notAfter"]))
            end = datetime.fromtimestamp(seconds, UTC)
            seen = f"{secure.version()}, the broker's certificate ends {end:%Y-%m-%d}"
            return ProbeStep("broker TLS", good=True, seen=seen, ends=end)
    except OSError as fault:
        own_ca = files.ca is not None
        why = tls_faults.of_handshake(fault, broker.host, broker.port, own_ca=own_ca)
        seen = f"{broker.host}:{broker.port}: {why.seen}"
        return ProbeStep("broker TLS", good=False, seen=seen, advice=why.advice)


def _refused(answer: Event | None) -> ProbeStep:
    down = answer if isinstance(answer, Down) else Down("no answer")
    advice = down.advice or hint(down.code) or "look into the broker's log"
    return ProbeStep("broker login", good=False, seen=down.reason, advice=advice)


def _loop(link: MqttConnection, topic: str, events: queue.Queue[Event]) -> ProbeStep:
    link.subscribe([Subscription(topic, own=True)])
    subscribed = _next(events, Subscribed)
    if not isinstance(subscribed, Subscribed) or subscribed.refused:
        return _not_allowed(topic, "the broker does not let this client read")
    payload = b'{"ping": "doctor"}'
    link.publish(Outgoing(topic, payload, expiry_s=int(WAIT_S)))
    acknowledged = heard = False
    while not (acknowledged and heard):
        event = _next(events, Acknowledged, Received)
        if event is None:
            return _not_allowed(
                topic, "published, and nothing came back" if acknowledged else "no PUBACK"
            )
        if isinstance(event, Acknowledged):
            if event.code >= _REFUSAL:
                return _not_allowed(topic, f"the broker refuses to take: {event.reason}")
            acknowledged = True
        elif isinstance(event, Received):
            heard = heard or event.payload == payload
    return ProbeStep("broker loop", good=True, seen=f"published and heard on {topic}")


def _not_allowed(topic: str, seen: str) -> ProbeStep:
    advice = f"let this client write and read {topic} (docs/mqtt.md has an access list)"
    return ProbeStep("broker loop", good=False, seen=seen, advice=advice)


def _next(events: queue.Queue[Event], *kinds: type[Event]) -> Event | None:
    """The next event of these kinds within the time; the end of the connection counts as none."""
    try:
        while not isinstance(event := events.get(timeout=WAIT_S), kinds):
            if isinstance(event, Down):
                return None
    except queue.Empty:
        return None
    return event


def _version(protocol: str) -> Version:
    return "5" if protocol == "5" else "3.1.1"
