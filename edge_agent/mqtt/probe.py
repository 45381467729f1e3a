"""Tests the broker step by step as the service uses it, with a client id of its own.

reach      a TCP connection
TLS        the broker's certificate is valid, and until when
login      CONNECT with the configured user and protocol, and the service's last will
loop       subscribe to the ping's topic, publish to it, receive it
retain     the broker keeps a message for a later subscription, and deletes it
size       the longest message of this device
publish    one message on each kind of topic that the service publishes to
subscribe  each filter that the service listens to

Nothing of it disturbs a running service or those who listen: the last will is what holds anyway,
retain and size are tried on the ping's topic, and the rest is not retained.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt import tls_faults
from edge_agent.mqtt.backoff import hint
from edge_agent.mqtt.connection import Broker, Down, Outgoing, Subscription, Version
from edge_agent.mqtt.lessening import STEPS
from edge_agent.mqtt.probe_line import WAIT_S, ProbeLine
from edge_agent.mqtt.reason_codes import NO_QOS_1, NO_RETAIN, NOT_AUTHORIZED, TOO_LARGE
from edge_agent.mqtt.tls import tls_context
from edge_agent.system import fault_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_agent.mqtt.tls import TlsFiles
    from edge_agent.system.ports import Clock

_QUIET_S: Final = 3.0
"""After a PUBACK or SUBACK, when the broker would have sent a message."""
_PING: Final = b'{"ping": "doctor"}'
_KEPT: Final = b'{"ping": "doctor, retained"}'
_RETAIN_ADVICE: Final = (
    "let the broker keep retained messages (Mosquitto: retain_available true): without them nobody "
    "knows a state after a restart of theirs"
)
_SIZE_ADVICE: Final = (
    "raise the broker's limit (Mosquitto: message_size_limit and max_packet_size) above {} bytes"
)
_LOG_ADVICE: Final = "look into the broker's log"
_QOS_ADVICE: Final = "let the broker take QoS 1 (Mosquitto: max_qos 1 or 2)"
_LOGIN: Final = {0x84, 0x85, 0x86}
_LESSENED: Final = {
    NO_RETAIN: ("the broker refuses a last will that it is to keep (retain)", _RETAIN_ADVICE),
    NO_QOS_1: ("the broker takes QoS 0 only: it refuses a last will with QoS 1", _QOS_ADVICE),
}


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step: whether it succeeded, what was seen, what to do where it did not.

    Attributes:
        ends: End of the broker's certificate (UTC); only of the step `TLS`.
        lessened: What fails is something that the service does without.
    """

    name: str
    good: bool
    seen: str
    advice: str = ""
    ends: datetime | None = None
    lessened: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the service sends and asks for.

    Attributes:
        ping: The ping's topic.
        publications: One message on each kind of topic; sent without the retain flag.
        taken_back: Topics of `publications` that get an empty message at once.
        subscriptions: What it listens to.
        longest: What is in the longest message, for people.
        longest_bytes: How long that one is.
    """

    ping: str
    publications: Sequence[Outgoing] = ()
    taken_back: frozenset[str] = frozenset()
    subscriptions: Sequence[Subscription] = ()
    longest: str = "ping"
    longest_bytes: int = 0


def probe(broker: Broker, traffic: Traffic, protocol: str, clock: Clock) -> Iterator[ProbeStep]:
    """The steps. Reach, TLS and login end them where they fail; the others do not.

    Args:
        broker: As the service connects. The client id gets a suffix, so that a running service
            keeps its connection. The last will must be true now: it comes where the broker hangs
            up.
        traffic: What the service sends and asks for.
        protocol: `auto`, `5` or `3.1.1`.
        clock: Stamps what comes in.
    """
    for step in _reach(broker):
        yield step
        if not step.good:
            return
    guest = replace(broker, client_id=f"{broker.client_id}-doctor")
    versions: tuple[Version, ...] = ("5", "3.1.1") if protocol == "auto" else (_version(protocol),)
    down = Down("no answer")
    for without in STEPS:
        with closing(ProbeLine(guest, traffic.ping, clock, without)) as line:
            if line.connect(*versions):
                yield from _lessened(without)
                yield _logged_in(line, guest)
                yield from _as_the_service(line, traffic)
                return
        down = down if without else line.down
        if line.down.code in _LOGIN or not line.down.reached:
            break
    advice = down.advice or hint(down.code) or _LOG_ADVICE
    yield ProbeStep("broker login", good=False, seen=down.reason, advice=advice)


def _lessened(without: frozenset[int]) -> Iterator[ProbeStep]:
    """What is not asked of the broker, as the service does without it too."""
    for code in sorted(without):
        seen, advice = _LESSENED[code]
        yield ProbeStep("broker login", good=False, seen=seen, advice=advice, lessened=True)


def _logged_in(line: ProbeLine, guest: Broker) -> ProbeStep:
    seen = f"MQTT {line.version} as {guest.client_id}"
    return ProbeStep("broker login", good=True, seen=seen)


def _as_the_service(line: ProbeLine, traffic: Traffic) -> Iterator[ProbeStep]:
    loop = _loop(line, traffic.ping)
    yield loop
    if loop.good:
        yield _retain(line, traffic.ping)
        yield _size(line, traffic)
    if line.version == "3.1.1" and not line.connect("5"):
        line.connect("3.1.1")
    yield from _publish(line, traffic)
    yield from _subscribe(line, traffic)


def _reach(broker: Broker) -> Iterator[ProbeStep]:
    place = f"{broker.host}:{broker.port}"
    try:
        connection = socket.create_connection((broker.host, broker.port), WAIT_S)
    except OSError as fault:
        yield ProbeStep(
            "broker reach", good=False, seen=f"{place}: {fault_words.of_connection(fault)}",
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
            "broker TLS", good=False, seen=fault_words.of_file(fault),
            advice="check the files of mqtt.tls: ca, cert and key",
        )  # fmt: skip
    try:
        with context.wrap_socket(connection, server_hostname=broker.host) as secure:
            peer = secure.getpeercert() or {}
            seconds = ssl.cert_time_to_seconds(str(peer["notAfter"]))
            end = datetime.fromtimestamp(seconds, UTC)
            seen = f"{secure.version()}, the broker's certificate ends {end:%Y-%m-%d}"
            if files.alpn:
                seen += f", ALPN {secure.selected_alpn_protocol() or 'is ignored'}"
            return ProbeStep("broker TLS", good=True, seen=seen, ends=end)
    except OSError as fault:
        why = tls_faults.of_handshake(fault, broker.host, broker.port, files)
        seen = f"{broker.host}:{broker.port}: {why.seen}"
        return ProbeStep("broker TLS", good=False, seen=seen, advice=why.advice)


def _loop(line: ProbeLine, topic: str) -> ProbeStep:
    def refused(seen: str) -> ProbeStep:
        advice = f"let this client write and read {topic} (docs/mqtt.md has an access list)"
        return ProbeStep("broker loop", good=False, seen=seen, advice=advice)

    if why := line.subscribe(Subscription(topic, own=True)):
        return refused(why)
    if why := line.publish(Outgoing(topic, _PING, expiry_s=int(WAIT_S))):
        return refused(why)
    if not line.hear(_PING):
        return refused("published, and nothing came back")
    return ProbeStep("broker loop", good=True, seen=f"published and heard on {topic}")


def _retain(line: ProbeLine, topic: str) -> ProbeStep:
    """Keep a message on the ping's topic, ask for it, and delete it."""
    kept = Outgoing(topic, _KEPT, retain=True, expiry_s=int(WAIT_S))
    why = line.publish(kept)
    if not why:
        why = line.subscribe(Subscription(topic, own=True))
        if not why and not line.hear(_KEPT, retained=True, wait_s=_QUIET_S):
            why = "the broker did not send it to a later subscription"
        line.publish(replace(kept, payload=b"", expiry_s=None))
    if why:
        seen = f"a retained message on {topic}: {why}"
        lessened = NO_RETAIN in line.without
        return ProbeStep(
            "broker retain", good=False, seen=seen, advice=_RETAIN_ADVICE, lessened=lessened
        )
    return ProbeStep("broker retain", good=True, seen="the broker keeps messages")


def _size(line: ProbeLine, traffic: Traffic) -> ProbeStep:
    payload = _PING.ljust(traffic.longest_bytes)
    seen = f"{len(payload)} bytes, as long as the longest message ({traffic.longest})"
    # The broker may have hung up before, and forgotten the subscription.
    why = line.subscribe(Subscription(traffic.ping, own=True))
    why = why or line.publish(Outgoing(traffic.ping, payload, expiry_s=int(WAIT_S)))
    # Without MQTT 5 a broker may drop it and say nothing.
    if not why and not line.hear(payload, wait_s=_QUIET_S):
        why = "published, and nothing came back"
    if why:
        advice = _SIZE_ADVICE.format(len(payload) + 256)
        return ProbeStep("broker size", good=False, seen=f"{seen}: {why}", advice=advice)
    return ProbeStep("broker size", good=True, seen=seen)


def _publish(line: ProbeLine, traffic: Traffic) -> Iterator[ProbeStep]:
    taken = 0
    for message in traffic.publications:
        why = line.publish(message)
        if not why and message.topic in traffic.taken_back:
            why = line.publish(replace(message, payload=b""))
        if why:
            advice = _to_publish(line.code, message)
            seen = f"{message.topic}: {why}"
            yield ProbeStep("broker publish", good=False, seen=seen, advice=advice)
        taken += not why
    if taken == len(traffic.publications):
        yield ProbeStep("broker publish", good=True, seen=f"{taken} kinds of topic")


def _subscribe(line: ProbeLine, traffic: Traffic) -> Iterator[ProbeStep]:
    granted = 0
    for wanted in traffic.subscriptions:
        if why := line.subscribe(wanted):
            advice = _access("read", wanted.topic)
            seen = f"{wanted.topic}: {why}"
            yield ProbeStep("broker subscribe", good=False, seen=seen, advice=advice)
        granted += not why
    if granted == len(traffic.subscriptions):
        yield ProbeStep("broker subscribe", good=True, seen=f"{granted} topics")


def _to_publish(code: int | None, message: Outgoing) -> str:
    """What to do about a message that the broker did not take for a reason code, or for none."""
    if code == TOO_LARGE:
        return _SIZE_ADVICE.format(message.size)
    if code == NOT_AUTHORIZED:
        return _access("write", message.topic)
    if code is None:
        length = len(message.payload)
        return f"{_access('write', message.topic)}; or it is its length, {length} bytes"
    return _LOG_ADVICE


def _access(right: str, topic: str) -> str:
    return f"let this client {right} {topic} (docs/mqtt.md has an access list)"


def _version(protocol: str) -> Version:
    return "5" if protocol == "5" else "3.1.1"
