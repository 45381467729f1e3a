"""A broker that hangs up on CONNECT: less is asked of it, but not of one that is away or starts.

The numbers are the rules of `mqtt.lessening`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.connection import Down, Event, Session, Up
from edge_agent.mqtt.reason_codes import NO_QOS_1, NO_RETAIN
from tests.fakes.delivering_agent import CAUSES, PRESENCE, DeliveringAgent

if TYPE_CHECKING:
    from typing import Literal

    from tests.fakes.delivering_agent import Cause

    Protocol = Literal["auto", "5", "3.1.1"]

SILENT = Down("connection lost", reached=True, silent=True)


class _Agent(DeliveringAgent):
    """One whose broker has these attributes, see `StrictBroker`."""

    def __init__(self, protocol: Protocol = "3.1.1", **broker: object) -> None:
        super().__init__(Session(PRESENCE, protocol=protocol))
        for name, value in broker.items():
            setattr(self.broker, name, value)


@pytest.mark.parametrize("protocol", ["3.1.1", "auto"])
@pytest.mark.parametrize("needless", [{NO_RETAIN}, {NO_QOS_1}, {NO_RETAIN, NO_QOS_1}])
def test_what_a_silent_broker_does_not_take_is_found(
    protocol: Protocol, needless: set[int]
) -> None:
    """Rules 2 and 3: connected, alerts pass, and people are told what is missing."""
    agent = _Agent(protocol, hangs_up_on=needless)
    agent.outbox.put(Message("a", "d/alert/heat/event", b"a", Kind.ALERT))
    agent.run(20)
    assert ("d/alert/heat/event", b"a") in agent.broker.heard
    assert agent.broker.asked[-1][1] == needless
    concerns = " ".join(agent.delivery.state.concerns)
    assert ("retained" in concerns) is (NO_RETAIN in needless)
    assert ("QoS 0" in concerns) is (NO_QOS_1 in needless)


def test_all_is_asked_again_of_a_broker_that_was_starting() -> None:
    """Rule 3: it accepts the third attempt, which asks for less; that one is given up."""
    agent = _Agent(hangs_up=2)
    agent.run(20)
    assert agent.delivery.state.connected
    assert agent.delivery.state.concerns == ()
    assert [set(without) for _, without in agent.broker.asked] == [set(), set(), {NO_RETAIN}, set()]


@pytest.mark.parametrize(
    "end", [Down("nothing accepts connections"), Down("no answer", reached=True), SILENT]
)
def test_nothing_less_is_asked_of_a_broker_that_is_away(end: Event) -> None:
    """Rule 2: refused connections, ones that time out, and single hang-ups between them."""
    agent = _Agent(scripted=[*[Down("nothing accepts connections"), end] * 5])
    agent.run(200)
    assert len(agent.broker.asked) == 11
    assert not any(without for _, without in agent.broker.asked)
    assert agent.delivery.state.connected


@pytest.mark.parametrize("cause", CAUSES)
def test_a_mended_broker_gets_all(cause: Cause) -> None:
    """Rule 4: at the next connection, which a reload, a person and six hours bring about."""
    agent = _Agent(hangs_up_on={NO_RETAIN})
    agent.run(20)
    agent.broker.hangs_up_on = set()
    agent.ask_again(cause)
    agent.run(20)
    assert agent.delivery.state.connected
    assert agent.delivery.state.concerns == ()


def test_a_later_connection_takes_one_more_attempt() -> None:
    """Rule 4: what was right before is asked for at once."""
    agent = _Agent(hangs_up_on={NO_QOS_1})
    agent.run(20)
    agent.broker.asked.clear()
    agent.broker.lose()
    agent.run(5)
    assert [set(without) for _, without in agent.broker.asked] == [set(), {NO_QOS_1}]
    assert agent.delivery.state.connected


def test_a_reason_is_taken_at_its_word() -> None:
    """Rule 1: the next attempt asks for less, at once."""
    agent = _Agent("5", scripted=[Down("refused", NO_RETAIN, reached=True)])
    agent.broker.up = Up("5", window=10, largest=None, retains=False)
    agent.run(0.5)
    assert [set(without) for _, without in agent.broker.asked] == [set(), {NO_RETAIN}]
    assert agent.delivery.state.connected
