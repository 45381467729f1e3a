"""What a device tells and asks of its broker when a delivery is opened."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from edge_agent import __version__
from edge_agent.core.rules import rules_of
from edge_agent.messages import envelope
from edge_agent.mqtt import discovery
from edge_agent.mqtt.commands import NAMES
from edge_agent.mqtt.connection import Subscription

if TYPE_CHECKING:
    from edge_agent.core.runtime import Runtime


def subscriptions(runtime: Runtime) -> list[Subscription]:
    """Topics of the sensors, of Home Assistant's birth message and of the commands."""
    mqtt = runtime.config.mqtt
    topics = [Subscription(topic) for topic in runtime.intake.topics]
    if mqtt.discovery:
        topics.append(Subscription(discovery.birth_topic(runtime.config)))
    if mqtt.commands:
        commands = (runtime.topics.command(name) for name in NAMES)
        topics.extend(Subscription(topic, commands=True) for topic in commands)
    return topics


def describe(runtime: Runtime) -> None:
    """Queue the device's description for Home Assistant, if it changed."""
    config, outbox = runtime.config, runtime.outbox
    last = outbox.last_delivered(discovery.topic_of(config))
    message = discovery.message(config, runtime.topics, rules_of(config), __version__, last)
    if message is not None:
        outbox.put(message)


def withdraw_history(runtime: Runtime) -> None:
    """Remove the farm's history from the broker, where it is no longer shared."""
    if runtime.config.mqtt.share_history:
        return
    topic, outbox = runtime.topics.history, runtime.outbox
    last = outbox.withdraw(topic) or outbox.last_delivered(topic)
    if last:
        outbox.put(envelope.forget(topic, f"{topic}/forget/{sha256(last).hexdigest()[:12]}"))
