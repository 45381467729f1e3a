"""Messages as the outbox holds them. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Kind(StrEnum):
    """Class of a message; when room is short the last of these is dropped first."""

    ALERT = "alert"
    STATE = "state"
    TELEMETRY = "telemetry"


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message, always with QoS 1.

    Attributes:
        id: Stable over resends and restarts; the outbox takes each id once.
        topic: Full topic.
        payload: Bytes as they go out.
        kind: Class.
        retain: The broker keeps it for later subscribers.
        expires_at: UTC; not sent at or after that time. None = never.
        collapse: States only: a newer message with the same key replaces one that still waits.
        correlation: Copied from a request into its answer (MQTT 5).
        headers: Name and value pairs, user properties under MQTT 5; lost under 3.1.1.
    """

    id: str
    topic: str
    payload: bytes
    kind: Kind
    retain: bool = False
    expires_at: datetime | None = None
    collapse: str | None = None
    correlation: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
