"""Finds out how long a message may be, where a broker drops longer ones and says nothing. Pure.

A Mosquitto with `message_size_limit` acknowledges under MQTT 3.1.1 what it drops. Rules (tests name
the numbers):

1. Under 3.1.1 a message that is longer than what has come back to this client waits, and all behind
   it, while a ping of its length and then a short one are sent to oneself: of all that wait, the
   longest first.
2. The long one comes back: messages up to that length go. The short one alone comes back, twice:
   messages of that length and longer are refused.
3. Nothing comes back within `PATIENCE_S`: the broker hides the topic, and nothing waits any more.
4. Each connection, reload and request to try again begins anew. When refused messages are tried
   again in between, what was too long is tried once more.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt.connection import LARGEST_IN, Outgoing

if TYPE_CHECKING:
    from edge_agent.mqtt.connection import Received, Version
    from edge_agent.mqtt.culprit import Sent

PATIENCE_S: Final = 3.0
TIMES: Final = 2
SHORT: Final = 64
"""Bytes of a message that every broker passes on."""


class Verdict(Enum):
    """What is to be done with a message."""

    GOES = "goes"
    WAITS = "waits for a trial"
    TOO_LONG = "is longer than the broker passes on"


class LengthTrial:
    """State over all connections of one delivery; lengths are bytes of payload.

    Args:
        topic: Topic of the pings to oneself; empty = nothing waits.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._number = 0
        self.connected("5")

    def renew(self) -> None:
        """Find out anew (rule 4)."""
        self.connected(self._version)

    def connected(self, version: Version) -> None:
        """A connection stands."""
        self._version: Version = version
        self._tries = version == "3.1.1" and bool(self._topic)
        self._passed = SHORT
        self._lost: int | None = None
        self._wanted = 0
        self._missed = 0
        self._sent_at: float | None = None
        self._length = 0

    def try_again(self) -> None:
        """Find out once more whether what was too long still is (rule 4)."""
        self._lost, self._missed = None, 0

    def of_message(self, sent: Sent, largest: int | None) -> tuple[Verdict, str]:
        """What is to be done with a message, and why it is refused where it is too long.

        Args:
            sent: The message.
            largest: Longest packet that the broker says it takes in bytes, or None.
        """
        if largest is not None and sent.size > largest:
            reason = f"{sent.size} bytes are longer than the broker takes ({largest})"
            return Verdict.TOO_LONG, reason
        reason = f"a message of {sent.length} bytes does not come back: the broker drops it"
        return self.judge(sent.length), reason

    def judge(self, length: int) -> Verdict:
        """What is to be done with a message of this length."""
        if not self._tries or length <= self._passed or length > LARGEST_IN:
            return Verdict.GOES
        if self._lost is not None and length >= self._lost:
            return Verdict.TOO_LONG
        self._wanted = max(self._wanted, length)
        return Verdict.WAITS

    def pings(self, moment: float) -> tuple[Outgoing, ...]:
        """What is to be sent now."""
        if self._sent_at is not None and moment - self._sent_at >= PATIENCE_S:
            self._tries, self._sent_at = False, None
        wanted, self._wanted = self._wanted, 0
        if not self._tries or self._sent_at is not None or not wanted:
            return ()
        self._number += 1
        self._sent_at, self._length = moment, wanted
        return (self._ping(self._length), self._ping(0))

    def due_in(self, moment: float) -> float:
        """Seconds until `pings` ends a trial; infinite without one."""
        return math.inf if self._sent_at is None else max(self._sent_at + PATIENCE_S - moment, 0.0)

    def hear(self, message: Received) -> None:
        """Take in a message; only the pings under way count."""
        if self._sent_at is None or message.topic != self._topic:
            return
        if message.payload == self._ping(self._length).payload:
            self._passed, self._missed, self._sent_at = self._length, 0, None
        elif message.payload == self._ping(0).payload:
            self._missed, self._sent_at = self._missed + 1, None
            if self._missed == TIMES:
                self._lost, self._missed = self._length, 0

    def ended(self) -> int | None:
        """The connection ended; size of the packet that was tried then, or None."""
        if self._sent_at is None:
            return None
        self._sent_at = None
        return self._ping(self._length).size

    def _ping(self, length: int) -> Outgoing:
        kind = b"long" if length else b"short"
        payload = b'{"%s": %d}' % (kind, self._number)
        return Outgoing(self._topic, payload.ljust(length))
