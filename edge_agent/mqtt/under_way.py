"""Messages that were sent and wait for their PUBACK. Times are monotonic seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_agent.mqtt.culprit import Sent

SILENT_S: Final = 60.0
ALONE_S: Final = 15.0
"""How long a message that is put last may hold up all others without an answer."""


class UnderWay:
    """Messages under way by the token of the connection."""

    def __init__(self) -> None:
        self._sent: dict[int, Sent] = {}
        self._answered_at = 0.0

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def ids(self) -> frozenset[str]:
        """Their ids in the outbox."""
        return frozenset(sent.id for sent in self._sent.values())

    @property
    def tried(self) -> frozenset[str]:
        """Topics of messages that were refused before."""
        return frozenset(sent.topic for sent in self._sent.values() if sent.again)

    def connected(self, moment: float) -> None:
        """A connection stands."""
        self._answered_at = moment

    def add(self, token: int, sent: Sent) -> None:
        """A message is sent."""
        self._sent[token] = sent

    def answered(self, token: int, moment: float) -> Sent | None:
        """The message that the broker has answered; None where it is not known."""
        self._answered_at = moment
        return self._sent.pop(token, None)

    def ended(self) -> list[Sent]:
        """The connection is over; what was unanswered."""
        sent = list(self._sent.values())
        self._sent.clear()
        return sent

    def is_on(self, topics: Collection[str]) -> bool:
        """Whether one of them is on one of these topics."""
        return any(sent.topic in topics for sent in self._sent.values())

    def is_silent(self, moment: float, last: Collection[str]) -> bool:
        """Whether nothing was acknowledged for too long; `last` are topics that are put last."""
        if not self._sent:
            self._answered_at = moment
        return moment - self._answered_at >= (ALONE_S if self.is_on(last) else SILENT_S)
