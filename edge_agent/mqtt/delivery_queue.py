"""The interface of a delivery to the queue of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from edge_agent.mqtt.outbox import QueuedMessage


class DeliveryQueue(Protocol):
    """The methods of an outbox that a delivery calls."""

    def due(
        self, now: datetime | None, *, without: Collection[str] = (), limit: int = 10
    ) -> list[QueuedMessage]:
        """The messages that are to leave first, but for some topics."""
        ...

    def delivered(self, ids: Iterable[str], unheard: Iterable[str] = ()) -> None:
        """The broker has these; nobody has got those of them that are `unheard`."""
        ...

    def refused(self, name: str, reason: str, *, hung_up: bool = False) -> None:
        """The broker does not take this one, and maybe ended the connection on it."""
        ...

    def refused_topics(self, *, ahead: bool) -> tuple[str, ...]:
        """Topics of refused messages that may be tried again: of those that leave first, or not.

        Without what ended a connection, and without topics on which another message waits.
        """
        ...

    def oldest_refused(self, topic: str, now: datetime | None) -> QueuedMessage | None:
        """The oldest of those messages on a topic; None where there is none any more."""
        ...

    def revive(self, topic: str | None = None) -> frozenset[str]:
        """Queue again what was refused on a topic, or all but what ended a connection.

        Returns:
            Topics of what ended a connection and is not queued again.
        """
        ...

    def republish_retained(self, now: datetime | None) -> int:
        """Queue retained messages once more."""
        ...
