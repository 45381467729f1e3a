"""Interfaces of the service's loop, and what it reports. Tests give their own implementations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from edge_agent.core.events import Item
    from edge_agent.mqtt.connection import Event, Received
    from edge_agent.mqtt.delivery import ConnectionState


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
    def pace(self) -> Schedule:
        """As the configuration has it now."""
        ...

    def ready(self) -> bool:
        """Whether a good release is installed."""
        ...

    def known_time(self) -> datetime | None:
        """UTC, or None while the wall clock cannot be trusted."""
        ...

    def cycle(self, now: datetime, problems: Sequence[str]) -> str:
        """Work the hour, and let `/health` tell of problems; a line about its outcome."""
        ...

    def watch(self, now: datetime) -> None:
        """Once a minute: rules on live sensors."""
        ...

    def take(self, message: Received) -> None:
        """A sensor's message or a command."""
        ...

    def fetch(self) -> bool:
        """Pull release and observations, in a thread of its own; whether anything was new."""
        ...

    def reload(self) -> MessageDelivery:
        """Take the configuration anew: a delivery for it. Or raise, and keep all as it was."""
        ...

    def settle(self) -> None:
        """After a new delivery took over: the old one has parted, close what it used."""
        ...

    @property
    def sheltered(self) -> bool:
        """Whether everything is kept in memory, since the disk refuses."""
        ...

    def shelter(self) -> MessageDelivery | None:
        """The disk has refused: make room, or go on in memory with a delivery for it.

        None when there is room again.
        """
        ...

    def go_home(self) -> MessageDelivery | None:
        """Move from memory back to the disk; a delivery for it, or None while it still refuses."""
        ...


class MessageDelivery(Protocol):
    """The delivery, as seen from here."""

    @property
    def state(self) -> ConnectionState:
        """How the connection stands."""
        ...

    def tick(self, now: datetime | None) -> float:
        """Do what is due; seconds until the next time."""
        ...

    def handle(self, event: Event, now: datetime | None) -> bool:
        """Take in an event of the link; False where it is not the delivery's."""
        ...

    def hang_up(self, timeout_s: float) -> None:
        """Say `offline` and disconnect, or give up an attempt."""
        ...

    def write_down(self) -> None:
        """Remove what was acknowledged."""
        ...


class EventSource(Protocol):
    """An inbox; tests give one that turns the clock."""

    def put(self, item: Item) -> None:
        """Add an item."""
        ...

    def get(self, timeout_s: float) -> Item | None:
        """Next item, or None after the time."""
        ...


class Systemd(Protocol):
    """systemd's ear."""

    watchdog_s: float | None

    def send(self, *lines: str) -> None:
        """Say lines."""
        ...
