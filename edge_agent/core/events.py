"""Events for the service's loop, from other threads and from signal handlers."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from edge_agent.mqtt.connection import Event, Received

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Signal(Enum):
    """Request of a person or of systemd."""

    STOP = "stop"
    RELOAD = "reload"
    CYCLE = "cycle"
    FETCH = "fetch"
    WATCH = "watch"
    RETRY = "retry"
    """What the broker refused is to be sent once more."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Result of an update: whether it brought anything, or why it failed."""

    news: bool
    fault: Exception | None = None


@dataclass(frozen=True, slots=True)
class LoopCall:
    """A call to be made on the loop's thread; `call` hands its result over by itself."""

    call: Callable[[], None]


Item = Event | Signal | Fetched | LoopCall


class LoopBusy(Exception):  # noqa: N818 - named by treatment
    """The loop did not take a call in time; it makes it later."""


def on_loop(put: Callable[[Item], None], call: Callable[[], T], timeout_s: float) -> T:
    """Result of a call that the loop makes on its own thread; what it raises is raised here too.

    Args:
        put: Puts an item into the loop's queue.
        call: What to do.
        timeout_s: Longest time to wait.

    Raises:
        LoopBusy: It was not made in time.
    """
    done = threading.Event()
    results: list[T] = []
    faults: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as fault:
            faults.append(fault)
            raise
        finally:
            done.set()

    put(LoopCall(run))
    if not done.wait(timeout_s):
        raise LoopBusy
    if faults:
        raise faults[0]
    return results[0]


class EventQueue:
    """Queue of the events, filled by other threads and by signal handlers."""

    def __init__(self, most_received: int = 5_000) -> None:
        # SimpleQueue may be used inside a signal handler, Queue may not.
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._most_received = most_received
        self.dropped = 0
        """MQTT messages that came faster than they could be taken."""

    def put(self, item: Item) -> None:
        """Add an event; MQTT messages are dropped and counted when too many wait. Never blocks."""
        if isinstance(item, Received) and self._items.qsize() >= self._most_received:
            self.dropped += 1
            return
        self._items.put(item)

    def get(self, timeout_s: float) -> Item | None:
        """The next item, or None when none came in time."""
        try:
            return self._items.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            return None
