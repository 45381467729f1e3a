"""KMA's official warnings in a cycle: decides every kind, and collects what each one yields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from edge_agent.alerts import official, official_messages

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.alerts.official import OfficialLatch
    from edge_agent.alerts.official_store import OfficialStore
    from edge_agent.alerts.state_machine import Edge
    from edge_agent.core.cycle_context import CycleContext
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message
    from edge_agent.settings import Config


@dataclass(frozen=True, slots=True)
class OfficialResults:
    """What all kinds yield together.

    Attributes:
        edges: Alert, edge and message of every edge.
        changed: States to write.
        states: State messages.
    """

    edges: tuple[tuple[str, Edge, Message], ...] = ()
    changed: tuple[OfficialLatch, ...] = ()
    states: tuple[Message, ...] = ()


def evaluate(
    context: CycleContext, message_context: MessageContext, *, every_state: bool
) -> OfficialResults:
    """Decide every kind; nothing where no file ever came, the farm has no zone, or of a past hour.

    Args:
        context: What the cycle works with.
        message_context: Sender, time and trust in the clock.
        every_state: Send the states that did not change too.

    Raises:
        StorageError: The disk refused.
    """
    store, zone = context.official, context.config.device.zone_code
    bundle = store.bundle() if store and zone and not message_context.historical else None
    if store is None or zone is None or bundle is None:
        return OfficialResults()
    own = official.own_warnings(bundle, zone)
    max_age = max_age_of(context.config)
    limit = None if message_context.clock == "untrusted" else max_age
    edges: list[tuple[str, Edge, Message]] = []
    changed: list[OfficialLatch] = []
    states: list[Message] = []
    for before in store.all().values():
        latch, edge = official.step(before, own, zone, message_context.now, limit)
        if edge is not None:
            event = official_messages.event_message(
                message_context, latch, edge, bundle.as_of, max_age
            )
            edges.append((latch.rule, edge, event))
        if latch != before:
            changed.append(latch)
        if latch != before or every_state:
            states += official_messages.state_messages(
                message_context, latch, bundle.as_of, max_age
            )
    return OfficialResults(tuple(edges), tuple(changed), tuple(states))


def retire(context: CycleContext, sender: MessageContext, why: str) -> None:
    """End every alert that stands, part of the caller's transaction."""
    store = context.official
    if store is None:
        return
    bundle, max_age = store.bundle(), max_age_of(context.config)
    for before in store.all().values():
        latch, edge = official.end(before, sender.now, why)
        if edge is not None:
            as_of = None if bundle is None else bundle.as_of
            event = official_messages.event_message(sender, latch, edge, as_of, max_age)
            context.send_event(event)
            store.save([latch])


def retire_without_zone(context: CycleContext, sender: MessageContext) -> None:
    """End every alert that stands where the farm has no zone any more."""
    if context.config.device.zone_code is None:
        retire(context, sender, "zone_changed")


def problems(config: Config, store: OfficialStore, now: datetime) -> tuple[str, ...]:
    """What keeps the farm from hearing of KMA's warnings, where the depot has them at all.

    Raises:
        StorageError: The disk refused.
    """
    bundle = store.bundle()
    if bundle is None:
        return ()
    if config.device.zone_code is None:
        text = (
            "device.warning_zone: KMA's warnings cannot be told, since the place is in no zone of "
            "the list: set the code or name of the zone, such as L1081400 or 진주시 "
            "(docs/operating.md)"
        )
        return (text,)
    if now - bundle.as_of > max_age_of(config):
        since = f"{bundle.as_of:%Y-%m-%d %H:%M} UTC"
        return (f"no news of KMA's official warnings since {since}: see the depot and its relay",)
    return ()


def max_age_of(config: Config) -> timedelta:
    """Age from which the file of warnings says nothing any more."""
    return timedelta(hours=config.limits.warnings_max_age_h)
