"""A link to a broker that is not there: records what is asked, answers when told to."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from edge_agent.mqtt.connection import Acknowledged, Event, Outgoing, Up

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from edge_agent.mqtt.connection import Subscription, Version


class FakeLink:
    """`mqtt.connection.Connection`. Reports nothing by itself unless `report` is given.

    With `report` it behaves like a good broker: it accepts all, with a PUBACK for each message, but
    keeps nothing.
    """

    def __init__(self, report: Callable[[Event], None] | None = None) -> None:
        self._report = report
        self._numbers = count(1)
        self.attempts: list[Version] = []
        self.sent: list[tuple[int, Outgoing]] = []
        self.asked: list[tuple[Subscription, ...]] = []
        self.left: list[tuple[Subscription, ...]] = []
        self.dropped = 0
        self.last_words: list[Outgoing | None] = []
        self.gone = False
        self.broker = "a"
        self._answered = 0

    def answers(self, *topics: str) -> list[Acknowledged]:
        """PUBACKs of what was sent on these topics since the last call."""
        sent, self._answered = self.sent[self._answered :], len(self.sent)
        return [Acknowledged(token, 0, "Success") for token, m in sent if m.topic in topics]

    @property
    def topics(self) -> list[str]:
        """Topics in the order they were sent."""
        return [message.topic for _, message in self.sent]

    def connect(self, version: Version, without: Collection[int] = ()) -> None:  # noqa: ARG002 - the interface has it
        """Record, and say yes where told to."""
        self.attempts.append(version)
        if self._report is not None:
            self._report(Up(version, window=10, largest=None))

    def take_over(self, before: FakeLink) -> bool:
        """Go on with what another one was asked, where both are for the same broker."""
        if before.broker != self.broker:
            return False
        self.sent, self.asked, self._numbers = before.sent, before.asked, before._numbers
        return True

    def publish(self, message: Outgoing) -> int | None:
        """Record, and acknowledge where told to; None while `gone`."""
        if self.gone:
            return None
        token = next(self._numbers)
        self.sent.append((token, message))
        if self._report is not None:
            self._report(Acknowledged(token, 0, "Success"))
        return token

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Record."""
        self.asked.append(tuple(subscriptions))

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Record."""
        self.left.append(tuple(subscriptions))

    def drop(self, *, cleanly: bool = False) -> None:  # noqa: ARG002 - the interface has it
        """Count."""
        self.dropped += 1

    def disconnect(self, last: Outgoing | None, timeout_s: float) -> None:  # noqa: ARG002 - the interface has it
        """Record."""
        self.last_words.append(last)
