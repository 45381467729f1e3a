"""Rules of the second way out: what is queued, sent, tried again, given up."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import Refused, TryLater
from edge_agent.core.events import EventQueue, LoopCall
from edge_agent.messages.message import Kind, Message
from edge_agent.messages.topics import Topics
from edge_agent.mqtt.webhook import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    MOST,
    WebhookQueue,
    WebhookSender,
)
from edge_agent.system.database import connect
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TOPICS = Topics.of("farm", "edge-1")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An agent's database."""
    with closing(connect(tmp_path / "agent.db")) as connection:
        yield connection


def _alert(name: str, severity: str = "critical", hours: int = 24) -> Message:
    payload = {"severity": severity, "rule": "frost", "text": f"frost {name}", "more": 1}
    payload["event_type"] = "raised"
    topic, expires = TOPICS.alert_event("frost"), NOW + timedelta(hours=hours)
    return Message(name, topic, json.dumps(payload).encode(), Kind.ALERT, expires_at=expires)


class Address:
    """Where pushes go; answers as told. Threads are played by a list."""

    def __init__(self, queue: WebhookQueue) -> None:
        self.clock, self.inbox = FakeClock(NOW), EventQueue()
        self.fault: Exception | None = None
        self.got: list[bytes] = []
        self.pusher = WebhookSender(
            queue,
            self._send,
            lambda call: self.inbox.put(LoopCall(call)),
            clock=self.clock,
            random=lambda: 1.0,
            start_thread=lambda target: target(),
        )

    def _send(self, body: bytes) -> None:
        if self.fault is not None:
            raise self.fault
        self.got.append(body)

    def settle(self) -> None:
        """The loop's turn."""
        while isinstance(item := self.inbox.get(0.0), LoopCall):
            item.call()


def test_1_severities_and_template(db: sqlite3.Connection) -> None:
    """Only wanted severities; the template makes the text."""
    queue = WebhookQueue(db, ("critical",), "{severity}/{rule}: {text}")
    queue.put(_alert("a", "warning"))
    queue.put(_alert("b"))
    queue.put(_alert("b"))
    address = Address(queue)
    address.pusher.tick(NOW)
    address.settle()
    assert address.got == [b"critical/frost: frost b"]


def test_2_outdated_ones_are_dropped_but_not_by_a_wrong_clock(db: sqlite3.Connection) -> None:
    """An old alert is not pushed late; while the time is not known nothing is old."""
    queue = WebhookQueue(db, ("critical",), "")
    queue.put(_alert("old", hours=1))
    assert queue.due(None) is not None
    assert queue.due(NOW + timedelta(hours=1)) is None
    assert queue.due(None) is None


def test_2_a_refusal_ends_it(db: sqlite3.Connection) -> None:
    """What is refused for good is counted and said, and the next one goes."""
    queue = WebhookQueue(db, ("critical",), "")
    queue.put(_alert("bad"))
    queue.put(_alert("good"))
    address = Address(queue)
    address.fault = Refused("answered 403")
    address.pusher.tick(NOW)
    with pytest.raises(Refused):
        address.settle()
    address.fault = None
    address.pusher.tick(NOW)
    address.settle()
    assert address.pusher.refused == 1
    assert len(address.got) == 1
    assert queue.due(None) is None


def test_3_it_is_tried_again_with_growing_pauses(db: sqlite3.Connection) -> None:
    """Nothing is lost however long the address is away; pauses double up to half an hour."""
    queue = WebhookQueue(db, ("critical",), "")
    queue.put(_alert("kept"))
    address = Address(queue)
    address.fault = TryLater("away")
    pauses = []
    for _ in range(10):
        address.pusher.tick(NOW)
        with pytest.raises(TryLater):
            address.settle()
        start = address.clock.monotonic()
        while address.inbox.get(0.0) is None and address.clock.monotonic() < start + 4000:
            address.clock.advance(5)
            waiting = address.pusher._not_before - address.clock.monotonic()
            if waiting <= 0:
                break
        pauses.append(address.clock.monotonic() - start)
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert max(pauses) == LONGEST_PAUSE_S
    address.fault = None
    address.pusher.tick(NOW)
    address.settle()
    assert len(address.got) == 1


def test_4_one_at_a_time_oldest_first(db: sqlite3.Connection) -> None:
    """While one is on its way no second is; then all go in their order."""
    queue = WebhookQueue(db, ("critical",), "{text}")
    for name in "abc":
        queue.put(_alert(name))
    address = Address(queue)
    address.pusher.tick(NOW)
    address.pusher.tick(NOW)
    assert address.got == [b"frost a"]
    address.settle()
    assert address.got == [b"frost a", b"frost b", b"frost c"]


def test_5_the_oldest_goes(db: sqlite3.Connection) -> None:
    """A queue that nobody empties stays small and keeps the newest."""
    queue = WebhookQueue(db, ("critical",), "")
    for number in range(MOST + 5):
        queue.put(_alert(str(number)))
    assert db.execute("SELECT count(*) FROM push").fetchone() == (MOST,)
    first = queue.due(None)
    assert first is not None
    assert first.id == "5"


def test_a_reload_sends_again_what_was_on_its_way(db: sqlite3.Connection) -> None:
    """A closed pusher leaves the queue alone: at least once, and never lost."""
    queue = WebhookQueue(db, ("critical",), "")
    queue.put(_alert("x"))
    before = Address(queue)
    before.pusher.tick(NOW)
    before.pusher.close()
    before.settle()
    after = Address(queue)
    after.pusher.tick(NOW)
    after.settle()
    assert len(after.got) == 1
