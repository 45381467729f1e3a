"""When messages are tried again that the broker refused by an answer. Times are monotonic seconds.

A broker whose access list was mended (Mosquitto: SIGHUP) tells nobody and ends no connection. Rules
(tests name the numbers):

1. Of each refused topic the oldest message is tried: events, states of alerts and answers to
   commands every `AHEAD_S`, others every `OTHERS_S`. A try writes nothing to the disk.
2. When a message of the first kind is accepted, refused ones of that kind are tried at once, but
   not sooner than `LEAST_S` after their last try.
3. A topic is not tried while another message of it waits, which tries it as well.
4. What ended a connection is not tried here: each try would end another one (`mqtt.culprit`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from edge_agent.mqtt.delivery_queue import DeliveryQueue
    from edge_agent.mqtt.outbox import QueuedMessage

AHEAD_S: Final = 60.0
OTHERS_S: Final = 300.0
LEAST_S: Final = 5.0


class RefusedRetry:
    """Topics to be tried, in order.

    Args:
        outbox: Holds the refused messages.
    """

    def __init__(self, outbox: DeliveryQueue) -> None:
        self._outbox = outbox
        self._ahead_at = self._others_at = 0.0
        self._tried_at = float("-inf")
        self._pending: list[str] = []

    def begin(self, moment: float) -> bool:
        """Start what is due; whether there is something to try.

        Raises:
            StorageError: The disk refused; call again.
        """
        due: list[str] = []
        if moment >= self._ahead_at:
            due += self._outbox.refused_topics(ahead=True)
            self._ahead_at, self._tried_at = moment + AHEAD_S, moment
        if moment >= self._others_at:
            due += self._outbox.refused_topics(ahead=False)
            self._others_at = moment + OTHERS_S
        self._pending += [topic for topic in due if topic not in self._pending]
        return bool(due)

    def entries(self, now: datetime | None, *, without: Collection[str]) -> Iterator[QueuedMessage]:
        """Messages whose turn it is, until `done` with their topics.

        Args:
            now: UTC, or None while nobody vouches for the clock.
            without: Topics that are not tried this time.

        Raises:
            StorageError: The disk refused; call again.
        """
        for topic in tuple(self._pending):
            entry = None if topic in without else self._outbox.oldest_refused(topic, now)
            if entry is None:
                self.done(topic)
            else:
                yield entry

    def done(self, topic: str) -> None:
        """The topic is tried, or cannot be."""
        self._pending.remove(topic)

    def clear(self) -> None:
        """Everything is sent again anyway."""
        self._pending.clear()

    def accepted(self, moment: float) -> None:
        """The broker has taken a message that leaves first (rule 2)."""
        self._ahead_at = min(self._ahead_at, max(moment, self._tried_at + LEAST_S))

    def due_in(self, moment: float) -> float:
        """Seconds until `begin` has something to do."""
        return max(min(self._ahead_at, self._others_at) - moment, 0.0)
