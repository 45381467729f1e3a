"""A real Mosquitto that takes less than others: lengths, retained messages, QoS, topics."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_agent.messages.message import Kind, Message
from edge_agent.system.database import connect
from tests.fakes.broker_agent import ROOT, TOPIC, BrokerAgent
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

LONG = Message("long", f"{ROOT}/history", b"x" * 6000, Kind.TELEMETRY)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The agent's database."""
    with closing(connect(tmp_path / "agent.db")) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a broker that has just begun: it has no last presence."""
    monkeypatch.setattr("edge_agent.mqtt.delivery.MEMORY_S", 0.2)


@pytest.mark.parametrize(
    ("option", "protocol", "reason"),
    [
        ("message_size_limit 2000", "5", "Packet too large"),
        ("max_packet_size 2000", "5", "longer than the broker takes (2000)"),
        ("message_size_limit 2000", "3.1.1", "6000 bytes does not come back: the broker drops it"),
        ("max_packet_size 2000", "3.1.1", "it ends the connection when it gets this message"),
    ],
)
def test_a_message_that_is_too_long_stops_no_other(
    db: sqlite3.Connection, tmp_path: Path, option: str, protocol: str, reason: str
) -> None:
    """It is told with topic and reason, once, and comes when the broker takes it."""
    with Mosquitto(tmp_path / "b", [option]) as broker:
        agent = BrokerAgent(db, broker.port, protocol=protocol, ping=f"{ROOT}/ping")
        agent.outbox.put(LONG)
        agent.outbox.put(replace(LONG, id="short", topic=f"{ROOT}/model", payload=b"{}"))
        agent.put("a", "b")
        with Subscriber(broker.port) as controller:
            agent.until(lambda: bool(agent.outbox.counts().refusals))
            agent.drain()
            agent.put("c")
            agent.drain()
            controller.wait(lambda heard: TOPIC in {m.topic for m in heard})
            assert controller.payloads(TOPIC)[-1:] == [b"c"]
            assert list(dict.fromkeys(controller.payloads(TOPIC))) == [b"a", b"b", b"c"]
        (refusal,) = agent.outbox.counts().refusals
        assert refusal.topic == LONG.topic
        assert reason in refusal.reason
        connections = agent.delivery.state.connections
        for _ in range(10):
            agent.turn()
        assert agent.delivery.state.connections == connections
        broker.kill()
        broker.set_options([])
        broker.start()
        with Subscriber(broker.port) as controller:
            agent.until(lambda: not agent.outbox.counts().refusals)
            agent.drain()
            controller.wait(lambda heard: LONG.topic in {m.topic for m in heard})
        agent.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize(
    ("option", "word"), [("retain_available false", "retained"), ("max_qos 0", "QoS 0")]
)
def test_a_broker_without_retain_or_qos_1_gets_what_it_takes(
    db: sqlite3.Connection, tmp_path: Path, option: str, word: str, protocol: str
) -> None:
    """Every message arrives, and people are told what is missing; 3.1.1 has no code for it."""
    with Mosquitto(tmp_path / "b", [option]) as broker, Subscriber(broker.port) as controller:
        agent = BrokerAgent(db, broker.port, protocol=protocol)
        agent.outbox.put(replace(LONG, retain=True))
        agent.put("a", "b")
        agent.drain()
        controller.wait(lambda heard: LONG.topic in {m.topic for m in heard})
        assert controller.payloads(TOPIC) == [b"a", b"b"]
        assert controller.payloads(f"{ROOT}/availability") == [b"online"]
        (concern,) = agent.delivery.state.concerns
        assert word in concern
        assert agent.delivery.state.connections == 1
        agent.stop()


def test_a_mended_access_list_brings_everything_back(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    """Without a restart of the agent: at the next connection."""
    acl = tmp_path / "acl"
    acl.write_text(f"topic readwrite #\ntopic deny {ROOT}/history\n", "utf-8")
    with Mosquitto(tmp_path / "b", [f"acl_file {acl}"]) as broker:
        agent = BrokerAgent(db, broker.port)
        agent.outbox.put(LONG)
        agent.drain()
        (refusal,) = agent.outbox.counts().refusals
        assert (refusal.topic, refusal.reason) == (LONG.topic, "Not authorized")
        acl.write_text("topic readwrite #\n", "utf-8")
        broker.kill()
        broker.start()
        with Subscriber(broker.port) as controller:
            agent.until(lambda: agent.outbox.counts().delivered == {"telemetry": 1})
            controller.wait(lambda heard: LONG.topic in {m.topic for m in heard})
        assert agent.outbox.counts().refusals == ()
        agent.stop()


def test_a_mended_access_list_lets_a_refused_alert_through(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    """Within a minute of SIGHUP, on the connection that stands: nobody asks for it."""
    acl = tmp_path / "acl"
    acl.write_text(f"topic readwrite #\ntopic deny {TOPIC}\n", "utf-8")
    options = [f"acl_file {acl}"]
    with Mosquitto(tmp_path / "b", options) as broker, Subscriber(broker.port) as controller:
        agent = BrokerAgent(db, broker.port)
        agent.put("first", "second")
        agent.until(lambda: bool(agent.outbox.counts().refusals))
        agent.drain()
        acl.write_text("topic readwrite #\n", "utf-8")
        broker.set_options(options)
        for _ in range(3):
            _live_on(agent, 20)
        agent.until(lambda: not agent.outbox.counts().refusals, timeout_s=5)
        agent.drain()
        controller.wait(lambda heard: TOPIC in {m.topic for m in heard})
        controller.mark()
        assert controller.payloads(TOPIC) == [b"first", b"second"]
        assert agent.delivery.state.connections == 1
        agent.stop()


def _live_on(agent: BrokerAgent, seconds: float) -> None:
    """Let time pass, in steps that are no sleep of the machine."""
    agent.clock.slept_s += seconds
    begun = agent.clock.monotonic()
    agent.until(lambda: agent.clock.monotonic() > begun + 1.5)
