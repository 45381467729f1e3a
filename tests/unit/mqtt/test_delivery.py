"""The delivery's rules over a fake link, by hand-turned clock; the numbers are its rules."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.connection import (
    Acknowledged,
    Down,
    Received,
    Session,
    Subscribed,
    Subscription,
    Up,
)
from edge_agent.mqtt.delivery import MEMORY_S, Delivery
from tests.fakes.clock import FakeClock
from tests.fakes.outbox import MemoryOutbox
from tests.fakes.publisher import FakeLink

if TYPE_CHECKING:
    from edge_agent.mqtt.connection import Version

UP = Up("5", window=3, largest=None)


class _Bench:
    """A delivery with everything around it in reach."""

    def __init__(
        self,
        protocol: str = "auto",
        random: float = 1.0,
        *,
        sensors: tuple[str, ...] = ("s/1",),
        outbox: MemoryOutbox | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.link = FakeLink()
        self.outbox = outbox or MemoryOutbox()
        self.delivery = Delivery(
            self.link,
            self.outbox,
            Session(
                "d/availability",
                (Subscription("d/cmd/+", commands=True), *map(Subscription, sensors)),
                protocol,  # type: ignore[arg-type]
            ),
            Backoff(lambda: random),
            self.clock,
        )

    def tick(self) -> float:
        return self.delivery.tick(self.clock.now())

    def handle(self, event: object) -> None:
        self.delivery.handle(event)  # type: ignore[arg-type]

    def connect(self, up: Up = UP) -> None:
        """To a broker that remembers the last presence."""
        self.tick()
        self.handle(up)
        self.handle(Subscribed(()))
        self.presence(b"offline", retain=True)
        self.tick()
        self.answer_own()
        self.tick()

    def answer_own(self) -> None:
        for answer in self.link.answers("d/availability"):
            self.handle(answer)

    def presence(self, payload: bytes, *, retain: bool = False) -> None:
        self.handle(Received("d/availability", payload, retain=retain, at=self.clock.now()))

    def reconnect(self) -> None:
        self.answer_own()
        self.handle(Subscribed(()))
        self.handle(Down("lost", reached=True))
        self.clock.advance(self.tick())
        self.tick()
        self.handle(UP)
        self.tick()

    def put(self, *names: str) -> None:
        for name in names:
            self.outbox.put(Message(name, f"t/{name}", b"{}", Kind.ALERT))

    def acknowledge(self, topic: str, code: int = 0) -> None:
        token = next(t for t, m in reversed(self.link.sent) if m.topic == topic)
        self.handle(Acknowledged(token, code, "Not authorized" if code else "Success"))

    def waiting(self) -> list[str]:
        return [entry.message.id for entry in self.outbox.due(None, limit=100)]


def test_pauses_double_up_to_the_longest() -> None:
    """Rule 1: 1, 2, 4, 8, 15 s, scaled by the random number."""
    bench = _Bench(protocol="5", random=0.5)
    pauses = []
    for _ in range(7):
        bench.tick()
        bench.handle(Down("refused"))
        pauses.append(bench.tick())
        bench.clock.advance(pauses[-1])
    assert pauses == [0.5, 1, 2, 4, 7.5, 7.5, 7.5]


def test_nothing_is_dialled_during_a_pause() -> None:
    """Rule 1: ticks within the pause do nothing."""
    bench = _Bench(protocol="5")
    bench.tick()
    bench.handle(Down("refused"))
    assert bench.tick() == 1.0
    bench.clock.advance(0.9)
    bench.tick()
    assert len(bench.link.attempts) == 1
    bench.clock.advance(0.2)
    bench.tick()
    assert len(bench.link.attempts) == 2


@pytest.mark.parametrize(("stood_s", "pause"), [(59.0, 8.0), (60.0, 1.0)])
def test_only_a_stable_minute_resets_the_pause(stood_s: float, pause: float) -> None:
    """Rule 1: a connection that breaks within a minute goes on counting."""
    bench = _Bench(protocol="5")
    for _ in range(3):
        bench.tick()
        bench.handle(Down("refused"))
        bench.clock.advance(bench.tick())
    bench.connect()
    bench.clock.advance(stood_s)
    bench.handle(Down("lost"))
    assert bench.tick() == pause


@pytest.mark.parametrize(
    ("code", "pause", "hint"),
    [
        (0x86, 60.0, "check mqtt.username and mqtt.password_file"),
        (0x87, 60.0, "access list"),
        (0x8E, 120.0, "another client uses the same mqtt.client_id"),
        (0x97, 120.0, ""),
    ],
)
def test_some_refusals_pause_longer(
    code: int, pause: float, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 2: the pause and a hint for people, by the broker's reason."""
    bench = _Bench()
    bench.tick()
    with caplog.at_level(logging.WARNING):
        bench.handle(Down("broker refuses", code, reached=True))
    assert bench.tick() == pause
    assert hint in bench.delivery.state.problem
    assert hint in caplog.text


def test_a_second_client_is_blamed_on_the_brokers_word_alone() -> None:
    """Rule 2, T4: a connection that is lost again and again says nothing of another client."""
    bench = _Bench(protocol="5")
    for _ in range(5):
        bench.clock.advance(bench.tick())
        bench.connect()
        bench.handle(Down("connection lost", reached=True))
        assert bench.delivery.state.problem == "connection lost"
        assert bench.delivery.state.concerns == ()
    bench.clock.advance(bench.tick())
    bench.connect()
    bench.handle(Down("broker disconnects: Session taken over", 0x8E, reached=True))
    assert "another client uses the same mqtt.client_id" in bench.delivery.state.problem


@pytest.mark.parametrize("down", [Down("v", 0x84, reached=True), Down("lost", reached=True)])
def test_auto_falls_back_at_once_and_comes_back(down: Down) -> None:
    """Rule 3: 5, then 3.1.1 without a pause, then a pause and 5 again."""
    bench = _Bench()
    bench.tick()
    bench.handle(down)
    bench.tick()
    assert bench.link.attempts == ["5", "3.1.1"]
    bench.handle(Down("lost", reached=True))
    bench.clock.advance(bench.tick())
    bench.tick()
    assert bench.link.attempts == ["5", "3.1.1", "5"]


@pytest.mark.parametrize(
    ("protocol", "down", "second"),
    [
        ("5", Down("v", 0x84, reached=True), "5"),
        ("3.1.1", Down("lost", reached=True), "3.1.1"),
        ("auto", Down("no route"), "5"),
        ("auto", Down("login", 0x86, reached=True), "5"),
    ],
)
def test_fallback_only_where_it_helps(protocol: str, down: Down, second: Version) -> None:
    """Rule 3: a fixed protocol stays, and an absent broker says nothing about versions."""
    bench = _Bench(protocol)
    bench.tick()
    bench.handle(down)
    bench.clock.advance(bench.tick())
    bench.tick()
    assert bench.link.attempts[1] == second


def test_presence_then_subscriptions_then_the_queue() -> None:
    """Rules 4 and 6: the last presence is read, then `online` said, then what waits is sent."""
    bench = _Bench()
    bench.put("a", "b", "c", "d")
    bench.tick()
    bench.handle(UP)
    bench.tick()
    assert bench.link.topics == []
    bench.presence(b"offline", retain=True)
    bench.tick()
    assert bench.link.topics == ["d/availability", "t/a", "t/b"], "three are under way"
    bench.answer_own()
    bench.tick()
    assert bench.link.topics == ["d/availability", "t/a", "t/b", "t/c"]
    assert bench.link.sent[0][1].payload == b"online"
    assert bench.link.sent[0][1].retain
    assert [s.topic for s in bench.link.asked[0]] == ["d/availability", "d/cmd/+", "s/1"]
    bench.acknowledge("t/a")
    bench.tick()
    assert bench.link.topics[-1] == "t/d"
    assert bench.waiting() == ["b", "c", "d"]


def test_unacknowledged_messages_come_again_in_order() -> None:
    """Rules 4 and 5: after a break the queue starts from its oldest message, one by one."""
    bench = _Bench()
    bench.put("a", "b", "c", "d")
    bench.connect()
    bench.acknowledge("t/b")
    bench.handle(Down("lost", reached=True))
    bench.clock.advance(bench.tick())
    before = len(bench.link.sent)
    bench.connect()
    for name in "acd":
        assert bench.link.topics[before:][-1] == f"t/{name}", "one at a time after the loss"
        assert bench.waiting()[0] == name
        bench.acknowledge(f"t/{name}")
        bench.tick()
    assert bench.link.topics[before:] == ["d/availability", "t/a", "t/c", "t/d"]


def test_a_lost_connection_mid_send_skips_nothing() -> None:
    """Rule 5: what could not be sent stays next in line."""
    bench = _Bench()
    bench.connect()
    bench.put("a", "b")
    bench.link.gone = True
    bench.tick()
    bench.link.gone = False
    bench.tick()
    assert bench.link.topics == ["d/availability", "t/a", "t/b"]


def test_refusals_become_dead_letters() -> None:
    """Rule 5: a PUBACK of 0x80 and more ends the message, and it does not come again."""
    bench = _Bench()
    bench.put("a", "b")
    bench.connect()
    bench.acknowledge("t/a", 0x87)
    assert bench.waiting() == ["b"]
    assert bench.outbox.counts().refused == {"alert": 1}


def test_an_exceeded_quota_only_slows_down() -> None:
    """Rule 5: the message is kept and the connection given a rest."""
    bench = _Bench()
    bench.put("a")
    bench.connect()
    bench.acknowledge("t/a", 0x97)
    assert bench.link.dropped == 1
    assert bench.waiting() == ["a"]


def test_messages_too_long_for_the_broker_are_never_sent() -> None:
    """Rule 5: by the broker's own limit, or by its complaint."""
    bench = _Bench()
    bench.outbox.put(Message("big", "t/big", b"x" * 1000, Kind.ALERT))
    bench.put("a")
    bench.connect(Up("5", window=3, largest=600))
    assert bench.link.topics == ["d/availability", "t/a"]
    assert bench.waiting() == ["a"]
    bench.handle(Down("broker disconnects: Packet too large", 0x95, reached=True))
    assert bench.waiting() == []


def test_time_left_is_computed_when_sent() -> None:
    """Rule 4: a message that waited has less time left; without a trusted clock none is said."""
    bench = _Bench()
    end = bench.clock.now() + timedelta(seconds=100)
    bench.outbox.put(Message("a", "t/a", b"{}", Kind.STATE, expires_at=end))
    bench.clock.advance(39.5)
    bench.connect()
    assert bench.link.sent[-1][1].expiry_s == 61
    bench.handle(Down("lost", reached=True))
    bench.clock.advance(5)
    bench.delivery.tick(None)
    bench.handle(UP)
    bench.presence(b"online", retain=True)
    bench.delivery.tick(None)
    assert bench.link.sent[-1][1].expiry_s is None


def test_a_broker_without_memory_hears_retained_messages_again() -> None:
    """Rule 6: only when it has no last presence, or does not let it be read."""
    bench = _retained_model()
    bench.reconnect()
    bench.presence(b"online", retain=True)
    bench.clock.advance(MEMORY_S)
    bench.tick()
    assert bench.link.topics[-1] == "d/availability"
    assert bench.link.topics.count("t/model") == 1
    bench.reconnect()
    # Its own `online` of this connection, as 3.1.1 sends it back, is no memory.
    bench.presence(b"online")
    bench.clock.advance(MEMORY_S - 0.1)
    bench.tick()
    assert bench.link.topics.count("d/availability") == 2
    bench.clock.advance(0.1)
    bench.tick()
    assert bench.link.topics[-2:] == ["d/availability", "t/model"]
    bench.acknowledge("t/model")
    bench.reconnect()
    bench.handle(Subscribed((0,)))
    bench.tick()
    assert bench.link.topics[-2:] == ["d/availability", "t/model"]
    assert bench.delivery.state.refused_topics == ("d/availability",)


def test_a_late_last_will_is_corrected() -> None:
    """Rule 6: `offline` while connected is answered by `online`; the answer by nothing."""
    bench = _Bench()
    bench.connect()
    bench.presence(b"online")
    assert bench.link.topics == ["d/availability"]
    bench.presence(b"offline")
    assert [m.payload for _, m in bench.link.sent] == [b"online", b"online"]
    bench.handle(Down("lost", reached=True))
    bench.presence(b"offline")
    assert len(bench.link.sent) == 2


def _retained_model() -> _Bench:
    bench = _Bench()
    bench.outbox.put(Message("m", "t/model", b"{}", Kind.STATE, retain=True))
    bench.connect()
    bench.acknowledge("t/model")
    bench.tick()
    return bench


def test_a_silent_connection_is_dropped() -> None:
    """Rule 7: an unacknowledged message for a minute means a dead connection; idle does not."""
    bench = _Bench()
    bench.connect()
    bench.acknowledge("d/availability")
    bench.clock.advance(600)
    bench.tick()
    assert bench.link.dropped == 0
    bench.put("a")
    bench.tick()
    bench.clock.advance(59)
    bench.tick()
    assert bench.link.dropped == 0
    bench.clock.advance(1)
    bench.tick()
    assert bench.link.dropped == 1


def test_an_attempt_without_an_answer_is_cut() -> None:
    """Rule 1: a broker that accepts and says nothing does not hold the agent for ever."""
    bench = _Bench()
    bench.clock.advance(bench.tick())
    bench.tick()
    assert bench.link.dropped == 1


def test_denied_subscriptions_are_said(caplog: pytest.LogCaptureFixture) -> None:
    """A filter the broker refuses is named in the state and the log."""
    bench = _Bench()
    bench.tick()
    bench.handle(UP)
    with caplog.at_level(logging.WARNING):
        bench.handle(Subscribed((2,)))
    assert bench.delivery.state.refused_topics == ("s/1",)
    assert "listening to s/1" in caplog.text


@pytest.mark.parametrize("sensors", [("s/1",), ("s/1", "s/2"), ("s/2",), ()])
def test_a_delivery_goes_on_with_the_connection_of_another(sensors: tuple[str, ...]) -> None:
    """Rule 8: nothing is said or sent twice; late PUBACKs count; topics come and go."""
    before = _Bench()
    before.put("a", "b", "c", "d")
    before.connect()
    after = _Bench(sensors=sensors, outbox=before.outbox)
    assert after.delivery.take_over(before.delivery)
    after.tick()
    assert len(after.link.sent) == 4
    after.acknowledge("t/a")
    after.tick()
    after.acknowledge("t/b")
    after.tick()
    assert after.link.topics == ["d/availability", "t/a", "t/b", "t/c", "t/d"]
    assert after.link.attempts == []
    assert after.waiting() == ["c", "d"]
    asked = [[s.topic for s in request] for request in after.link.asked]
    assert len(asked) == (1 if sensors == ("s/1",) else 2)
    assert asked[-1] == ["d/availability", "d/cmd/+", *sensors]
    left = [[s.topic for s in request] for request in after.link.left]
    assert left == ([] if "s/1" in sensors else [["s/1"]])
    assert after.delivery.state.connected
    assert after.delivery.state.connections == 1
    assert not before.delivery.state.connected


def test_a_connection_goes_on_with_another_queue() -> None:
    """Rule 8: after a move to another database its places begin anew."""
    before = _Bench()
    before.put("a", "b", "c")
    before.connect()
    for name in "abc":
        before.acknowledge(f"t/{name}")
    before.tick()
    after = _Bench()
    assert after.delivery.take_over(before.delivery)
    after.put("d")
    after.tick()
    assert after.link.topics[-1] == "t/d"


def test_a_connection_that_does_not_fit_is_not_taken_over() -> None:
    """Rule 8: not connected, another broker, another protocol."""
    away = _Bench()
    assert not _Bench().delivery.take_over(away.delivery)
    before = _Bench()
    before.connect()
    other = _Bench()
    other.link.broker = "b"
    for changed in (other, _Bench("5")):
        assert not changed.delivery.take_over(before.delivery)
    assert before.delivery.state.connected


def test_hanging_up_says_offline_and_keeps_late_acknowledgements() -> None:
    """A clean stop publishes `offline`; PUBACKs that still came are written down."""
    bench = _Bench()
    bench.put("a", "b")
    bench.connect()
    bench.delivery.disconnect(2.0)
    (last,) = bench.link.last_words
    assert last is not None
    assert last.payload == b"offline"
    bench.acknowledge("t/a")
    bench.handle(Down("connection lost", reached=True))
    bench.delivery.remove_acknowledged()
    assert bench.waiting() == ["b"]


def test_an_attempt_under_way_is_given_up_without_words() -> None:
    """A stop while dialling says nothing and leaves nothing behind."""
    bench = _Bench()
    bench.tick()
    bench.delivery.disconnect(2.0)
    assert bench.link.last_words == [None]
