"""A broker that ends the connection on a filter: it is found and told, all else is heard and sent.

The numbers are the rules of `mqtt.listening`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.mqtt.connection import Session, Subscription
from edge_agent.mqtt.culprit import FACTOR, FIRST_S
from tests.fakes.delivering_agent import CAUSES, PING, PRESENCE, DeliveringAgent

if TYPE_CHECKING:
    from tests.fakes.delivering_agent import Cause

EVENT = "d/alert/heat/event"
SENSORS = tuple(f"sensor/{number}" for number in range(10))
BAD = "sensor/4"


def _session(sensors: tuple[str, ...] = SENSORS) -> Session:
    return Session(PRESENCE, tuple(map(Subscription, sensors)), "5", PING)


class _Agent(DeliveringAgent):
    """One with sensors, on a broker that ends the connection on these filters."""

    def __init__(self, *bad: str) -> None:
        super().__init__(_session())
        self.broker.ends_on_filters = set(bad)

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
    alert = agent.put(EVENT)
    agent.run(30)
    assert agent.heard(EVENT) == [alert]
    assert agent.delivery.state.connected
    assert agent.listens_to() == {PRESENCE, PING, *SENSORS} - set(bad)
    assert agent.told() == set(bad)
    assert agent.broker.heard.count((PRESENCE, b"online")) >= 1
    ends = agent.broker.ends
    agent.run(FIRST_S / 2)
    assert agent.broker.ends == ends
    alert = agent.put(EVENT)
    agent.run(0.1)
    assert agent.broker.heard[-1] == (EVENT, alert)


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


@pytest.mark.parametrize("cause", CAUSES)
def test_it_is_heard_once_the_broker_is_mended(cause: Cause) -> None:
    """Rule 3: at the next connection, at a reload, when a person asks, and after its wait."""
    agent = _Agent(BAD)
    agent.run(30)
    agent.broker.ends_on_filters = set()
    agent.ask_again(cause)
    agent.run(20)
    assert BAD in agent.listens_to()
    assert agent.told() == set()


def test_a_filter_that_is_gone_is_told_no_more() -> None:
    """Rule 3: a sensor that a reload takes out."""
    agent = _Agent(BAD)
    agent.run(30)
    assert agent.reload(_session(tuple(sensor for sensor in SENSORS if sensor != BAD)))
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
    alert = agent.put(EVENT)
    agent.run(4.5)
    assert agent.broker.heard == []
    agent.run(10)
    assert agent.heard(EVENT) == [alert]
    assert set().union(*agent.broker.asked_for[1:]) == {PRESENCE, PING, *SENSORS}
