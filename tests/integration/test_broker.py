"""Outbox, delivery and MQTT link against a real Mosquitto that comes, goes and refuses."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.messages.message import Kind, Message
from edge_agent.system.database import connect
from tests.fakes.broker_agent import ROOT, TOPIC, BrokerAgent
from tests.fakes.mosquitto import Mosquitto, free_port
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The agent's database."""
    with closing(connect(tmp_path / "agent.db")) as connection:
        yield connection


def _in_order_once(payloads: list[bytes]) -> list[str]:
    """First occurrences in the order they were heard."""
    return list(dict.fromkeys(payload.decode() for payload in payloads))


@pytest.mark.parametrize(("protocol", "spoken"), [("auto", "5"), ("5", "5"), ("3.1.1", "3.1.1")])
def test_messages_arrive_with_presence(
    db: sqlite3.Connection, broker: Mosquitto, protocol: str, spoken: str
) -> None:
    """`online`, then every message in order, then `offline` at a clean stop."""
    agent = BrokerAgent(db, broker.port, protocol=protocol)
    names = [f"a{n}" for n in range(25)]
    with Subscriber(broker.port) as controller:
        agent.put(*names)
        agent.drain()
        assert agent.delivery.state.version == spoken
        agent.stop()
        controller.wait(lambda heard: bool(heard) and heard[-1].payload == b"offline")
        assert _in_order_once(controller.payloads(TOPIC)) == names
        assert controller.payloads(f"{ROOT}/availability") == [b"online", b"offline"]


def test_a_broker_absent_at_the_start_loses_nothing(db: sqlite3.Connection, tmp_path: Path) -> None:
    """Messages of before the broker came arrive in order after it did."""
    broker = Mosquitto(tmp_path / "late")
    agent = BrokerAgent(db, broker.port)
    agent.put("a0", "a1")
    agent.until(lambda: "nothing accepts connections" in agent.delivery.state.problem)
    agent.put("a2")
    with broker, Subscriber(broker.port) as controller:
        agent.drain()
        controller.wait(lambda _: len(controller.payloads(TOPIC)) == 3)
        assert controller.payloads(TOPIC) == [b"a0", b"a1", b"a2"]
        agent.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_killed_midway_loses_nothing(
    db: sqlite3.Connection, broker: Mosquitto, protocol: str
) -> None:
    """SIGKILL between and during sends: all arrive, in order, each id once in the outbox."""
    agent = BrokerAgent(db, broker.port, protocol=protocol)
    names = [f"a{n:03}" for n in range(120)]
    with Subscriber(broker.port) as controller:
        for start in range(0, 120, 40):
            agent.put(*names[start : start + 20])
            agent.until(lambda: len(controller.payloads(TOPIC)) > 0)
            agent.turn()
            broker.kill()
            agent.put(*names[start + 20 : start + 40])
            for _ in range(5):
                agent.turn()
            waiting = [e.message.id for e in agent.outbox.due(None, limit=500)]
            assert len(waiting) == len(set(waiting))
            broker.start()
        agent.drain()
        agent.stop()
        controller_heard = _in_order_once(controller.payloads(TOPIC))
    # A killed broker may have acknowledged what it had not yet handed on: that is the broker's
    # promise, not the agent's. Whatever the agent deleted was acknowledged; order always holds.
    assert controller_heard == sorted(controller_heard)
    assert agent.outbox.counts().delivered == {"alert": 120}
    assert set(controller_heard) <= set(names)


def test_expired_messages_are_not_sent(db: sqlite3.Connection, broker: Mosquitto) -> None:
    """What ran out while the broker was away is counted; the rest has its time left set."""
    agent = BrokerAgent(db, broker.port)
    now = datetime.now(UTC)  # noqa: TID251 - a real broker counts down in real time
    for name, seconds in (("old", -1), ("live", 100)):
        end = now + timedelta(seconds=seconds)
        agent.outbox.put(
            Message(
                name, f"t/{name}", b"{}", Kind.STATE, expires_at=end, headers=(("schema", "x"),)
            )
        )
    with Subscriber(broker.port, "t/#") as controller:
        agent.drain()
        (live,) = controller.wait(lambda heard: len(heard) == 1)
        agent.stop()
    assert live.topic == "t/live"
    properties: Any = live.properties  # paho sets its attributes by name
    assert 90 <= properties.MessageExpiryInterval <= 101
    assert properties.ContentType == "application/json"
    assert properties.PayloadFormatIndicator == 1
    assert properties.UserProperty == [("schema", "x")]
    assert agent.outbox.counts().dropped_expired == {"state": 1}


def test_a_dead_agent_is_announced(db: sqlite3.Connection, broker: Mosquitto) -> None:
    """Without a clean goodbye the last will says `offline`, retained."""
    agent = BrokerAgent(db, broker.port)
    agent.until(lambda: agent.delivery.state.connected)
    agent.delivery._connection.drop()
    with Subscriber(broker.port, f"{ROOT}/availability") as controller:
        controller.wait(lambda heard: bool(heard) and heard[-1].payload == b"offline")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_retained_commands_never_look_fresh(
    db: sqlite3.Connection, broker: Mosquitto, protocol: str
) -> None:
    """A command kept by the broker is not sent (5) or is marked (3.1.1); live ones are neither."""
    agent = BrokerAgent(db, broker.port, protocol=protocol)
    with Subscriber(broker.port, "none") as controller:
        controller.publish(f"{ROOT}/cmd/sync", b"old", retain=True)
        agent.until(lambda: agent.delivery.state.connected)
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own
        properties.ResponseTopic = "answers/7"
        properties.CorrelationData = b"\x07"

        # The subscription may still be under way: say it until it is heard.
        def heard_live() -> bool:
            controller.publish(f"{ROOT}/cmd/predict", b"live", properties=properties)
            return any(r.payload == b"live" for r in agent.received)

        agent.until(heard_live)
        agent.stop()
    assert {r.retain for r in agent.received if r.payload == b"old"} <= {True}
    if protocol == "5":
        assert b"old" not in [r.payload for r in agent.received]
        live = next(r for r in agent.received if r.payload == b"live")
        assert (live.response_topic, live.correlation) == ("answers/7", b"\x07")


def test_subscriptions_come_back_after_the_broker_forgot(
    db: sqlite3.Connection, broker: Mosquitto
) -> None:
    """A broker that lost its sessions is asked again; sensors are heard as before."""
    agent = BrokerAgent(db, broker.port)
    agent.until(lambda: agent.delivery.state.connected)
    broker.kill()
    broker.start()
    agent.until(lambda: agent.delivery.state.connections == 2)
    with Subscriber(broker.port, "none") as sensor:

        def heard() -> bool:
            sensor.publish("sensor/1", b"21.5")
            return any(r.topic == "sensor/1" for r in agent.received)

        agent.until(heard)
    agent.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_came_while_the_link_was_down_is_not_received(
    db: sqlite3.Connection, broker: Mosquitto, protocol: str
) -> None:
    """A reading and a command (QoS 1) of a break do not arrive after it; later ones do."""
    agent = BrokerAgent(db, broker.port, protocol=protocol)
    with Subscriber(broker.port, f"{ROOT}/availability") as sensor:
        agent.until(lambda: b"online" in sensor.payloads(f"{ROOT}/availability"))
        agent.delivery._connection.drop()
        sensor.wait(lambda heard: heard[-1].payload == b"offline")
        sensor.publish("sensor/1", b"old")
        sensor.publish(f"{ROOT}/cmd/predict", b"old")
        agent.until(lambda: agent.delivery.state.connections == 2)
        agent.until(lambda: sensor.heard[-1].payload == b"online")
        sensor.publish("sensor/1", b"new")
        agent.until(lambda: bool(agent.received))
        agent.stop()
    assert [r.payload for r in agent.received] == [b"new"]


@pytest.mark.parametrize(("readable", "times"), [(True, 1), (False, 2)])
def test_retained_messages_come_again_where_they_may_be_lost(
    db: sqlite3.Connection, tmp_path: Path, readable: bool, times: int
) -> None:
    """A broker that shows the last presence has kept them over a break; a hidden one is unknown."""
    acl = tmp_path / "acl"
    hidden = "" if readable else f"topic deny {ROOT}/availability\n"
    acl.write_text(f"user watcher\ntopic readwrite #\nuser agent\ntopic readwrite #\n{hidden}")
    broker = Mosquitto(tmp_path / "broker", [f"acl_file {acl}"])
    agent = BrokerAgent(db, broker.port, username="agent")
    agent.outbox.put(Message("m", "t/model", b"{}", Kind.STATE, retain=True))
    with broker, Subscriber(broker.port, login=("watcher", "")) as watcher:
        agent.drain()
        agent.delivery._connection.drop()
        agent.until(lambda: agent.delivery.state.connections == 2)
        agent.until(lambda: agent.delivery._online_at is None)
        agent.drain()
        watcher.mark()
        assert len(watcher.payloads("t/model")) == times
        if readable:
            broker.kill()
            watcher.broker_will_be_killed()
            watcher.heard.clear()
            broker.start()
            watcher.wait_subscribed_again()
            agent.until(lambda: b"{}" in watcher.payloads("t/model"))
            assert watcher.payloads(f"{ROOT}/availability")[-1] == b"online"
        agent.stop()


def test_a_last_will_that_comes_late_is_corrected(
    db: sqlite3.Connection, broker: Mosquitto
) -> None:
    """`offline` of a connection before is followed by `online`."""
    agent = BrokerAgent(db, broker.port)
    presence = f"{ROOT}/availability"
    with Subscriber(broker.port, presence) as watcher:
        agent.until(lambda: b"online" in watcher.payloads(presence))
        watcher.publish(presence, b"offline", retain=True)
        agent.until(lambda: watcher.payloads(presence)[-2:] == [b"offline", b"online"])
        agent.stop()


def test_what_lay_in_the_socket_of_a_stopped_program_is_old(
    db: sqlite3.Connection, broker: Mosquitto
) -> None:
    """A program that slept drops the connection, and takes nothing that came meanwhile."""
    agent = BrokerAgent(db, broker.port)
    presence = f"{ROOT}/availability"
    with Subscriber(broker.port, presence) as sensor:
        agent.until(lambda: b"online" in sensor.payloads(presence))
        agent.clock.slept_s = 3600.0
        sensor.publish("sensor/1", b"old")
        agent.until(lambda: not agent.delivery.state.connected)
        assert "stopped for a while" in agent.delivery.state.problem
        assert agent.received == []


def test_a_wrong_password_is_said_and_paused(db: sqlite3.Connection, tmp_path: Path) -> None:
    """A refused login names the keys to check and keeps the messages."""
    with Mosquitto(tmp_path / "strict", anonymous=False) as broker:
        agent = BrokerAgent(db, broker.port, username="u", password=lambda: "wrong-secret")
        agent.put("a")
        agent.until(lambda: "mqtt.password_file" in agent.delivery.state.problem)
        assert "wrong-secret" not in agent.delivery.state.problem
        assert agent.outbox.counts().waiting == {"alert": 1}


def test_a_topic_the_broker_forbids_is_a_dead_letter(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    """An access list that denies one topic stops only that one."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite #\ntopic deny forbidden/#\n", "utf-8")
    with Mosquitto(tmp_path / "broker", [f"acl_file {acl}"]) as broker:
        agent = BrokerAgent(db, broker.port)
        agent.outbox.put(Message("no", "forbidden/x", b"{}", Kind.ALERT))
        agent.put("yes")
        agent.drain()
        agent.stop()
        assert agent.outbox.counts().refused == {"alert": 1}
        assert agent.outbox.counts().delivered == {"alert": 1}


def test_a_second_client_is_not_guessed(db: sqlite3.Connection, broker: Mosquitto) -> None:
    """T4: this Mosquitto hangs up without a reason code, so no cause is named."""
    agent = BrokerAgent(db, broker.port)
    for number in range(1, 5):
        agent.until(lambda: agent.delivery.state.connections >= number)  # noqa: B023 - called at once
        with Subscriber(broker.port, name="agent"):
            agent.until(lambda: not agent.delivery.state.connected)
            assert agent.delivery.state.problem == "connection lost"


def test_nobody_listening_is_an_ordinary_problem(db: sqlite3.Connection) -> None:
    """A closed port and a wrong name are told in a line, and the queue is kept."""
    agent = BrokerAgent(db, free_port())
    agent.put("a")
    agent.until(lambda: "nothing accepts connections at" in agent.delivery.state.problem)
    assert agent.outbox.counts().waiting == {"alert": 1}
