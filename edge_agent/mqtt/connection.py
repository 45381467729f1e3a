"""The interface to a broker: what can be asked of a connection, and what it reports back.

Calls return at once. Everything that happens is reported as an event, in the order it happened,
from another thread. Each `connect` ends in exactly one `Down`, with at most one `Up` before it.
The broker keeps nothing for this client while it is away: each connection is a new session.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self

from edge_agent.messages.message import lifetime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from edge_agent.messages.message import Message
    from edge_agent.mqtt.tls import TlsFiles

Version = Literal["5", "3.1.1"]
LARGEST_IN: Final = 65_536
"""Longer messages are dropped; under MQTT 5 the broker does not even send them."""
_PACKET_BYTES: Final = 64
"""Room for the parts of a PUBLISH without its texts and its payload."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One PUBLISH, always QoS 1.

    Attributes:
        expiry_s: Seconds until the broker drops it, or None; MQTT 5 only.
        json: Content is JSON; otherwise plain text.
    """

    topic: str
    payload: bytes
    retain: bool = False
    expiry_s: int | None = None
    correlation: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    json: bool = True

    @property
    def size(self) -> int:
        """Bytes of its packet under MQTT 5, which is the longer one; no property is left out."""
        texts = [self.topic.encode(), self.correlation or b""]
        texts += [text.encode() for pair in self.headers for text in pair]
        return _PACKET_BYTES + sum(2 + len(text) for text in texts) + len(self.payload)

    @classmethod
    def of(cls, message: Message, now: datetime | None) -> Self:
        """PUBLISH of a message of the outbox.

        Args:
            message: From the outbox.
            now: UTC, or None while nobody vouches for the clock: then the broker drops it after
                its own length.
        """
        left = None if now is None or message.expires_at is None else message.expires_at - now
        spans = [span for span in (left, lifetime(message)) if span is not None]
        expiry_s = max(1, math.ceil(min(spans).total_seconds())) if spans else None
        return cls(
            message.topic,
            message.payload,
            retain=message.retain,
            expiry_s=expiry_s,
            correlation=message.correlation,
            headers=message.headers,
        )


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter.

    Attributes:
        commands: No message is wanted that the broker had kept.
        own: Messages of this client itself are wanted too.
    """

    topic: str
    commands: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class Websocket:
    """How MQTT goes through HTTP: the request's path, and its Host header where that is another."""

    path: str = "/mqtt"
    host_header: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the request that are not the usual ones."""
        return {"Host": self.host_header} if self.host_header else {}


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and as whom to connect.

    Attributes:
        password: Called at every attempt; None = no password.
        websocket: Options of MQTT over websockets; None = TCP or TLS alone.
    """

    host: str
    port: int
    client_id: str
    will: Outgoing
    username: str = ""
    password: Callable[[], str | None] = field(default=lambda: None, compare=False)
    tls: TlsFiles | None = None
    keepalive_s: int = 60
    websocket: Websocket | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What a delivery does on each connection.

    Attributes:
        availability: Topic of `online` and `offline`.
        subscriptions: What to listen to.
        protocol: `auto`, or one version only.
        ping: Topic of pings to oneself; empty = none.
    """

    availability: str
    subscriptions: tuple[Subscription, ...] = ()
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    ping: str = ""


@dataclass(frozen=True, slots=True)
class Up:
    """The broker has accepted the connection.

    Attributes:
        window: How many unacknowledged messages it takes.
        largest: Longest packet it takes in bytes, or None.
        retains: It keeps retained messages; where it does not, none is sent as retained.
        acknowledges: It takes QoS 1; where it does not, messages are sent with QoS 0.
    """

    version: Version
    window: int
    largest: int | None
    retains: bool = True
    acknowledges: bool = True


@dataclass(frozen=True, slots=True)
class Down:
    """The connection, or the attempt to make one, is over.

    Attributes:
        reason: For people.
        code: MQTT 5 reason code of the broker, also where a 3.1.1 code means the same; or None.
        reached: The broker's machine was reached (so a refusal may be about the protocol).
        advice: What to do, where the cause is known; for people.
        own: This program ended it, whatever was sent.
        silent: The broker was reached and hung up on CONNECT, and nothing says why.
    """

    reason: str
    code: int | None = None
    reached: bool = False
    advice: str = ""
    own: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """PUBACK of the message with this token; `code` is 0x80 or above when it was refused."""

    token: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """All of a request is answered; `refused` has the places of filters that are not allowed."""

    refused: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """A message from others.

    Attributes:
        retain: The broker had kept it, for any time: it was not published just now.
        at: When it came in, UTC.
    """

    topic: str
    payload: bytes
    retain: bool
    at: datetime
    response_topic: str | None = None
    correlation: bytes | None = None


Event = Up | Down | Acknowledged | Subscribed | Received


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """For status and health.

    Attributes:
        connected: Whether the broker has accepted the connection and it stands.
        version: Protocol spoken, while connected.
        problem: Why it is not connected, with a hint; empty while connected.
        connections: How often it was connected since the start.
        refused_topics: Subscriptions the broker does not allow.
        concerns: What is wrong though it is connected, for people.
        since: When the broker accepted the connection that stands, UTC; None without one.
        last_problem: Why the connection before ended; empty where none has.
    """

    connected: bool
    version: str
    problem: str
    connections: int
    refused_topics: tuple[str, ...]
    concerns: tuple[str, ...] = ()
    since: datetime | None = None
    last_problem: str = ""


class Connection(Protocol):
    """One connection at a time to one broker."""

    def connect(self, version: Version, without: Collection[int] = ()) -> None:
        """Start an attempt; `Up` or `Down` follows. Only after the `Down` of the last one.

        Args:
            version: Of the protocol.
            without: `NO_RETAIN`: nothing is sent as retained; `NO_QOS_1`: all goes with QoS 0.
                Under MQTT 5 for the last will alone: there the broker says what it takes.
        """
        ...

    def take_over(self, before: Self) -> bool:
        """Go on with what another one has connected to the same broker; False: it cannot be."""
        ...

    def publish(self, message: Outgoing) -> int | None:
        """Send; returns a token no other unacknowledged message has, None without connection."""
        ...

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for messages; `Subscribed` follows."""
        ...

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for no more of these messages."""
        ...

    def drop(self, *, cleanly: bool = False) -> None:
        """Cut the connection without DISCONNECT, or with one: no last will then. `Down` follows."""
        ...

    def disconnect(self, last: Outgoing | None, timeout_s: float) -> None:
        """Send a last message, wait for its PUBACK, disconnect cleanly; returns in time.

        Without a last message an attempt under way is given up. Nothing is reported afterwards.
        """
        ...
