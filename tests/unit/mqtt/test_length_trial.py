"""A broker that drops long messages and acknowledges them: they are told, kept and sent later.

The numbers are the rules of `mqtt.length_trial`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.connection import LARGEST_IN, Session, Version
from edge_agent.mqtt.delivery import RETRY_S, Delivery
from edge_agent.mqtt.length_trial import PATIENCE_S
from tests.fakes.clock import FakeClock
from tests.fakes.outbox import MemoryOutbox
from tests.fakes.strict_broker import StrictBroker

PING, EVENT, STATE = "d/ping", "d/alert/heat/event", "d/forecast"


class _Agent:
    """A connected delivery on a broker that drops payloads of more than 2000 bytes."""

    def __init__(self, version: Version = "3.1.1", ping: str = PING) -> None:
        self.clock, self.outbox, self.broker = FakeClock(), MemoryOutbox(), StrictBroker()
        self.broker.drops_over = 2000
        self.session = Session("d/availability", protocol=version, ping=ping)
        self.delivery = self._delivery()
        self.number = 0
        self.run(5)

    def _delivery(self) -> Delivery:
        return Delivery(self.broker, self.outbox, self.session, Backoff(lambda: 1.0), self.clock)

    def reload(self) -> None:
        before, self.delivery = self.delivery, self._delivery()
        assert self.delivery.take_over(before)

    def put(self, topic: str, length: int) -> bytes:
        self.number += 1
        payload = f"{self.number} ".encode().ljust(length)
        kind = Kind.ALERT if topic == EVENT else Kind.STATE
        message = Message(f"m{self.number}", topic, payload, kind)
        self.outbox.put(message if kind is Kind.ALERT else replace(message, retain=True))
        return payload

    def run(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while True:
            wait_s = self.delivery.tick(self.clock.now())
            if self.broker.events:
                self.delivery.handle(self.broker.events.popleft())
                continue
            left_s = end - self.clock.monotonic()
            if left_s <= 0:
                return
            self.clock.advance(min(max(wait_s, 0.001), left_s))

    def heard(self, *topics: str) -> list[bytes]:
        return [payload for topic, payload in self.broker.heard if topic in topics]

    def long_pings(self) -> list[int]:
        return [len(p) for t, p in self.broker.sent if t == PING and len(p) > 64]


def test_what_is_too_long_is_told_and_the_rest_passes() -> None:
    """Rules 1 and 2: in order, the exact limit passes, and nothing is tried twice."""
    agent = _Agent()
    agent.put(STATE, 5000)
    agent.put(f"{STATE}/2", 2001)
    passed = [agent.put(EVENT, 1500), agent.put(EVENT, 2000)]
    agent.run(1)
    assert agent.heard(EVENT, STATE, f"{STATE}/2") == passed
    refusals = {r.topic: r.reason for r in agent.outbox.counts().refusals}
    assert refusals.keys() == {STATE, f"{STATE}/2"}
    assert "5000 bytes" in refusals[STATE]
    tried = agent.long_pings()
    assert tried == [5000, 5000, 2001, 2001, 2000]
    agent.put(f"{STATE}/3", 3000)
    agent.put(EVENT, 1900)
    agent.run(1)
    assert agent.long_pings() == tried
    assert len(agent.outbox.counts().refusals) == 3


def test_one_trial_is_enough_for_a_broker_that_passes_all_on() -> None:
    """Rule 1: of what waits, the longest is tried, once a connection; nothing overtakes it."""
    agent = _Agent()
    agent.broker.drops_over = None
    for length in (100, 9000, 10, 9000):
        agent.put(EVENT, length)
    agent.run(1)
    assert agent.long_pings() == [9000]
    assert [len(payload) for payload in agent.heard(EVENT)] == [100, 9000, 10, 9000]


@pytest.mark.parametrize("how", ["loss", "reload", "person", "time"])
def test_it_arrives_once_the_broker_is_mended(how: str) -> None:
    """Rule 4."""
    agent = _Agent()
    long = agent.put(STATE, 5000)
    agent.run(1)
    agent.broker.drops_over = None
    match how:
        case "loss":
            agent.broker.lose()
        case "reload":
            agent.reload()
        case "person":
            agent.delivery.retry()
        case "time":
            agent.run(RETRY_S)
    agent.run(20)
    assert agent.heard(STATE) == [long]
    assert agent.outbox.counts().refusals == ()


def test_a_hidden_topic_holds_nothing_up_for_long() -> None:
    """Rule 3: three seconds, once a connection."""
    agent = _Agent()
    agent.broker.hidden = {PING}
    agent.put(EVENT, 1000)
    agent.run(PATIENCE_S - 1)
    assert agent.heard(EVENT) == []
    agent.run(1.1)
    agent.put(EVENT, 1500)
    agent.run(0.1)
    assert [len(payload) for payload in agent.heard(EVENT)] == [1000, 1500]


def test_one_lost_ping_refuses_nothing() -> None:
    """Rule 2: it takes two."""
    agent = _Agent()
    agent.broker.drops_over = None
    agent.broker.loses_next = {PING}
    agent.put(EVENT, 1000)
    agent.run(1)
    assert [len(payload) for payload in agent.heard(EVENT)] == [1000]
    assert agent.long_pings() == [1000, 1000]


@pytest.mark.parametrize(
    ("version", "ping", "length"),
    [("5", PING, 1000), ("3.1.1", "", 1000), ("3.1.1", PING, LARGEST_IN + 1)],
)
def test_no_trial_where_none_is_needed_or_possible(
    version: Version, ping: str, length: int
) -> None:
    """Rule 1: MQTT 5 has a code; without the topic, or beyond what is taken in, nobody can tell."""
    agent = _Agent(version, ping)
    agent.broker.drops_over = None
    agent.put(EVENT, length)
    agent.run(1)
    assert len(agent.heard(EVENT)) == 1
    assert agent.long_pings() == []


def test_a_trial_that_ends_the_connection_costs_no_second_one() -> None:
    """A broker that hangs up on long packets: `mqtt.culprit` has the rest, and alerts pass."""
    agent = _Agent()
    agent.broker.longest = 2500
    agent.put(STATE, 5000)
    agent.put(EVENT, 1000)
    agent.run(20)
    assert [len(payload) for payload in agent.heard(EVENT)] == [1000]
    assert agent.delivery.state.connected
    (refusal,) = agent.outbox.counts().refusals
    assert "ends the connection" in refusal.reason
    assert [length for length in agent.long_pings() if length > 2500] == [5000]
