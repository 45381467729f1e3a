"""A broker that ends the connection on a message: it is found, all others pass, nothing is lost.

The numbers are the rules of `mqtt.culprit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge_agent.mqtt.culprit import FACTOR, FIRST_S
from edge_agent.mqtt.delivery import RETRY_S
from tests.fakes.delivering_agent import CAUSES, PING, PRESENCE, DeliveringAgent
from tests.fakes.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.delivering_agent import Cause

DISCOVERY = "homeassistant/device/d/config"
EVENT = "d/alert/frost/event"
HEALTH = "d/health"
TOPICS = (DISCOVERY, HEALTH, "d/forecast", EVENT, "d/alert/heat/event", PRESENCE, PING)


class _Agent(DeliveringAgent):
    """One that tells which of `TOPICS` do not pass."""

    def told(self) -> set[str]:
        texts = [f" {refusal.topic}" for refusal in self.outbox.counts().refusals]
        texts += [f"mqtt: {text}" for text in self.delivery.state.concerns]
        return {topic for topic in TOPICS for text in texts if f" {topic}" in text}


@pytest.fixture
def agent() -> _Agent:
    """Not yet connected."""
    return _Agent()


def test_the_message_that_ends_the_connection_is_found(agent: _Agent) -> None:
    """Rules 1 to 3: everything else passes in its order, once; the one is told and kept."""
    agent.broker.ends_on = {DISCOVERY}
    refused = agent.put(DISCOVERY)
    others = [(topic, agent.put(topic)) for topic in (HEALTH, "d/forecast", EVENT)]
    agent.run(30)
    passed = [entry for entry in agent.broker.heard if entry[0] != PRESENCE and entry[0] != PING]
    assert passed == [others[2], others[0], others[1]]
    assert agent.delivery.state.connected
    assert agent.broker.ends == 3
    (refusal,) = agent.outbox.counts().refusals
    assert refusal.topic == DISCOVERY
    assert "ends the connection" in refusal.reason
    agent.broker.ends_on = set()
    agent.broker.lose()
    agent.run(10)
    assert agent.heard(DISCOVERY) == [refused]
    assert agent.outbox.counts().refusals == ()


def test_an_alert_is_heard_at_once_while_a_topic_is_refused(agent: _Agent) -> None:
    """Rule 2: nothing waits for the one that is set aside."""
    agent.broker.ends_on = {DISCOVERY}
    agent.put(DISCOVERY)
    agent.run(30)
    payload = agent.put(EVENT)
    agent.run(0.1)
    assert agent.heard(EVENT) == [payload]


def test_it_is_tried_ever_less_often(agent: _Agent) -> None:
    """Rule 3: after 5 minutes, 20, 80 and so on; never in a loop."""
    agent.broker.ends_on = {DISCOVERY}
    agent.put(DISCOVERY)
    agent.run(30)
    ends = []
    for pause_s in (FIRST_S, FIRST_S * FACTOR, FIRST_S * FACTOR**2):
        before = agent.broker.ends
        agent.run(pause_s + 20)
        ends.append(agent.broker.ends - before)
    assert ends == [1, 1, 1]
    agent.run(7 * 86_400)
    assert agent.broker.ends < 3 + 3 + 7 * 86_400 / RETRY_S + 5


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("how", ["ends", "refuses"])
def test_what_was_refused_is_tried_again(agent: _Agent, cause: Cause, how: str) -> None:
    """Rule 4: a mended access list brings everything back."""
    topics = {DISCOVERY, HEALTH, EVENT}
    agent.broker.ends_on = topics if how == "ends" else set()
    agent.broker.refuses = topics if how == "refuses" else set()
    payloads = {topic: agent.put(topic) for topic in topics}
    agent.run(120)
    assert agent.told() == topics
    assert agent.delivery.state.connected
    agent.broker.ends_on = agent.broker.refuses = set()
    agent.ask_again(cause)
    agent.run(60 if cause == "time" else 20)
    assert {topic: agent.heard(topic) for topic in topics} == {t: [payloads[t]] for t in topics}
    assert agent.told() == set()


@pytest.mark.parametrize("topic", [PRESENCE, PING])
def test_the_agents_own_messages_are_no_exception(agent: _Agent, topic: str) -> None:
    """Rule 3: `online` or the ping; all else passes on a connection that stands."""
    agent.broker.ends_on = {topic}
    agent.put(HEALTH)
    agent.run(60)
    assert len(agent.heard(HEALTH)) == 1
    ends = agent.broker.ends
    agent.run(200)
    assert agent.broker.ends == ends
    assert agent.told() == {topic}
    payload = agent.put(EVENT)
    agent.run(10)
    assert agent.heard(EVENT) == [payload]
    agent.broker.ends_on = set()
    agent.broker.lose()
    agent.run(60)
    assert agent.heard(topic)
    assert agent.told() == set()


def test_the_longest_message_is_found_out_and_kept_to(agent: _Agent) -> None:
    """Rule 6: a second long message costs one connection, and short ones of its topic pass."""
    agent.broker.longest = 1000
    agent.put(HEALTH, 1500)
    agent.put("d/forecast", 400)
    agent.run(30)
    assert agent.told() == {HEALTH}
    ends = agent.broker.ends
    agent.put("d/forecast", 2000)
    agent.run(30)
    assert agent.broker.ends == ends + 1
    assert agent.told() == {HEALTH, "d/forecast"}
    short = agent.put(HEALTH, 300)
    agent.run(FIRST_S)
    assert agent.heard(HEALTH) == [short]
    assert agent.told() == {"d/forecast"}


def test_one_loss_of_the_network_blames_nothing(agent: _Agent) -> None:
    """Rule 2: the message that happened to be under way goes next time."""
    agent.run(20)
    agent.put(EVENT)
    agent.broker.ends_on = {EVENT}
    agent.run(0.0)
    assert agent.broker.ends == 1
    agent.broker.ends_on = set()
    agent.run(10)
    assert len(agent.heard(EVENT)) == 1
    assert agent.told() == set()


@settings(max_examples=examples(40), stateful_step_count=20)
class BrokerWorld(RuleBasedStateMachine):
    """Alerts and states come, and the broker changes its mind about topics; see T3 and S5."""

    @initialize()
    def begin(self) -> None:
        """An agent on a broker that takes all."""
        self.agent = _Agent()
        self.alerts: dict[str, list[bytes]] = {}
        self.agent.run(20)

    @rule(topic=st.sampled_from(TOPICS[:5]), size=st.sampled_from([2, 300]))
    def put(self, topic: str, size: int) -> None:
        """A message for the broker."""
        payload = self.agent.put(topic, size)
        if topic.endswith("event"):
            self.alerts.setdefault(topic, []).append(payload)

    @rule(topics=st.sets(st.sampled_from(TOPICS), max_size=3), ends=st.booleans())
    def change(self, topics: set[str], ends: bool) -> None:
        """Another access list."""
        self.agent.broker.ends_on = topics if ends else set()
        self.agent.broker.refuses = set() if ends else topics

    @rule(seconds=st.sampled_from([1.0, 30.0, 400.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.agent.run(seconds)

    @rule()
    def lose(self) -> None:
        """The network breaks."""
        self.agent.broker.lose()

    @rule()
    def reload(self) -> None:
        """A new configuration."""
        self.agent.reload()

    @rule()
    def settle(self) -> None:
        """T3, S5: with time, allowed topics are heard, and each refused one that waits is told."""
        broker = self.agent.broker
        self.agent.run(300)
        bad = broker.ends_on | broker.refuses
        for topic, payloads in self.alerts.items():
            if topic not in bad:
                lost = [p for p in payloads if p not in self.agent.heard(topic)]
                assert all(self._is_kept(topic, payload) for payload in lost)
        probe = self.agent.put("d/alert/probe/event")
        self.agent.run(6)
        assert self.agent.heard("d/alert/probe/event")[-1] == probe

    def _is_kept(self, topic: str, payload: bytes) -> bool:
        """Set aside and told, as its topic was refused until now."""
        return topic in self.agent.told() or any(
            entry.message.payload == payload for entry in self.agent.outbox.due(None, limit=1000)
        )

    @invariant()
    def in_order_and_once(self) -> None:
        """Every event is heard once, and those of a topic in their order."""
        if not hasattr(self, "agent"):
            return
        for topic in self.alerts:
            heard = self.agent.heard(topic)
            assert heard == [p for p in self.alerts[topic] if p in heard]

    def teardown(self) -> None:
        """Once the broker takes all again and is connected to anew, nothing stays dead."""
        if not hasattr(self, "agent"):
            return
        self.agent.broker.ends_on, self.agent.broker.refuses = set(), set()
        self.agent.broker.lose()
        self.agent.run(60)
        self.agent.delivery.retry()
        self.agent.run(60)
        assert self.agent.told() == set()
        assert list(self._waiting()) == []

    def _waiting(self) -> Iterator[str]:
        return (entry.message.topic for entry in self.agent.outbox.due(None, limit=1000))


TestBrokerWorld = BrokerWorld.TestCase
