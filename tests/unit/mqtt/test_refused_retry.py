"""What a broker refuses by an answer is tried again by itself: the module's rules."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.connection import Acknowledged, Down, Session, Subscribed, Subscription, Up
from edge_agent.mqtt.delivery import FILTERS_S, Delivery
from edge_agent.mqtt.outbox import Outbox
from edge_agent.mqtt.refused_retry import AHEAD_S, LEAST_S, OTHERS_S
from edge_agent.system.database import connect
from tests.fakes.clock import FakeClock
from tests.fakes.publisher import FakeLink

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

FROST = "d/alert/frost/event"
HEAT = "d/alert/heat/event"
HEALTH = "d/health"
REFUSAL = 0x87


class _Farm:
    """A delivery on a broker whose access list is a set of topics that may not be written."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.clock = FakeClock()
        self.link = FakeLink()
        self.outbox = Outbox(db)
        self.denied: set[str] = set()
        self._answered = 0
        self.delivery = Delivery(
            self.link,
            self.outbox,
            Session("d/availability", (Subscription("d/cmd/+", commands=True),), "5"),
            Backoff(lambda: 1.0),
            self.clock,
        )
        self.turn()
        self.delivery.handle(Up("5", window=4, largest=None))
        self.delivery.handle(Subscribed(()))
        self.run(4)
        self.sent_since()

    def put(self, name: str, topic: str, kind: Kind = Kind.ALERT, **more: object) -> None:
        message = Message(name, topic, name.encode(), kind)
        self.outbox.put(replace(message, **more))  # type: ignore[arg-type]

    def turn(self) -> float:
        """One turn of the loop, and the answers of the broker."""
        wait_s = self.delivery.tick(self.clock.now())
        new, self._answered = self.link.sent[self._answered :], len(self.link.sent)
        for token, message in new:
            code = REFUSAL if message.topic in self.denied else 0
            self.delivery.handle(Acknowledged(token, code, "Not authorized" if code else "Success"))
        return wait_s

    def run(self, seconds: float) -> None:
        """Turn whenever the delivery asks for it, and at each second."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            before = len(self.link.sent)
            wait_s = self.turn()
            if len(self.link.sent) == before:
                assert wait_s > 0, "no loop without a pause"
                self.clock.advance(min(wait_s, 1.0, left))
        self.turn()

    def sent_since(self) -> list[str]:
        """Payloads sent since the last call."""
        sent = [message.payload.decode() for _, message in self.link.sent]
        self.link.sent.clear()
        self._answered = 0
        return sent

    @property
    def refused(self) -> list[str]:
        return [refusal.topic for refusal in self.outbox.counts().refusals]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[_Farm]:
    """Connected, nothing waits."""
    with closing(connect(tmp_path / "agent.db")) as db:
        yield _Farm(db)


def test_an_alert_is_heard_within_a_minute_after_the_access_list_was_mended(farm: _Farm) -> None:
    """Rule 1: nobody connects, reloads or asks."""
    farm.denied = {FROST}
    farm.put("raised", FROST)
    farm.run(300)
    assert farm.refused == [FROST]
    farm.sent_since()
    farm.denied.clear()
    farm.run(AHEAD_S)
    assert farm.sent_since() == ["raised"]
    assert farm.refused == []
    assert farm.outbox.counts().waiting == {}
    assert farm.outbox.counts().delivered["alert"] == 1


def test_a_try_is_one_message_of_each_topic_and_writes_nothing(farm: _Farm) -> None:
    """Rule 1: an hour of refusals costs one message a minute and topic, and no page of the disk."""
    farm.denied = {FROST, HEAT}
    for number in range(3):
        farm.put(f"frost {number}", FROST)
    farm.put("heat", HEAT)
    farm.run(120)
    farm.sent_since()
    changes, counted = farm.db.total_changes, farm.outbox.counts().refused
    farm.run(3600)
    sent = farm.sent_since()
    assert set(sent) == {"frost 0", "heat"}
    assert 58 <= sent.count("frost 0") == sent.count("heat") <= 61
    assert farm.db.total_changes == changes
    assert farm.outbox.counts().refused == counted == {"alert": 4}


def test_others_are_tried_every_five_minutes(farm: _Farm) -> None:
    """Rule 1: states and descriptions are not urgent."""
    farm.denied = {HEALTH}
    farm.put("health", HEALTH, Kind.TELEMETRY)
    farm.run(10)
    farm.sent_since()
    farm.run(3600)
    assert farm.sent_since() == ["health"] * 12
    farm.denied.clear()
    farm.run(OTHERS_S)
    assert farm.sent_since() == ["health"]
    assert farm.refused == []


def test_the_messages_of_a_topic_come_in_order(farm: _Farm) -> None:
    """Rule 1: a later one waits while the oldest is tried, and then all follow."""
    farm.denied = {FROST}
    for number in range(6):
        farm.put(f"frost {number}", FROST)
    farm.run(10)
    farm.sent_since()
    farm.denied.clear()
    farm.clock.advance(AHEAD_S)
    farm.delivery.tick(farm.clock.now())
    farm.put("frost 6", FROST)
    farm.put("heat", HEAT)
    farm.delivery.tick(farm.clock.now())
    farm.run(2)
    sent = farm.sent_since()
    assert sent[:2] == ["frost 0", "heat"]
    assert [name for name in sent if name != "heat"] == [f"frost {n}" for n in range(7)]


def test_a_message_of_the_kind_that_is_accepted_brings_the_others(farm: _Farm) -> None:
    """Rule 2: the access list allows one alert, so it may allow the others: at once, not often."""
    farm.denied = {FROST}
    farm.put("frost", FROST)
    farm.run(AHEAD_S + LEAST_S)
    farm.sent_since()
    farm.denied.clear()
    farm.put("heat", HEAT)
    farm.run(1)
    assert farm.sent_since() == ["heat", "frost"]
    farm.denied = {FROST}
    farm.put("frost 2", FROST)
    for number in range(50):
        farm.put(f"heat {number}", HEAT)
        farm.run(1)
    assert farm.sent_since().count("frost 2") <= 2 + 50 / LEAST_S


def test_what_no_longer_holds_is_not_tried(farm: _Farm) -> None:
    """An expired message is none any more; the next one of its topic has its turn."""
    farm.denied = {FROST}
    farm.put("old", FROST, expires_at=farm.clock.now() + timedelta(seconds=90))
    farm.put("new", FROST)
    farm.run(100)
    farm.sent_since()
    farm.run(120)
    assert set(farm.sent_since()) == {"new"}


def test_what_ends_a_connection_is_not_tried_each_minute(farm: _Farm) -> None:
    """Rule 4: each try costs a connection, so the pauses of the search stand."""
    farm.put("frost", FROST)
    farm.outbox.due(None)
    farm.outbox.refused("frost", "it ends the connection", hung_up=True)
    farm.run(3600)
    assert farm.sent_since() == []


def test_a_broker_that_hangs_up_on_a_try_is_left_alone_for_long(farm: _Farm) -> None:
    """Rule 4: a refused topic on which the broker now hangs up joins the search."""
    farm.denied = {FROST}
    farm.put("frost", FROST)
    farm.run(10)
    ends = 0
    for _ in range(3600):
        farm.delivery.tick(farm.clock.now())
        if any(message.topic == FROST for _, message in farm.link.sent[farm._answered :]):
            farm.delivery.handle(Down("connection lost", reached=True))
            ends += 1
            farm._answered = len(farm.link.sent)
            farm.clock.advance(20)
            farm.delivery.tick(farm.clock.now())
            farm.delivery.handle(Up("5", window=4, largest=None))
            farm.delivery.handle(Subscribed(()))
        farm.turn()
        farm.clock.advance(1)
    assert 2 <= ends <= 6
    assert farm.refused == [FROST]


def test_filters_that_were_refused_are_asked_for_alone(farm: _Farm) -> None:
    """Commands are heard within five minutes after the access list was mended."""
    farm.delivery.handle(Down("lost", reached=True))
    farm.clock.advance(60)
    farm.turn()
    farm.delivery.handle(Up("5", window=4, largest=None))
    farm.delivery.handle(Subscribed((1,)))
    farm.run(5)
    assert farm.delivery.state.refused_topics == ("d/cmd/+",)
    asked = len(farm.link.asked)
    farm.run(FILTERS_S)
    assert [[s.topic for s in group] for group in farm.link.asked[asked:]] == [["d/cmd/+"]]
    farm.delivery.handle(Subscribed(()))
    assert not farm.delivery.state.concerns
    farm.run(FILTERS_S)
    assert len(farm.link.asked) == asked + 1
