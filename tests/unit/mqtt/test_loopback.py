"""The ping to oneself, by hand-turned time; the numbers are the module's rules."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.connection import Received, Session, Subscription, Up
from edge_agent.mqtt.delivery import Delivery
from edge_agent.mqtt.loopback import EVERY_S, PATIENCE_S, LoopbackPing, PingAction
from tests.fakes.clock import FakeClock
from tests.fakes.outbox import MemoryOutbox
from tests.fakes.publisher import FakeLink

if TYPE_CHECKING:
    import pytest


def _beat(ping: LoopbackPing, moment: float, *, back: bool) -> float:
    """Wait for the next ping, send it, hear it or not; the time after."""
    moment += ping.due_in(moment)
    assert ping.judge(moment) is PingAction.PING
    payload = ping.next_payload(moment)
    assert ping.judge(moment) is PingAction.NOTHING
    if back:
        ping.hear(payload, moment + 1)
        return moment + 1
    return moment + PATIENCE_S


def test_pings_come_at_their_rate() -> None:
    """Rule 1: one soon after connecting, then one every five minutes while they come back."""
    ping = LoopbackPing()
    ping.connected(100.0)
    moment = _beat(ping, 100.0, back=True)
    assert moment < 120
    for _ in range(5):
        assert ping.due_in(moment) == EVERY_S
        moment = _beat(ping, moment, back=True)
    assert not ping.deaf


def test_a_missed_ping_asks_for_the_subscription_again() -> None:
    """Rule 2: the broker may have lost it; one that then comes back is the end of it."""
    ping = LoopbackPing()
    ping.connected(0.0)
    moment = _beat(ping, 0.0, back=False)
    assert ping.judge(moment) is PingAction.SUBSCRIBE
    ping.hear(ping.next_payload(moment), moment + 1)
    assert ping.due_in(moment + 1) == EVERY_S


def test_a_connection_that_went_silent_is_dropped() -> None:
    """Rule 3: missed twice, after pings that came back."""
    ping = LoopbackPing()
    ping.connected(0.0)
    moment = _beat(ping, _beat(ping, 0.0, back=True), back=False)
    assert ping.judge(moment) is PingAction.SUBSCRIBE
    ping.next_payload(moment)
    assert ping.judge(moment + PATIENCE_S) is PingAction.DROP
    assert not ping.deaf


def test_a_topic_that_the_broker_hides_is_said_and_costs_no_connection() -> None:
    """Rule 3: where no ping ever came back nothing is dropped, also not after connecting anew."""
    ping = LoopbackPing()
    for _ in range(2):
        ping.connected(0.0)
        moment = _beat(ping, 0.0, back=False)
        for _ in range(4):
            assert ping.judge(moment) in {PingAction.SUBSCRIBE, PingAction.NOTHING}
            ping.next_payload(moment)
            moment += PATIENCE_S
        assert ping.deaf


def test_others_on_the_topic_count_for_nothing() -> None:
    """Only the payload under way is believed: an old ping or a stranger proves nothing."""
    ping = LoopbackPing()
    ping.connected(0.0)
    old = ping.next_payload(10.0)
    ping.hear(old, 11.0)
    ping.next_payload(400.0)
    ping.hear(old, 401.0)
    ping.hear(b"\xff", 402.0)
    assert ping.judge(400.0 + PATIENCE_S) is PingAction.SUBSCRIBE


def test_the_delivery_drops_a_silent_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Rule 7 of the delivery: keep-alives go on, own messages do not come back: connect anew."""
    clock, link = FakeClock(), FakeLink()
    delivery = Delivery(
        link,
        MemoryOutbox(),
        Session("d/availability", protocol="5", ping="d/ping"),
        Backoff(lambda: 0.5),
        clock,
    )
    delivery.tick(clock.now())
    delivery.handle(Up("5", window=3, largest=None))
    asked = (Subscription("d/availability", own=True), Subscription("d/ping", own=True))
    assert link.asked == [asked]

    def pings() -> list[bytes]:
        return [message.payload for _, message in link.sent if message.topic == "d/ping"]

    def pass_time(seconds: float) -> None:
        end = clock.monotonic() + seconds
        while clock.monotonic() < end:
            clock.advance(min(delivery.tick(clock.now()), end - clock.monotonic()))
            for answer in link.answers("d/availability", "d/ping"):
                delivery.handle(answer)

    pass_time(20)
    echo = Received("d/ping", pings()[-1], retain=False, at=clock.now())
    assert delivery.handle(echo)
    assert not delivery.handle(Received("s/1", b"1", retain=False, at=clock.now()))
    with caplog.at_level(logging.WARNING):
        pass_time(EVERY_S + 3 * PATIENCE_S)
    assert link.dropped == 1
    assert len(link.asked) == 2
    assert "do not come back any more" in caplog.text


def test_a_hidden_topic_is_a_concern() -> None:
    """Connected, and people are told what to allow."""
    clock, link = FakeClock(), FakeLink()
    delivery = Delivery(
        link,
        MemoryOutbox(),
        Session("a", protocol="5", ping="d/ping"),
        Backoff(lambda: 0.5),
        clock,
    )
    delivery.tick(clock.now())
    delivery.handle(Up("5", window=3, largest=None))
    for _ in range(10):
        clock.advance(delivery.tick(clock.now()))
        for answer in link.answers("a", "d/ping"):
            delivery.handle(answer)
    assert link.dropped == 0
    assert delivery.state.concerns == (
        "own messages do not come back: let this client write and read d/ping",
    )
