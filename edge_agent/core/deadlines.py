"""Puts the deadlines of waiting messages right when the clock is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from edge_agent.system.clock_trust import Timekeeper


class MessageQueue(Protocol):
    """A queue whose messages expire. Its methods raise `StorageError` when the disk refuses."""

    def last_place(self) -> int:
        """Place of the newest message; 0 where none waits."""

    def postpone(self, after: int, by: timedelta) -> None:
        """Move the deadlines of the messages behind a place."""

    def bound(self, now: datetime) -> None:
        """Let messages that a wrong clock dated be valid for their own length from now."""


class Deadlines:
    """Follows the clock: a message is valid for its own length, whatever the clock was.

    What was queued while nobody vouched for the clock moves with it when it is set. What an earlier
    run dated in the future, or on an untrusted clock, is put right once somebody vouches for the
    time.

    Args:
        time: Judges the clock.
        queues: What waits.
    """

    def __init__(self, time: Timekeeper, queues: Sequence[MessageQueue]) -> None:
        self._time = time
        self._queues = queues
        self._unsure_after: list[int] | None = None
        self._bounded = False

    def follow(self) -> bool:
        """Do what the clock asks for, before messages are queued or expire.

        Returns:
            Whether somebody vouches for the clock.

        Raises:
            StorageError: The disk refused.
        """
        queues, moved = self._queues, self._time.moved()
        places = self._unsure_after
        if moved and places is not None:
            for queue, place in zip(queues, places, strict=True):
                queue.postpone(place, moved)
        if not self._time.vouched():
            self._bounded = False
            if places is None:
                self._unsure_after = [queue.last_place() for queue in queues]
            return False
        self._unsure_after = None
        if not self._bounded:
            for queue in queues:
                queue.bound(self._time.surely_passed())
            self._bounded = True
        return True
