"""The embedded broker: real MQTT 3.1.1, started and stopped without a trace."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from demo.broker import EmbeddedBroker
from edge_agent.contract.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 20


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """A running broker."""
    with EmbeddedBroker() as running:
        yield running


class _Listener:
    """A subscriber that keeps what it hears."""

    def __init__(self, port: int, topic: str, name: str) -> None:
        self.heard: queue.Queue[MQTTMessage] = queue.Queue()
        self._ready = threading.Event()
        self.client = Client(
            CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv311
        )
        self.client.on_message = lambda _client, _data, message: self.heard.put(message)
        self.client.on_connect = lambda client, *_rest: client.subscribe(topic, qos=1)
        self.client.on_subscribe = lambda *_all: self._ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._ready.wait(WAIT_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_messages_arrive_with_qos_1(broker: EmbeddedBroker) -> None:
    """A subscriber receives what is published, acknowledged."""
    listener = _Listener(broker.port, "farm/#", "a")
    try:
        sent = listener.client.publish("farm/v1/x", b"42", qos=1)
        sent.wait_for_publish(WAIT_S)
        message = listener.heard.get(timeout=WAIT_S)
        assert (message.topic, message.payload, message.qos) == ("farm/v1/x", b"42", 1)
    finally:
        listener.close()


def test_retained_messages_meet_a_late_subscriber(broker: EmbeddedBroker) -> None:
    """A retained message is delivered to who subscribes afterwards."""
    first = _Listener(broker.port, "other", "a")
    first.client.publish("farm/state", b"on", qos=1, retain=True).wait_for_publish(WAIT_S)
    second = _Listener(broker.port, "farm/#", "b")
    try:
        message = second.heard.get(timeout=WAIT_S)
        assert (message.payload, message.retain) == (b"on", True)
    finally:
        first.close()
        second.close()


def test_last_will_is_sent_when_a_client_dies(broker: EmbeddedBroker) -> None:
    """A connection that breaks without a goodbye speaks its last will."""
    listener = _Listener(broker.port, "farm/availability", "a")
    dying = Client(CallbackAPIVersion.VERSION2, "b", protocol=MQTTProtocolVersion.MQTTv311)
    dying.will_set("farm/availability", b"offline", qos=1)
    dying.connect("127.0.0.1", broker.port)
    dying.loop_start()
    dying.publish("farm/hello", b"", qos=1).wait_for_publish(WAIT_S)
    dying.loop_stop()
    connection = dying.socket()
    assert connection is not None
    connection.close()
    try:
        assert listener.heard.get(timeout=WAIT_S).payload == b"offline"
    finally:
        listener.close()


def test_stops_with_a_client_connected_and_returns_at_the_same_port() -> None:
    """A broker that goes away and comes back is found again by its clients."""
    with EmbeddedBroker() as first:
        listener = _Listener(first.port, "farm/#", "a")
        again = threading.Event()
        listener.client.on_subscribe = lambda *_all: again.set()
        listener.client.reconnect_delay_set(1, 1)
        threads = threading.active_count()
    assert threading.active_count() == threads - 1
    with EmbeddedBroker(first.port) as second:
        assert second.port == first.port
        assert again.wait(WAIT_S)
        listener.close()


def test_a_taken_port_is_one_clear_line(broker: EmbeddedBroker) -> None:
    """Two brokers cannot share a port; the second says so."""
    with pytest.raises(Unavailable, match=f"127.0.0.1:{broker.port} cannot be opened"):
        EmbeddedBroker(broker.port).__enter__()


def test_log_levels_are_given_back() -> None:
    """The broker's silence ends with it."""
    logging.getLogger("amqtt").setLevel(logging.INFO)
    with EmbeddedBroker():
        assert logging.getLogger("amqtt").level == logging.CRITICAL
    assert logging.getLogger("amqtt").level == logging.INFO
