"""The broker away for a day and for a week: every alert arrives or is counted, no stale state."""

from __future__ import annotations

import random
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.backoff import Backoff
from edge_agent.mqtt.connection import Acknowledged, Down, Session, Up
from edge_agent.mqtt.delivery import MEMORY_S, Delivery
from edge_agent.mqtt.listening import ANSWER_S
from edge_agent.mqtt.outbox import Caps, Outbox
from edge_agent.system.database import connect
from tests.fakes.clock import FakeClock
from tests.fakes.publisher import FakeLink

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

RULES = ("heat", "frost", "dry")


def _alert(name: str, topic: str, end: datetime) -> Message:
    return Message(name, topic, name.ljust(400).encode(), Kind.ALERT, expires_at=end)


def _drain(delivery: Delivery, link: FakeLink, clock: FakeClock) -> None:
    """The broker acknowledges all it is sent until nothing comes any more."""
    acknowledged = 0
    delivery.tick(clock.now())
    while news := link.sent[acknowledged:]:
        acknowledged = len(link.sent)
        for token, _ in news:
            delivery.handle(Acknowledged(token, 0, ""))
        delivery.tick(clock.now())


@pytest.mark.parametrize(
    ("hours", "caps"),
    [(24, Caps()), (168, Caps(60_000, 10_000, 10_000))],
    ids=["a day", "a week with small caps"],
)
def test_an_outage_ends_with_the_truth(tmp_path: Path, hours: int, caps: Caps) -> None:
    """In order per rule; sent + dropped + expired = made; nothing past its end; states are new."""
    dice = random.Random(3)
    clock, link = FakeClock(), FakeLink()
    with closing(connect(tmp_path / "agent.db")) as db:
        db.execute("PRAGMA synchronous = OFF")
        box = Outbox(db, caps)
        delivery = Delivery(link, box, Session("a", protocol="5"), Backoff(dice.random), clock)
        made: dict[str, Message] = {}
        for hour in range(hours):
            for _ in range(6):
                clock.advance(600)
                delivery.tick(clock.now())
                if link.attempts:
                    delivery.handle(Down("no route"))
            for rule in RULES:
                for minute in range(dice.randrange(3)):
                    end = clock.now() + timedelta(hours=dice.choice([1, 24, 300]))
                    name = f"{rule}-{hour:03}-{minute}"
                    alert = _alert(name, f"alert/{rule}/event", end)
                    made[alert.id] = alert
                    box.put(alert)
                state = Message(
                    f"{rule}-state-{hour}", f"alert/{rule}/state", str(hour).encode(), Kind.STATE,
                    retain=True, expires_at=clock.now() + timedelta(hours=3), collapse=rule,
                )  # fmt: skip
                box.put(state)
            box.put(Message(f"t-{hour}", "telemetry", b"y" * 900, Kind.TELEMETRY))
        clock.advance(301)
        delivery.tick(clock.now())
        delivery.handle(Up("5", window=10, largest=None))
        clock.advance(MEMORY_S)
        delivery.tick(clock.now())
        clock.advance(ANSWER_S)
        _drain(delivery, link, clock)
        counts = box.counts()
        arrived = counts.delivered["alert"]
        lost = counts.dropped_for_room.get("alert", 0) + counts.dropped_expired.get("alert", 0)
        order = [m.payload.decode().strip() for _, m in link.sent if m.topic.endswith("/event")]
        assert order == [name for name in made if name in set(order)]
        assert len(order) == arrived
        assert arrived + lost == len(made)
        assert counts.waiting == {}
        assert all(message.expiry_s is None or message.expiry_s > 0 for _, message in link.sent)
        for rule in RULES:
            states = [m.payload for _, m in link.sent if m.topic == f"alert/{rule}/state"]
            assert states == [str(hours - 1).encode()]
        if hours > 24:
            assert counts.dropped_for_room["telemetry"] > 0
