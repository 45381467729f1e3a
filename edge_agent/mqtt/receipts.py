"""What the broker has acknowledged, until it is written to the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.mqtt.reason_codes import NO_SUBSCRIBER

if TYPE_CHECKING:
    from edge_agent.mqtt.culprit import Sent
    from edge_agent.mqtt.delivery_queue import DeliveryQueue


class Receipts:
    """Messages of the outbox that were acknowledged, in order."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._unheard: set[str] = set()
        self._taken: list[str] = []

    def add(self, sent: Sent, code: int) -> None:
        """The broker has taken a message, with this reason code."""
        if sent.again:
            self._taken.append(sent.topic)
        self._ids.append(sent.id)
        # A state is retained for whoever comes; an event is gone.
        if code == NO_SUBSCRIBER and not sent.retain:
            self._unheard.add(sent.id)

    def write(self, outbox: DeliveryQueue) -> None:
        """Remove them from the outbox; what was refused before on their topics waits again.

        Raises:
            StorageError: The disk refused; call again.
        """
        while self._taken:
            outbox.revive(self._taken[0])
            del self._taken[0]
        if self._ids:
            outbox.delivered(tuple(self._ids), frozenset(self._unheard))
            self._ids.clear()
            self._unheard.clear()
