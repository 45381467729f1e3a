"""Finds the message on which a broker ends the connection. Pure; times are monotonic seconds.

Rules (tests name the numbers):

1. When a connection ends with several messages unacknowledged, each of them is suspect: from then
   on one message is under way at a time, until no suspect is left or nothing waits.
2. When a connection ends with one message unacknowledged, its topic is put last: it waits until all
   else is acknowledged, and then one message of it is under way alone.
3. When a connection ends on a topic that was put last, the message is set aside, and the topic
   waits for `FIRST_S`, then `FACTOR` times longer each time, up to `LONGEST_S`.
4. It need not wait that long after a connection that ended otherwise, or when a person asks.
5. An answer to a message ends all that for its topic.
6. A message no shorter than the shortest that was set aside is put last from the beginning, until
   one of that length is acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Set as AbstractSet

    from edge_agent.mqtt.outbox import QueuedMessage

FIRST_S: Final = 300.0
FACTOR: Final = 4
LONGEST_S: Final = 21_600.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A message under way.

    Attributes:
        topic: Its topic.
        size: Bytes of its packet, about.
        length: Bytes of its payload.
        id: In the outbox; empty for what does not come from there.
        retain: The broker keeps it for later subscribers.
        ahead: It leaves the outbox before others.
        again: The broker had refused it, and it is still a dead letter.
    """

    topic: str
    size: int
    length: int = 0
    id: str = ""
    retain: bool = False
    ahead: bool = False
    again: bool = False

    @classmethod
    def of(cls, entry: QueuedMessage, size: int, *, again: bool = False) -> Self:
        """A message of the outbox whose packet has so many bytes."""
        message = entry.message
        length = len(message.payload)
        return cls(
            message.topic, size, length, message.id, message.retain, entry.ahead, again=again
        )


@dataclass(frozen=True, slots=True)
class _Last:
    """A topic that is put last: how often a connection ended on it, and until when it waits."""

    ends: int
    until: float


class CulpritSearch:
    """State of the search over all connections of one delivery."""

    def __init__(self) -> None:
        self._suspects: set[Sent] = set()
        self._last: dict[str, _Last] = {}
        self._reasons: dict[str, str] = {}
        self._passed = 0
        self._too_long: int | None = None

    @property
    def one_at_a_time(self) -> bool:
        """Whether only one message may be under way."""
        return bool(self._suspects)

    @property
    def last(self) -> AbstractSet[str]:
        """Topics that are put last."""
        return self._last.keys()

    @property
    def reasons(self) -> dict[str, str]:
        """Topic -> why, of those that are set aside and do not come from the outbox."""
        return self._reasons

    def ready(self, moment: float) -> list[str]:
        """Topics that are put last and need not wait any longer, the one that waited longest first.

        Their order changes by the ends of connections, so that each gets its turn.
        """
        waits = sorted((last.until, topic) for topic, last in self._last.items())
        return [topic for until, topic in waits if until <= moment]

    def ended(
        self, sent: Collection[Sent], moment: float, *, named: bool = False
    ) -> tuple[Sent, str] | None:
        """A connection ended; what is to be set aside, and why.

        Args:
            sent: What was unacknowledged.
            moment: Now.
            named: The broker said that it was the message, where there is only one.
        """
        self._suspects = set(sent) if len(sent) > 1 else set()
        if len(sent) != 1:
            return None
        (only,) = sent
        if named:
            self.put_last([only.topic], moment)
        before = self._last.get(only.topic)
        ends = 1 if before is None else before.ends + 1
        pause_s = 0.0 if ends == 1 else min(FIRST_S * FACTOR ** (ends - 2), LONGEST_S)
        self._last[only.topic] = _Last(ends, moment + pause_s)
        if ends == 1:
            return None
        reason = f"it ends the connection when it gets this message of {only.size} bytes"
        if only.size > self._passed:
            self._too_long = min(only.size, self._too_long or only.size)
            reason += f" (the longest it took has {self._passed})"
        if not only.id:
            self._reasons[only.topic] = reason
        return only, reason

    def answered(self, sent: Sent, *, taken: bool) -> None:
        """The broker has answered this one, and has taken it or refused it."""
        self._suspects.discard(sent)
        self._last.pop(sent.topic, None)
        self._reasons.pop(sent.topic, None)
        if taken:
            self._passed = max(self._passed, sent.size)
        if self._too_long is not None and self._passed >= self._too_long:
            self._too_long = None

    def is_suspect_by_size(self, sent: Sent) -> bool:
        """Whether rule 6 puts it last."""
        return self._too_long is not None and sent.size >= self._too_long

    def suspect_size(self, size: int) -> None:
        """A connection ended on a packet of this size that was none of the messages."""
        if size > self._passed:
            self._too_long = min(size, self._too_long or size)

    def put_last(self, topics: Collection[str], moment: float) -> None:
        """Let these topics go last; the next end of a connection on one sets a message aside."""
        for topic in topics:
            self._last.setdefault(topic, _Last(1, moment))

    def drained(self) -> None:
        """Nothing waits any more: suspects that were replaced or have expired are none."""
        self._suspects.clear()

    def forget(self, topic: str) -> None:
        """Nothing waits on this topic that is put last."""
        self._last.pop(topic, None)

    def renew(self, moment: float) -> None:
        """Let no topic wait any longer (rule 4)."""
        self._last = {
            topic: _Last(last.ends, min(moment, last.until)) for topic, last in self._last.items()
        }
