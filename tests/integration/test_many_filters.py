"""Subscriptions of many topics: in packets of at most eight filters, and each refusal told."""

from __future__ import annotations

import json
import queue
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

import pytest
from paho.mqtt import publish

from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.client import MqttConnection
from edge_agent.mqtt.connection import (
    Broker,
    Event,
    Outgoing,
    Received,
    Session,
    Subscribed,
    Subscription,
)
from edge_agent.mqtt.delivery import Delivery
from edge_agent.system.clock import SystemClock
from tests.fakes.few_filters import few_filters
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.outbox import MemoryOutbox

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

TOPICS = tuple(f"sensor/{number}" for number in range(19))


class _Listener:
    """A delivery with many subscriptions."""

    def __init__(self, port: int, protocol: Literal["5", "3.1.1"]) -> None:
        self._clock = SystemClock()
        self._events: queue.Queue[Event] = queue.Queue()
        broker = Broker("127.0.0.1", port, "agent", Outgoing("a", b"offline", retain=True))
        self.delivery = Delivery(
            MqttConnection(broker, self._events.put, self._clock),
            MemoryOutbox(),
            Session("a", tuple(map(Subscription, TOPICS)), protocol, ping="ping"),
            Backoff(Random(4).random, longest_s=0.2),
            self._clock,
        )
        self.heard: set[str] = set()
        self.answers: list[Subscribed] = []

    def until(self, enough: Callable[[], bool]) -> None:
        """Drive it as the loop does."""
        end = time.monotonic() + 20
        while not enough():
            assert time.monotonic() < end, self.delivery.state
            self.delivery.tick(None)
            try:
                event = self._events.get(timeout=0.05)
            except queue.Empty:
                continue
            if isinstance(event, Subscribed):
                self.answers.append(event)
            if not self.delivery.handle(event) and isinstance(event, Received):
                self.heard.add(event.topic)


def _publish(port: int, topics: Collection[str]) -> None:
    publish.multiple([(topic, b"1", 1, False) for topic in topics], "127.0.0.1", port)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_takes_eight_filters_a_packet(
    tmp_path: Path, protocol: Literal["5", "3.1.1"]
) -> None:
    """Nothing is hung up on, and every topic is heard."""
    with Mosquitto(tmp_path / "b") as broker, few_filters(broker.port) as (port, counts):
        agent = _Listener(port, protocol)
        agent.until(lambda: bool(agent.answers))
        _publish(broker.port, TOPICS)
        agent.until(lambda: agent.heard >= set(TOPICS))
        assert counts == [8, 8, 5]
        assert len(agent.answers) == agent.delivery.state.connections == 1
        assert agent.delivery.state.concerns == ()
        agent.delivery.disconnect(2.0)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_refused_filters_are_told_wherever_they_stand(
    tmp_path: Path, protocol: Literal["5", "3.1.1"], caplog: pytest.LogCaptureFixture
) -> None:
    """By their own names, in whichever packet they were; the others are heard."""
    (plugin,) = Path("/usr/lib").glob("**/mosquitto_dynamic_security.so")
    refused = (TOPICS[2], TOPICS[15], TOPICS[18])
    acls = [
        {"acltype": "subscribeLiteral", "topic": topic, "priority": 0, "allow": False}
        for topic in refused
    ]
    security = {
        "defaultACLAccess": dict.fromkeys(
            ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), True
        ),
        "roles": [{"rolename": "all", "acls": acls}],
        "groups": [{"groupname": "all", "roles": [{"rolename": "all"}]}],
        "anonymousGroup": "all",
    }
    rules = tmp_path / "security.json"
    rules.write_text(json.dumps(security))
    with Mosquitto(tmp_path / "b", (f"plugin {plugin}", f"plugin_opt_config_file {rules}")) as b:
        agent = _Listener(b.port, protocol)
        agent.until(lambda: bool(agent.answers))
        others = set(TOPICS) - set(refused)
        _publish(b.port, others)
        agent.until(lambda: agent.heard >= others)
        assert agent.delivery.state.refused_topics == refused
        text = f"broker does not allow listening to {', '.join(refused)}: check its access list"
        assert text in agent.delivery.state.concerns
        assert [r.getMessage() for r in caplog.records].count(f"mqtt: {text}") == 1
        agent.delivery.disconnect(2.0)
