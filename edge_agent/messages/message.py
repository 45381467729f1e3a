"""Messages as the outbox holds them. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from datetime import timedelta


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


class _Envelope(msgspec.Struct):
    issued_at: datetime
    valid_until: datetime
    clock: str = ""


def lifetime(message: Message) -> timedelta | None:
    """How long a message is valid from its beginning, as its payload says; None where it does not.

    Unlike `expires_at` this does not depend on the clock that the message was made with.
    """
    envelope = _envelope(message)
    return None if envelope is None else envelope.valid_until - envelope.issued_at


def is_misdated(message: Message) -> bool:
    """Whether its payload says that it was made on an untrusted clock."""
    envelope = _envelope(message)
    return envelope is not None and envelope.clock == "untrusted"


def put_right(message: Message, now: datetime) -> datetime | None:
    """Its deadline from `now` on, where it was dated by a wrong clock; None where that is right."""
    envelope = _envelope(message)
    if envelope is None or message.expires_at is None:
        return None
    end = now + (envelope.valid_until - envelope.issued_at)
    past = envelope.clock == "untrusted" and message.expires_at <= now
    return end if past or message.expires_at > end else None


def _envelope(message: Message) -> _Envelope | None:
    try:
        return msgspec.json.decode(message.payload, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
