"""A broker that ends the connection on a filter: it is found and told, all else is heard and sent.

The numbers are the rules of `mqtt.listening`.
"""

from __future__ import annotations

import pytest

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.connection import Session, Subscription
from edge_agent.mqtt.culprit import FACTOR, FIRST_S
from edge_agent.mqtt.delivery import RETRY_S, Delivery
from tests.fakes.clock import FakeClock
from tests.fakes.outbox import MemoryOutbox
from tests.fakes.strict_broker import StrictBroker

PRESENCE, PING, EVENT = "d/availability", "d/ping", "d/alert/heat/event"
SENSORS = tuple(f"sensor/{number}" for number in range(10))
BAD = "sensor/4"


class _Agent:
    """A delivery on a strict broker, with time that passes at once."""

    def __init__(self, *bad: str) -> None:
        self.clock, self.outbox, self.broker = FakeClock(), MemoryOutbox(), StrictBroker()
        self.broker.ends_on_filters = set(bad)
        self.delivery = self._delivery(SENSORS)

    def _delivery(self, sensors: tuple[str, ...]) -> Delivery:
        wanted = tuple(map(Subscription, sensors))
        session = Session(PRESENCE, wanted, "5", PING)
        return Delivery(self.broker, self.outbox, session, Backoff(lambda: 1.0), self.clock)

    def reload(self, sensors: tuple[str, ...] = SENSORS) -> None:
        before, self.delivery = self.delivery, self._delivery(sensors)
        assert self.delivery.take_over(before)

    def raise_alert(self) -> None:
        self.outbox.put(Message(f"a{self.clock.monotonic()}", EVENT, b"a", Kind.ALERT))

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

    def listens_to(self) -> set[str]:
        """Sensors and own topics that the broker would pass on now."""
        return self.broker.listened

    def told(self) -> set[str]:
        concerns = " ".join(self.delivery.state.concerns)
        return {
            topic for topic in (*SENSORS, PRESENCE, PING) if f"listening to {topic}:" in concerns
        }


@pytest.mark.parametrize("bad", [(BAD,), (BAD, "sensor/9"), (PRESENCE,), (PING,), ("sensor/0",)])
def test_it_is_found_and_all_else_is_heard(bad: tuple[str, ...]) -> None:
    """Rules 2 and 3: alerts pass within half a minute, and the connection stands from then on."""
    agent = _Agent(*bad)
    agent.raise_alert()
    agent.run(30)
    assert [entry for entry in agent.broker.heard if entry[0] == EVENT] == [(EVENT, b"a")]
    assert agent.delivery.state.connected
    assert agent.listens_to() == {PRESENCE, PING, *SENSORS} - set(bad)
    assert agent.told() == set(bad)
    assert agent.broker.heard.count((PRESENCE, b"online")) >= 1
    ends = agent.broker.ends
    agent.run(FIRST_S / 2)
    assert agent.broker.ends == ends
    agent.raise_alert()
    agent.run(0.1)
    assert agent.broker.heard[-1] == (EVENT, b"a")


def test_nothing_is_blamed_on_one_loss_of_the_network() -> None:
    """Rule 2: filters that were unanswered then are all heard after it."""
    agent = _Agent()
    agent.delivery.tick(agent.clock.now())
    agent.delivery.handle(agent.broker.events.popleft())
    agent.broker.events.clear()
    agent.broker.lose()
    agent.run(10)
    assert agent.listens_to() == {PRESENCE, PING, *SENSORS}
    assert agent.told() == set()
    assert max(map(len, agent.broker.asked_for[1:])) == 1
    agent.broker.lose()
    agent.run(10)
    assert len(agent.broker.asked_for[-1]) == len(SENSORS) + 2


def test_it_is_tried_ever_less_often() -> None:
    """Rule 3: each trial costs one connection."""
    agent = _Agent(BAD)
    agent.run(30)
    ends = agent.broker.ends
    agent.run(FIRST_S + 30)
    assert agent.broker.ends == ends + 1
    agent.run(FIRST_S * FACTOR - 60)
    assert agent.broker.ends == ends + 1
    agent.run(120)
    assert agent.broker.ends == ends + 2


@pytest.mark.parametrize("how", ["loss", "reload", "person", "time"])
def test_it_is_heard_once_the_broker_is_mended(how: str) -> None:
    """Rule 3: at the next connection, at a reload, when a person asks, and after its wait."""
    agent = _Agent(BAD)
    agent.run(30)
    agent.broker.ends_on_filters = set()
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
    assert BAD in agent.listens_to()
    assert agent.told() == set()


def test_a_filter_that_is_gone_is_told_no_more() -> None:
    """Rule 3: a sensor that a reload takes out."""
    agent = _Agent(BAD)
    agent.run(30)
    agent.reload(tuple(sensor for sensor in SENSORS if sensor != BAD))
    agent.run(20)
    assert agent.told() == set()
    assert agent.delivery.state.connected


def test_messages_wait_no_longer_than_an_answer_may_take() -> None:
    """Rule 2: a broker that ends the connection once, and later answers no SUBSCRIBE."""
    agent = _Agent(BAD)
    agent.delivery.tick(agent.clock.now())
    agent.delivery.handle(agent.broker.events.popleft())
    agent.broker.answers_filters = False
    agent.broker.ends_on_filters = set()
    agent.raise_alert()
    agent.run(4.5)
    assert agent.broker.heard == []
    agent.run(10)
    assert (EVENT, b"a") in agent.broker.heard
    assert set().union(*agent.broker.asked_for[1:]) == {PRESENCE, PING, *SENSORS}
