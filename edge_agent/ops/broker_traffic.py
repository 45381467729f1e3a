"""What the service of a device sends to its broker and asks of it, for the doctor's probe."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent import __version__
from edge_agent.contract.errors import FarmError
from edge_agent.core import announcements
from edge_agent.core.rules import rules_of
from edge_agent.core.runtime import DATABASE
from edge_agent.messages.status import TARGET_TOPICS, forecast_topics
from edge_agent.mqtt import discovery, outbox_inspection
from edge_agent.mqtt.connection import Outgoing, Subscription
from edge_agent.mqtt.probe import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edge_agent.messages.topics import Topics
    from edge_agent.settings import Config

_RULE: Final = "doctor"
"""No rule's name: nobody listens to its topics in particular."""
_EXPIRY_S: Final = 8
_BACKFILL_BYTES: Final = 14_000
"""Seven days of hours that passed unsent."""


class _Trial(msgspec.Struct, frozen=True, kw_only=True):
    """For a topic whose last message is not known: whoever reads by the rules drops it."""

    schema: str = "farm-edge/doctor/1"
    id: str
    issued_at: str = "2000-01-01T00:00:00Z"
    valid_from: str = "2000-01-01T00:00:00Z"
    valid_until: str = "2000-01-01T00:00:00Z"
    historical: bool = True
    drill: bool = True
    text: str = "edge-agent doctor tries whether the broker takes this topic"


def of(config: Config, topics: Topics, state: Path, presence: bytes) -> Traffic:
    """What the service sends and asks for.

    Each state is the one that was delivered last, so that nobody hears anything new.

    Args:
        config: Of the device.
        topics: Its topics.
        state: Its state folder.
        presence: What holds on the topic `availability` now.
    """
    last = _retained(state / DATABASE)
    described = discovery.topic_of(config)
    description = discovery.message(config, topics, rules_of(config), __version__, b"")
    states = {topic: last.get(topic, _trial(topic)) for topic in _states(config, topics)}
    others = {topic: _trial(topic) for topic in _others(config, topics)}
    sent = {topics.availability: presence} | states | others
    if config.mqtt.discovery and description is not None:
        sent[described] = last.get(described) or description.payload
    longest = max({**last, **sent}.items(), key=lambda item: len(item[1]))
    name, size = longest[0].removeprefix(f"{topics.root}/"), len(longest[1])
    if size < _BACKFILL_BYTES:
        name, size = "history after an outage", _BACKFILL_BYTES
    return Traffic(
        ping=topics.ping,
        publications=[
            Outgoing(topic, payload, expiry_s=_EXPIRY_S, json=payload != presence)
            for topic, payload in sent.items()
        ],
        taken_back=frozenset({described} - last.keys()),
        subscriptions=[
            Subscription(topics.availability, own=True),
            *announcements.wanted(config, topics, {sensor.topic for sensor in config.sensors}),
        ],
        longest=name,
        longest_bytes=size,
    )


def _states(config: Config, topics: Topics) -> Iterator[str]:
    yield from (topics.fresh, topics.model, topics.health)
    yield from map(topics.forecast, forecast_topics(config.mqtt.forecasts).values())
    if config.irrigation.crop:
        yield topics.irrigation
    if config.mqtt.share_history:
        yield topics.history


def _others(config: Config, topics: Topics) -> Iterator[str]:
    yield from (topics.alert_event(_RULE), topics.alert_state(_RULE))
    if config.has_official_alerts:
        yield topics.official(_RULE)
    yield from map(topics.backfill, TARGET_TOPICS.values())
    yield from map(topics.command_result, config.mqtt.commands)


def _trial(topic: str) -> bytes:
    return msgspec.json.encode(_Trial(id=f"{topic}/doctor"))


def _retained(database: Path) -> Mapping[str, bytes]:
    """Last delivered retained message of each topic; empty where the database cannot be read."""
    try:
        with closing(outbox_inspection.open_existing(database)) as db:
            return outbox_inspection.retained(db)
    except (FarmError, sqlite3.Error):
        return {}
