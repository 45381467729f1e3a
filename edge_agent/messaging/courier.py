"""Carries messages from the outbox to the broker and keeps the connection: all policy, no sockets.

Rules (tests name the numbers):

1. A broker that is away is normal: dial again after a full-jitter pause that doubles from 1 s to
   5 min; it starts over only after a connection that stood for a minute.
2. Refused logins, an unknown client id or a ban pause for minutes; a taken-over session and an
   exceeded quota for at least one. Brokers that do not tell of a taken-over session just hang up:
   three connections in a row that break within a minute make the same hint.
3. With protocol `auto` every round begins with MQTT 5; a broker that refuses it, or hangs up
   before an answer, is asked in 3.1.1 at once.
4. After the broker's yes: `online` retained, subscriptions, then the outbox from its oldest
   message, never more unacknowledged ones than the broker takes.
5. A message leaves the outbox at its PUBACK. A refusal makes it a dead letter, except that an
   exceeded quota only slows down. One too long for this broker is a dead letter at once.
6. A broker that has forgotten the session may have forgotten retained messages: say them again.
7. A connection on which nothing is acknowledged for a minute is dropped: connected but silent.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from edge_agent.messaging.link import (
    Acknowledged,
    Down,
    Event,
    Link,
    Outgoing,
    Subscribed,
    Subscription,
    Up,
    Version,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from edge_agent.messaging.message import Message
    from edge_agent.messaging.outbox import Entry
    from edge_agent.ports import Clock

_log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
STABLE_S: Final = 60.0
SILENT_S: Final = 60.0
ANSWER_S: Final = 8.0
"""How long an attempt may take until the broker's yes or no."""

_REFUSAL: Final = 0x80
_UNSUPPORTED_VERSION: Final = 0x84
_SESSION_TAKEN_OVER: Final = 0x8E
_TOO_LARGE: Final = 0x95
_QUOTA: Final = 0x97
_LOGIN: Final = {0x85, 0x86, 0x87, 0x8A, 0x8C}
_SLOW: Final = {_SESSION_TAKEN_OVER, _QUOTA}
_HINTS: Final = {
    0x85: "check mqtt.client_id",
    0x86: "check mqtt.username and mqtt.password_file",
    0x87: "check mqtt.username, mqtt.password_file and the broker's access list",
    _SESSION_TAKEN_OVER: "another client uses the same mqtt.client_id",
}
_SUSPICIOUS: Final = 3
_ENVELOPE_BYTES: Final = 256
"""Room for the parts of a PUBLISH packet around topic and payload."""


class Queue(Protocol):
    """What the courier needs of an outbox."""

    def due(self, now: datetime | None, *, after: int = 0, limit: int = 10) -> list[Entry]:
        """Oldest messages behind a place."""
        ...

    def delivered(self, ids: Iterable[str]) -> None:
        """The broker has these."""
        ...

    def refused(self, name: str, reason: str) -> None:
        """The broker will never take this one."""
        ...

    def say_again(self, now: datetime | None) -> int:
        """Queue retained messages once more."""
        ...


@dataclass(frozen=True, slots=True)
class LinkState:
    """For status and health.

    Attributes:
        connected: Whether the broker has said yes and the connection stands.
        version: Protocol spoken, while connected.
        problem: Why it is not connected, with a hint; empty while connected.
        connections: How often it was connected since the start.
        refused_topics: Subscriptions the broker does not allow.
    """

    connected: bool
    version: str
    problem: str
    connections: int
    refused_topics: tuple[str, ...]


class Courier:
    """Give it every event of the link and call `tick` often; it never blocks.

    Args:
        link: The connection.
        outbox: The queue.
        availability: Topic of `online` and `offline`.
        subscriptions: What to listen to.
        protocol: `auto`, or one version only.
        clock: Pauses are measured on its monotonic side.
        random: Uniform numbers in [0, 1).
        longest_pause_s: Upper end of the pauses of rule 1.
    """

    def __init__(
        self,
        link: Link,
        outbox: Queue,
        *,
        availability: str,
        subscriptions: Sequence[Subscription],
        protocol: Literal["auto", "5", "3.1.1"],
        clock: Clock,
        random: Callable[[], float],
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self._link = link
        self._outbox = outbox
        self._availability = availability
        self._subscriptions = tuple(subscriptions)
        self._auto = protocol == "auto"
        self._version: Version = "5" if protocol == "auto" else protocol
        self._clock = clock
        self._random = random
        self._longest_pause_s = longest_pause_s

        self._dialled_at: float | None = None
        self._dial_at = clock.monotonic()
        self._up: Up | None = None
        self._up_since = 0.0
        self._failures = 0
        self._short_lived = 0
        self._problem = "not connected yet"
        self._connections = 0
        self._refused_topics: tuple[str, ...] = ()

        self._in_flight: dict[int, Message] = {}
        self._acknowledged: deque[str] = deque()
        self._heard_at = 0.0
        self._last_seq = 0

    @property
    def state(self) -> LinkState:
        """How the connection stands."""
        up = self._up
        return LinkState(
            connected=up is not None,
            version="" if up is None else up.version,
            problem="" if up is not None else self._problem,
            connections=self._connections,
            refused_topics=self._refused_topics,
        )

    def tick(self, now: datetime | None) -> float:
        """Dial, send what waits, write down what arrived.

        Args:
            now: UTC for expiry, or None while the clock is not trusted.

        Returns:
            Seconds after which to call again if no event comes before.

        Raises:
            StorageError: The disk refused; the connection is kept, call again.
        """
        moment = self._clock.monotonic()
        if self._up is not None:
            return self._carry(now, moment)
        if self._dialled_at is None:
            if moment < self._dial_at:
                return self._dial_at - moment
            self._dialled_at = moment
            self._link.dial(self._version)
            return ANSWER_S
        if moment - self._dialled_at >= ANSWER_S:
            self._link.drop()
        return ANSWER_S

    def handle(self, event: Event, now: datetime | None) -> None:
        """Take in what the link reports; messages of others are not for the courier."""
        match event:
            case Up():
                self._on_up(event, now)
            case Down():
                self._on_down(event)
            case Acknowledged():
                self._on_acknowledged(event)
            case Subscribed():
                self._refused_topics = tuple(self._subscriptions[n].topic for n in event.refused)
                if self._refused_topics:
                    _log.warning(
                        "mqtt: broker does not allow listening to %s: check its access list",
                        ", ".join(self._refused_topics),
                    )
            case _:
                pass

    def hang_up(self, timeout_s: float) -> None:
        """Say `offline` and disconnect cleanly. Returns in time; events may still follow."""
        self._link.hang_up(self._presence(b"offline") if self._up else None, timeout_s)
        self._up = None

    def write_down(self) -> None:
        """Remove from the outbox what the broker has acknowledged.

        Raises:
            StorageError: The disk refused; call again.
        """
        if self._acknowledged:
            self._outbox.delivered(tuple(self._acknowledged))
            self._acknowledged.clear()

    def _on_up(self, up: Up, now: datetime | None) -> None:
        moment = self._clock.monotonic()
        self._up, self._up_since, self._heard_at = up, moment, moment
        self._dialled_at = None
        self._connections += 1
        self._last_seq = 0
        self._link.publish(self._presence(b"online"))
        self._link.subscribe(self._subscriptions)
        _log.info("mqtt: connected, protocol %s", up.version)
        if not up.session_present:
            self._outbox.say_again(now)

    def _on_down(self, down: Down) -> None:
        moment = self._clock.monotonic()
        was_up, self._up = self._up, None
        self._dialled_at = None
        if was_up is not None:
            stable = moment - self._up_since >= STABLE_S
            self._short_lived = 0 if stable else self._short_lived + 1
            self._failures = 0 if stable else self._failures
        if down.code == _TOO_LARGE and self._in_flight:
            largest = max(self._in_flight.values(), key=lambda message: len(message.payload))
            self._outbox.refused(largest.id, down.reason)
        self._in_flight.clear()
        twins = down.code is None and self._short_lived >= _SUSPICIOUS
        hint = _HINTS.get(_SESSION_TAKEN_OVER if twins else down.code or 0, "")
        if twins:
            hint = f"{self._short_lived} times soon after connecting; perhaps {hint}"
        problem = f"{down.reason}; {hint}" if hint else down.reason
        if problem != self._problem or was_up is not None:
            _log.warning("mqtt: %s", problem)
        self._problem = problem
        refused_5 = was_up is None and self._version == "5" and _blames_version(down)
        if self._auto:
            self._version = "3.1.1" if refused_5 else "5"
            if refused_5:
                self._dial_at = moment
                return
        self._dial_at = moment + self._pause(down.code)

    def _pause(self, code: int | None) -> float:
        cap = min(self._longest_pause_s, FIRST_PAUSE_S * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        if code in _LOGIN:
            return self._longest_pause_s * (0.5 + 0.5 * self._random())
        if code in _SLOW:
            return min(self._longest_pause_s, STABLE_S) * (1.0 + self._random())
        return cap * self._random()

    def _on_acknowledged(self, event: Acknowledged) -> None:
        self._heard_at = self._clock.monotonic()
        message = self._in_flight.pop(event.token, None)
        if message is None:
            return
        if event.code == _QUOTA:
            self._link.drop()
        elif event.code >= _REFUSAL:
            _log.warning("mqtt: broker refuses %s on %s", message.id, message.topic)
            self._outbox.refused(message.id, event.reason)
        else:
            self._acknowledged.append(message.id)

    def _carry(self, now: datetime | None, moment: float) -> float:
        self.write_down()
        up = self._up
        assert up is not None
        if not self._in_flight:
            self._heard_at = moment
        elif moment - self._heard_at >= SILENT_S:
            _log.warning("mqtt: nothing acknowledged for %.0f s: connecting anew", SILENT_S)
            self._link.drop()
            return SILENT_S
        room = up.window - len(self._in_flight)
        if room > 0:
            for entry in self._outbox.due(now, after=self._last_seq, limit=room):
                if not self._send(entry.message, now, up):
                    break
                self._last_seq = entry.seq
        return SILENT_S

    def _send(self, message: Message, now: datetime | None, up: Up) -> bool:
        size = len(message.payload) + len(message.topic.encode()) + _ENVELOPE_BYTES
        if up.largest is not None and size > up.largest:
            self._outbox.refused(message.id, f"longer than the broker takes ({up.largest} bytes)")
            return True
        expiry_s = None
        if now is not None and message.expires_at is not None:
            expiry_s = max(1, math.ceil((message.expires_at - now).total_seconds()))
        token = self._link.publish(
            Outgoing(
                message.topic,
                message.payload,
                retain=message.retain,
                expiry_s=expiry_s,
                correlation=message.correlation,
                headers=message.headers,
            )
        )
        if token is None:
            return False
        self._in_flight[token] = message
        return True

    def _presence(self, word: bytes) -> Outgoing:
        return Outgoing(self._availability, word, retain=True, json=False)


def _blames_version(down: Down) -> bool:
    return down.code == _UNSUPPORTED_VERSION or (down.code is None and down.reached)
