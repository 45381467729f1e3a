"""Builds the delivery from the configuration, and carries the outbox to the broker once."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.core.events import EventQueue
from edge_agent.core.masking import PASSWORD_CREDENTIAL
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.client import MqttConnection
from edge_agent.mqtt.connection import Broker, Down, Event, Outgoing, Session, Websocket
from edge_agent.mqtt.delivery import Delivery
from edge_agent.mqtt.tls import TlsFiles
from edge_agent.system import locations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from edge_agent.core.runtime import Runtime
    from edge_agent.messages.topics import Topics
    from edge_agent.mqtt.connection import Subscription
    from edge_agent.mqtt.outbox import Outbox
    from edge_agent.settings import Config, Tls, Websockets

_HANG_UP_S: Final = 3.0
_TURN_S: Final = 0.2
_FAILURES: Final = 2
"""The first may be a broker of the older protocol; a second one means that there is no broker."""


def open_delivery(
    runtime: Runtime,
    report: Callable[[Event], None],
    *,
    subscriptions: Sequence[Subscription] = (),
    ping: str = "",
) -> Delivery:
    """Delivery to the configured broker; nothing is connected yet.

    Args:
        runtime: Its outbox is carried, as its configuration says.
        report: Takes events of the network thread.
        subscriptions: What to listen to.
        ping: Topic of pings to oneself; empty = none.
    """
    config, topics, clock = runtime.config, runtime.topics, runtime.clock
    return Delivery(
        MqttConnection(broker_of(config, topics), report, clock),
        runtime.outbox,
        Session(topics.availability, tuple(subscriptions), config.mqtt.protocol, ping),
        Backoff(random.random, config.mqtt.reconnect_s),
        clock,
    )


def broker_of(config: Config, topics: Topics, env: Mapping[str, str] = os.environ) -> Broker:
    """Address and account of this device at the broker."""
    mqtt = config.mqtt
    return Broker(
        host=mqtt.host,
        port=mqtt.port,
        client_id=mqtt.client_id or f"farm-edge-{config.device.site}-{config.device.id}",
        will=Outgoing(topics.availability, b"offline", retain=True, json=False),
        username=mqtt.username,
        password=lambda: locations.secret(mqtt.password_file, PASSWORD_CREDENTIAL, env),
        tls=_tls(mqtt.tls) if mqtt.tls.enabled else None,
        keepalive_s=mqtt.keepalive_s,
        websocket=_websocket(mqtt.websockets) if mqtt.websockets.enabled else None,
    )


def deliver(runtime: Runtime, now: Callable[[], datetime | None], timeout_s: float) -> str:
    """Carry what waits to the broker and hang up; why something still waits, or an empty text.

    Args:
        runtime: Its outbox is carried, as its configuration says.
        now: UTC for expiry, or None while the clock is not trusted.
        timeout_s: Longest time to try.

    Raises:
        StorageError: The disk refused.
    """
    outbox, clock = runtime.outbox, runtime.clock
    events = EventQueue()
    delivery = open_delivery(runtime, events.put)
    end = clock.monotonic() + timeout_s
    failures = 0
    try:
        while failures < _FAILURES and clock.monotonic() < end and _waiting(outbox):
            delivery.tick(now())
            event = events.get(min(_TURN_S, max(end - clock.monotonic(), 0.0)))
            while event is not None:
                if isinstance(event, Event):
                    failures += isinstance(event, Down)
                    delivery.handle(event)
                event = events.get(0.0)
        problem = delivery.state.problem
    finally:
        delivery.disconnect(_HANG_UP_S)
        delivery.remove_acknowledged()
    return problem or f"no answer within {timeout_s:g} s" if _waiting(outbox) else ""


def _waiting(outbox: Outbox) -> int:
    return sum(outbox.counts().waiting.values())


def _tls(tls: Tls) -> TlsFiles:
    ca, cert, key = (Path(name) if name else None for name in (tls.ca, tls.cert, tls.key))
    return TlsFiles(ca, cert, key, tls.alpn)


def _websocket(settings: Websockets) -> Websocket:
    return Websocket(settings.path, settings.host_header)
