"""The seam to a broker: what can be asked of a connection, and what it reports back.

Calls return at once; everything that happens is reported as an event, in the order it happened,
from another thread. Each `dial` ends in exactly one `Down`, with at most one `Up` before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

Version = Literal["5", "3.1.1"]


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


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter.

    Attributes:
        commands: No retained message is wanted.
        own: What this client says itself is wanted too.
    """

    topic: str
    commands: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class Up:
    """The broker said yes.

    Attributes:
        session_present: It still knows this client's session.
        window: How many unacknowledged messages it takes.
        largest: Longest packet it takes in bytes, or None.
    """

    version: Version
    session_present: bool
    window: int
    largest: int | None


@dataclass(frozen=True, slots=True)
class Down:
    """The connection, or the attempt to make one, is over.

    Attributes:
        reason: For people.
        code: MQTT 5 reason code of the broker, also where a 3.1.1 code means the same; or None.
        reached: The broker's machine was reached (so a refusal may be about the protocol).
    """

    reason: str
    code: int | None = None
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """PUBACK of the message with this token; `code` is 0x80 or above when it was refused."""

    token: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """SUBACK; `refused` holds the places in the request of filters the broker does not allow."""

    refused: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """A message from others; `at` is when it came in, UTC."""

    topic: str
    payload: bytes
    retain: bool
    at: datetime
    response_topic: str | None = None
    correlation: bytes | None = None


Event = Up | Down | Acknowledged | Subscribed | Received


class Connection(Protocol):
    """One connection at a time to one broker."""

    def dial(self, version: Version) -> None:
        """Start an attempt; `Up` or `Down` follows. Only after the `Down` of the last one."""
        ...

    def publish(self, message: Outgoing) -> int | None:
        """Send; returns a token no other unacknowledged message has, None without connection."""
        ...

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Ask for messages; `Subscribed` follows."""
        ...

    def drop(self) -> None:
        """Cut the connection without a word; `Down` follows."""
        ...

    def hang_up(self, last: Outgoing | None, timeout_s: float) -> None:
        """Send a last message, wait for its PUBACK, disconnect cleanly; returns in time.

        Without a last message an attempt under way is given up. Nothing is reported afterwards.
        """
        ...
