"""A ping to oneself through the broker, so that "connected but silent" is noticed. Pure.

Rules (tests name the numbers):

1. A ping every `EVERY_S` seconds, the first one soon after connecting.
2. One that is not back after `PATIENCE_S` seconds: ask for the subscription again, ping again.
3. Missed again: where pings have come back before, the connection is worth nothing: drop it. Where
   none ever came back the broker hides the topic: that is said, and pings go on without judgement.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

EVERY_S: Final = 300.0
PATIENCE_S: Final = 30.0
_SOON_S: Final = 10.0


class PingAction(Enum):
    """What a delivery should do now."""

    NOTHING = "nothing"
    PING = "ping"
    SUBSCRIBE = "subscribe again, then ping"
    DROP = "drop the connection"


class LoopbackPing:
    """Judges one delivery's connections; times are seconds of a monotonic clock.

    Attributes:
        deaf: No ping has come back though one should have: said to people.
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
        """Seconds until `judge` may have something to say."""
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
