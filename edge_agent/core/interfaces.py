"""Interfaces of the service's loop, and what it reports. Tests give their own implementations."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from edge_agent.core.events import Item
    from edge_agent.mqtt.connection import ConnectionState, Event, Received
    from edge_agent.system.ports import Clock


@dataclass(frozen=True, slots=True)
class Schedule:
    """When regular work is done.

    Attributes:
        poll_interval_s: Mean time between two updates.
        spread_s: Each device of a fleet works its hour up to so much later, at a moment of its own.
    """

    poll_interval_s: float
    spread_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """State of the service at one moment; its loop makes one in each turn.

    Attributes:
        link: The connection to the broker.
        faults: Job -> its error; empty where all is well.
        outcome: One line about the last cycle.
        cycle_s: Duration of the last cycle; None before the first.
        updated_at: Time of the last update that succeeded, UTC; None before the first.
    """

    link: ConnectionState
    faults: Mapping[str, str]
    outcome: str
    cycle_s: float | None
    updated_at: datetime | None


class Work(Protocol):
    """What the service does, on the loop's thread unless it says otherwise."""

    @property
    def schedule(self) -> Schedule:
        """The schedule that the configuration sets now."""

    def ready(self) -> bool:
        """Whether a good release is installed."""

    def known_time(self) -> datetime | None:
        """UTC, or None while nobody vouches for the wall clock; called in each turn of the loop."""

    def cycle(self, now: datetime, problems: Sequence[str]) -> str:
        """Work the hour and report `problems` in `/health`; one line about the outcome."""

    def watch(self, now: datetime, problems: Sequence[str]) -> None:
        """Evaluate the rules, and report `problems` in `/health`; once a minute."""

    def take(self, message: Received) -> None:
        """Take a sensor's message or a command."""

    def fetch(self) -> bool:
        """Pull release and observations, in a thread of its own; whether anything was new."""

    def reload(self) -> MessageDelivery:
        """Read the configuration anew; a delivery for it. An error leaves everything as it was."""

    def close_replaced(self) -> None:
        """Close what an earlier delivery used; called once it is disconnected."""

    def check_disk(self) -> None:
        """Called in each turn of the loop.

        Raises:
            StorageError: The disk takes long to write; nothing is lost.
        """

    @property
    def in_memory(self) -> bool:
        """Whether everything is held in memory, since the disk refuses."""

    def move_to_memory(self) -> MessageDelivery | None:
        """Make room on a disk that refuses, or else continue in memory.

        Returns:
            A delivery for the database in memory; None when there is room again.
        """

    def move_to_disk(self) -> MessageDelivery | None:
        """Move from memory back to the disk; a delivery for it, or None while it still refuses."""


class MessageDelivery(Protocol):
    """Carries messages to the broker, and its events to the loop."""

    @property
    def state(self) -> ConnectionState:
        """State of the connection."""

    def take_over(self, before: Self) -> bool:
        """Continue on the connection of another one; False where that has to be ended."""

    def tick(self, now: datetime | None) -> float:
        """Do what is due; seconds until the next time."""

    def handle(self, event: Event) -> bool:
        """Take an event of the connection; False where it is not for the delivery."""

    def retry(self) -> None:
        """Send and subscribe to what the broker has refused once more."""

    def disconnect(self, timeout_s: float) -> None:
        """Publish `offline` and disconnect, or give up an attempt."""

    def remove_acknowledged(self) -> None:
        """Remove what was acknowledged."""


class EventSource(Protocol):
    """An event queue; that of the tests advances the clock."""

    def put(self, item: Item) -> None:
        """Add an item."""

    def get(self, timeout_s: float) -> Item | None:
        """Next item, or None after the time."""


class Systemd(Protocol):
    """Takes lines of the sd_notify protocol."""

    watchdog_s: float | None

    def send(self, *lines: str) -> None:
        """Send lines."""


def start_daemon(target: Callable[[], None]) -> None:
    """Run a function in a daemon thread: an update that hangs must not keep the process alive."""
    threading.Thread(target=target, name="update", daemon=True).start()


@dataclass(frozen=True, slots=True)
class Host:
    """What the loop uses of the machine it runs on.

    Attributes:
        systemd: Takes reports.
        clock: Time.
        random: Uniform numbers in [0, 1), for jitter.
        start_thread: Runs the update beside the loop.
    """

    systemd: Systemd
    clock: Clock
    random: Callable[[], float]
    start_thread: Callable[[Callable[[], None]], None] = start_daemon
