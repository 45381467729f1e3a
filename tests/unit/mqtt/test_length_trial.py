"""A broker that drops long messages and acknowledges them: they are told, kept and sent later.

The numbers are the rules of `mqtt.length_trial`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.mqtt.connection import LARGEST_IN, Session, Version
from edge_agent.mqtt.length_trial import PATIENCE_S
from tests.fakes.delivering_agent import CAUSES, PING, PRESENCE, DeliveringAgent

if TYPE_CHECKING:
    from tests.fakes.delivering_agent import Cause

EVENT, STATE = "d/alert/heat/event", "d/forecast"


class _Agent(DeliveringAgent):
    """Connected to a broker that drops payloads of more than 2000 bytes."""

    def __init__(self, version: Version = "3.1.1", ping: str = PING) -> None:
        super().__init__(Session(PRESENCE, protocol=version, ping=ping))
        self.broker.drops_over = 2000
        self.run(5)

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


@pytest.mark.parametrize("cause", CAUSES)
def test_it_arrives_once_the_broker_is_mended(cause: Cause) -> None:
    """Rule 4."""
    agent = _Agent()
    long = agent.put(STATE, 5000)
    agent.run(1)
    agent.broker.drops_over = None
    agent.ask_again(cause)
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
