"""What a device tells and asks of its broker when a delivery is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent import __version__
from edge_agent.core.rules import rules_of
from edge_agent.messages.topics import Topics
from edge_agent.mqtt import discovery
from edge_agent.mqtt.commands import NAMES
from edge_agent.mqtt.connection import Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_agent.core.runtime import Runtime
    from edge_agent.mqtt.connection import Received
    from edge_agent.settings import Config


def subscriptions(runtime: Runtime) -> list[Subscription]:
    """What the service listens to."""
    topics = wanted(runtime.config, runtime.topics, runtime.intake.topics)
    if former := runtime.own_name.former(runtime.clock.now()):
        topics.append(Subscription(Topics(former).availability))
    return topics


def wanted(config: Config, topics: Topics, sensors: Iterable[str]) -> list[Subscription]:
    """Topics of the sensors, of Home Assistant's birth message and of the commands."""
    filters = [Subscription(topic) for topic in sensors]
    if config.mqtt.discovery:
        filters.append(Subscription(discovery.birth_topic(config)))
    if config.mqtt.commands:
        commands = (topics.command(name) for name in NAMES)
        filters.extend(Subscription(topic, commands=True) for topic in commands)
    return filters


def is_late_will(runtime: Runtime, message: Received) -> bool:
    """Whether the broker says `offline` under the name that the device has just given up."""
    if message.payload != b"offline":
        return False
    former = runtime.own_name.former(runtime.clock.now())
    return bool(former) and message.topic == Topics(former).availability


def describe(runtime: Runtime) -> None:
    """Queue the device's description for Home Assistant, if it changed."""
    config, outbox = runtime.config, runtime.outbox
    last = outbox.last_delivered(discovery.topic_of(config))
    message = discovery.message(config, runtime.topics, rules_of(config), __version__, last)
    if message is not None:
        outbox.put(message)
