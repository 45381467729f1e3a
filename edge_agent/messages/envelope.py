"""What all payloads share: sender, ids, times, retention. Pure.

An id is made of a message's content and hour. The same hour worked twice gives the same ids, and
the outbox takes each id once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.messages.message import Kind, Message
from edge_agent.messages.payloads import schema_name

if TYPE_CHECKING:
    from edge_agent.contract.clock_state import ClockState
    from edge_agent.messages.locale import Locale
    from edge_agent.messages.payloads import Base, Input
    from edge_agent.messages.topics import Topics

_TIME_KEYS: Final = {"issued_at", "valid_from", "valid_until", "inputs"}
"""Keys that change with time alone: times, and ages of inputs."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MessageContext:
    """Sender, time and inputs: the same for every message of one cycle.

    Attributes:
        topics: Topics of this device.
        locale: Language and zone of texts.
        now: Aware UTC time of the cycle.
        clock: How far `now` can be trusted.
        source: Rung of the forecast ladder.
        release: Model release that took part.
        inputs: Observations behind the decision, and their age.
        state_valid: How long a state counts as current.
        historical: The cycle was worked late, for an hour long past.
    """

    topics: Topics
    locale: Locale
    now: datetime
    clock: ClockState
    source: str
    release: int | None
    inputs: tuple[Input, ...] = ()
    state_valid: timedelta = timedelta(hours=3)
    historical: bool = False


def base(
    context: MessageContext,
    kind: str,
    key: str,
    *,
    valid: timedelta | None = None,
    every: timedelta = timedelta(hours=1),
) -> dict[str, Any]:
    """The keys of `payloads.Base`.

    Args:
        context: Sender and time.
        kind: Of the message, see `payloads.SCHEMAS`.
        key: What it is about: part of its id.
        valid: From now on; the context's `state_valid` by default.
        every: Span within which the id stays the same.
    """
    now = context.now.replace(microsecond=0)
    moment = now - (now - _EPOCH) % every
    return {
        "schema": schema_name(kind),
        "id": f"{context.topics.root}/{key}/{moment:%Y%m%dT%H%M%SZ}",
        "issued_at": now,
        "valid_from": now,
        "valid_until": now + (valid or context.state_valid),
        "source": context.source,
        "model_release": context.release,
        "clock": context.clock,
        "historical": context.historical,
    }


def state(topic: str, payload: Base, kind: Kind) -> Message:
    """A retained state; within an hour its id differs by content and not by time."""
    return retained(topic, _marked(payload), kind)


def late(topic: str, payload: Base) -> Message:
    """A message about past hours: its id is made as that of a state, and it is not retained."""
    return replace(passing(topic, _marked(payload), Kind.TELEMETRY), collapse=topic)


def _marked(payload: Base) -> Base:
    plain = msgspec.to_builtins(payload)
    content = {key: value for key, value in plain.items() if key not in _TIME_KEYS}
    return msgspec.structs.replace(payload, id=f"{payload.id}-{digest(content)}")


def digest(content: object) -> str:
    """Twelve hex digits of the SHA-256 of a value as JSON."""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:12]


def retained(topic: str, payload: Base, kind: Kind) -> Message:
    """A retained message; the newest of a topic replaces one that waits."""
    return replace(passing(topic, payload, kind), retain=True, collapse=topic)


def passing(topic: str, payload: Base, kind: Kind) -> Message:
    """A message that is not retained."""
    # Headers let a broker route messages without decoding them.
    release = payload.model_release
    headers = {"schema": payload.schema} | ({} if release is None else {"release": str(release)})
    return Message(
        id=payload.id,
        topic=topic,
        payload=msgspec.json.encode(payload),
        kind=kind,
        expires_at=payload.valid_until,
        headers=tuple(headers.items()),
    )


def forget(topic: str, name: str) -> Message:
    """Delete the retained message of a topic; `name` is the id of the message that does it."""
    # An empty retained payload deletes the retained message (MQTT 5, 3.3.1.3).
    return Message(id=name, topic=topic, payload=b"", kind=Kind.STATE, retain=True, collapse=topic)
