"""A ping to oneself through the broker, which notices a connection that delivers nothing.

Rules (tests name the numbers):

1. A ping every `EVERY_S` seconds, the first one soon after connecting.
2. When one is not back after `PATIENCE_S` seconds: subscribe again and ping again.
3. When that one is missed too: where pings have come back before, drop the connection. Where none
   ever came back the broker hides the topic: report that, and go on pinging.
"""

from __future__ import annotations

import logging
from enum import Enum
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt.connection import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_agent.mqtt.connection import Received
    from edge_agent.mqtt.sender import Sender

_log = logging.getLogger(__name__)

EVERY_S: Final = 300.0
PATIENCE_S: Final = 30.0
_SOON_S: Final = 10.0


class PingAction(Enum):
    """What to do now."""

    NOTHING = "nothing"
    PING = "ping"
    SUBSCRIBE = "subscribe again, then ping"
    DROP = "drop the connection"


class LoopbackPing:
    """State of the pings over all connections. Pure; times are seconds of a monotonic clock.

    Attributes:
        deaf: No ping has come back though one should have.
    """

    def __init__(self) -> None:
        self.deaf = False
        self._heard_before = False
        self._number = 0
        self._missed = 0
        self._sent_at: float | None = None
        self._next_at = 0.0

    def connected(self, moment: float) -> None:
        """A connection stands."""
        self._missed, self._sent_at, self._next_at = 0, None, moment + _SOON_S

    def due_in(self, moment: float) -> float:
        """Seconds until `judge` may have something to do."""
        at = self._next_at if self._sent_at is None else self._sent_at + PATIENCE_S
        return max(at - moment, 0.0)

    def judge(self, moment: float) -> PingAction:
        """What to do now; call it often while connected."""
        if self._sent_at is None:
            return PingAction.PING if moment >= self._next_at else PingAction.NOTHING
        if moment - self._sent_at < PATIENCE_S:
            return PingAction.NOTHING
        self._sent_at = None
        self._missed += 1
        if self._missed == 1:
            return PingAction.SUBSCRIBE
        self.deaf = not self._heard_before
        if self.deaf:
            self._next_at = moment + EVERY_S
            return PingAction.NOTHING
        self._heard_before = False
        return PingAction.DROP

    def next_payload(self, moment: float) -> bytes:
        """Payload of the ping that is sent now."""
        self._number += 1
        self._sent_at = moment
        return self._payload()

    def hear(self, payload: bytes, moment: float) -> None:
        """A message on the ping's topic; only the ping under way counts."""
        if self._sent_at is None or payload != self._payload():
            return
        self.deaf, self._heard_before, self._missed = False, True, 0
        self._sent_at, self._next_at = None, moment + EVERY_S

    def _payload(self) -> bytes:
        return b'{"ping": %d}' % self._number


class LoopbackCheck:
    """Sends the pings of one delivery and drops a connection that they do not come back on.

    Args:
        sender: Of the same delivery.
        topic: Topic of the pings; empty = none are sent.
        subscribe: Asks for all messages again (rule 2).
    """

    def __init__(self, sender: Sender, topic: str, subscribe: Callable[[], None]) -> None:
        self._sender = sender
        self._topic = topic
        self._subscribe = subscribe
        self._ping = LoopbackPing()

    def connected(self, moment: float) -> None:
        """A connection stands."""
        self._ping.connected(moment)

    def hear(self, message: Received, moment: float) -> bool:
        """Take in a message; False where it is no ping."""
        if message.topic != self._topic:
            return False
        self._ping.hear(message.payload, moment)
        return True

    def check(self, moment: float) -> float:
        """Send or judge a ping where one is due; seconds until the next call is due."""
        if not self._topic:
            return EVERY_S
        was_deaf = self._ping.deaf
        match self._ping.judge(moment):
            case PingAction.DROP:
                _log.warning("mqtt: own messages do not come back any more: connecting anew")
                self._sender.drop()
                return EVERY_S
            case PingAction.SUBSCRIBE:
                self._subscribe()
                self._send(moment)
            case PingAction.PING:
                self._send(moment)
            case PingAction.NOTHING:
                pass
        if not was_deaf:
            for concern in self.concerns():
                _log.warning("mqtt: %s", concern)
        return self._ping.due_in(moment)

    def concerns(self) -> Iterator[str]:
        """What is wrong though the connection stands, for people."""
        if self._ping.deaf:
            yield f"own messages do not come back: let this client write and read {self._topic}"

    def _send(self, moment: float) -> None:
        payload = self._ping.next_payload(moment)
        self._sender.publish(Outgoing(self._topic, payload, expiry_s=int(PATIENCE_S)), moment)
