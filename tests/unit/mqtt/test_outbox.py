"""The rules of the outbox, one suite over the real one and the fake; the numbers are its rules."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt import outbox as outbox_module
from edge_agent.mqtt.outbox import Caps, Outbox
from edge_agent.system.database import connect, transaction
from tests.fakes.outbox import MemoryOutbox, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    AnyOutbox = Outbox | MemoryOutbox
    Build = Callable[..., AnyOutbox]

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def _message(name: str, kind: Kind = Kind.ALERT, **more: object) -> Message:
    return replace(Message(name, f"t/{name}", b"{}", kind), **more)  # type: ignore[arg-type]


def _ids(
    box: AnyOutbox, now: datetime | None = NOW, *, without: tuple[str, ...] = (), limit: int = 10
) -> list[str]:
    return [entry.message.id for entry in box.due(now, without=without, limit=limit)]


@pytest.fixture(params=["sqlite", "memory"])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Build]:
    """Makes an empty outbox with given caps."""
    if request.param == "memory":
        yield MemoryOutbox
        return
    with closing(connect(tmp_path / "agent.db")) as conn:
        yield lambda caps=None: Outbox(conn, caps)


def test_what_goes_in_comes_out_whole(build: Build) -> None:
    """Every field of a message survives the queue."""
    box = build()
    message = Message(
        "a",
        "farm/v1/s/d/알림",
        b"\x00\xff{}",
        Kind.STATE,
        retain=True,
        expires_at=NOW + timedelta(hours=3, milliseconds=7),
        collapse="c",
        correlation=b"\x00\x01",
        headers=(("schema", "alert/1"), ("release", "7")),
    )
    assert box.put(message)
    assert [entry.message for entry in box.due(NOW)] == [message]


def test_an_id_is_taken_once(build: Build) -> None:
    """Rule 1: waiting, delivered and refused ids are not taken again."""
    box = build()
    assert box.put(_message("a"))
    assert not box.put(_message("a"))
    assert box.put(_message("b"))
    box.delivered(["a"])
    box.refused("b", "too large")
    assert not box.put(_message("a"))
    assert not box.put(_message("b"))
    assert _ids(box) == []


def test_a_state_that_went_and_came_back_is_sent_again(build: Build) -> None:
    """Rule 1: its id is that of the one before, but another was sent since."""
    box = build()
    clear, raised = (
        _message(name, Kind.STATE, topic="t/state", retain=True, collapse="t/state")
        for name in ("clear", "raised")
    )
    for message in (clear, raised, clear):
        assert box.put(message)
        box.delivered([message.id])
    assert not box.put(clear)


def test_order_is_kept(build: Build) -> None:
    """Rule 2: messages leave in the order they came, window after window."""
    box = build()
    for number in range(7):
        box.put(_message(f"m{number}", list(Kind)[number % 3]))
    assert _ids(box, limit=4) == ["m0", "m3", "m6", "m1"], "alerts first"
    assert _ids(box, limit=2) == ["m0", "m3"], "unacknowledged ones come again"
    assert _ids(box, without=("t/m0", "t/m1")) == ["m3", "m6", "m2", "m4", "m5"]


def test_what_a_controller_waits_for_is_ahead(build: Build) -> None:
    """Rule 2: events, states of alerts and answers to commands; so are deletions of such states."""
    box = build()
    box.put(_message("discovery", Kind.STATE, topic="homeassistant/device/d/config"))
    box.put(_message("forecast", Kind.STATE, topic="farm/v1/s/d/forecast/temperature"))
    box.put(_message("health", Kind.TELEMETRY, topic="farm/v1/s/d/health"))
    box.put(_message("event", topic="farm/v1/s/d/alert/frost/event"))
    box.put(_message("state", Kind.STATE, topic="farm/v1/s/d/alert/frost/state", retain=True))
    box.put(_message("answer", Kind.TELEMETRY, topic="farm/v1/s/d/cmd/sync/result"))
    ahead = ["event", "state", "answer"]
    assert _ids(box) == [*ahead, "discovery", "forecast", "health"]
    if isinstance(box, Outbox):
        box.take_back("farm/v1/s/d/alert/frost/state")
        *_, deletion = box.due(NOW, limit=3)
        assert (deletion.message.topic, deletion.message.payload) == (
            "farm/v1/s/d/alert/frost/state", b"",
        )  # fmt: skip


def test_a_refused_message_comes_back_to_its_place(build: Build) -> None:
    """Rule 6: nothing refused is lost; those that ended the connection are named."""
    box = build()
    for name in "abc":
        box.put(_message(name))
    box.refused("a", "Not authorized")
    box.refused("b", "hung up", hung_up=True)
    assert _ids(box) == ["c"]
    told = [(refusal.topic, refusal.reason) for refusal in box.counts().refusals]
    assert told == [("t/a", "Not authorized"), ("t/b", "hung up")]
    assert box.revive() == {"t/b"}
    assert _ids(box) == ["a", "c"]
    assert box.revive("t/b") == frozenset()
    assert _ids(box) == ["a", "b", "c"]
    assert box.counts().refusals == ()


def test_what_is_superseded_or_over_does_not_come_back(build: Build) -> None:
    """Rule 6: a later message of the topic counts; and what ended is told no more."""
    box = build()

    def state(name: str) -> Message:
        return _message(name, Kind.STATE, topic="t/s", retain=True, collapse="t/s")

    box.put(state("old state"))
    box.put(_message("old event", topic="t/e"))
    box.put(_message("ends", expires_at=NOW))
    for name in ("old state", "old event", "ends"):
        box.refused(name, "no")
    box.put(state("new state"))
    box.put(_message("new event", topic="t/e"))
    box.delivered(["new event"])
    box.due(NOW)
    box.revive()
    assert _ids(box) == ["new state"]
    assert box.counts().refusals == ()


def test_only_an_acknowledged_message_leaves(build: Build) -> None:
    """Rule 2: handing out removes nothing; an unknown id is ignored."""
    box = build()
    box.put(_message("a"))
    box.put(_message("b"))
    _ids(box)
    box.delivered(["b", "unknown"])
    assert _ids(box) == ["a"]
    assert box.counts().delivered == {"alert": 1}


def test_stale_states_collapse(build: Build) -> None:
    """Rule 3: only the newest of a collapse key waits, at the end of the queue."""
    box = build()
    box.put(_message("s1", Kind.STATE, collapse="forecast"))
    box.put(_message("a"))
    box.put(_message("s2", Kind.STATE, collapse="forecast"))
    box.put(_message("s3", Kind.STATE, collapse="other"))
    assert _ids(box) == ["a", "s2", "s3"]
    box.delivered(["s1"])
    assert _ids(box) == ["a", "s2", "s3"], "a late PUBACK of the old one changes nothing"


def test_expired_messages_are_dropped_and_counted(build: Build) -> None:
    """Rule 4: at its end a message is not handed out any more."""
    box = build()
    box.put(_message("a", expires_at=NOW + timedelta(seconds=1)))
    box.put(_message("b", Kind.STATE, expires_at=NOW))
    box.put(_message("c"))
    assert _ids(box) == ["a", "c"]
    assert box.counts().dropped_expired == {"state": 1}
    assert _ids(box, NOW + timedelta(seconds=1)) == ["c"]
    assert box.counts().dropped_expired == {"state": 1, "alert": 1}


def test_nothing_expires_without_a_trusted_clock(build: Build) -> None:
    """Rule 4: an untrusted clock drops nothing."""
    box = build()
    box.put(_message("a", expires_at=NOW - timedelta(days=3)))
    assert _ids(box, None) == ["a"]
    assert box.counts().dropped_expired == {}


def test_alerts_push_out_telemetry_and_then_old_alerts(build: Build) -> None:
    """Rule 5: telemetry goes first, states stay, and only then the oldest alert goes."""
    one = size(_message("x0"))
    box = build(Caps(alerts_bytes=one, states_bytes=one, telemetry_bytes=2 * one))
    for name, kind in (("t0", Kind.TELEMETRY), ("s0", Kind.STATE), ("t1", Kind.TELEMETRY)):
        box.put(_message(name, kind))
    box.put(_message("a0"))
    assert _ids(box) == ["a0", "t0", "s0", "t1"]
    box.put(_message("a1"))
    assert _ids(box) == ["a0", "a1", "s0", "t1"]
    for name in ("a2", "a3"):
        box.put(_message(name))
    assert _ids(box) == ["a1", "a2", "a3", "s0"]
    assert box.counts().dropped_for_room == {"telemetry": 2, "alert": 1}


def test_states_keep_their_room_to_themselves(build: Build) -> None:
    """Rule 5: neither do states take more than theirs, nor does anything take it from them."""
    one = size(_message("s0"))
    box = build(Caps(alerts_bytes=one, states_bytes=2 * one, telemetry_bytes=one))
    for number in range(3):
        box.put(_message(f"s{number}", Kind.STATE))
    for number in range(9):
        box.put(_message(f"a{number}"))
    assert _ids(box) == ["a7", "a8", "s1", "s2"]


def test_a_low_class_never_takes_the_room_of_a_higher_one(build: Build) -> None:
    """Rule 5: a flood of telemetry loses telemetry only."""
    one = size(_message("t0"))
    box = build(Caps(alerts_bytes=10 * one, states_bytes=10 * one, telemetry_bytes=2 * one))
    box.put(_message("a0"))
    box.put(_message("s0", Kind.STATE))
    for number in range(9):
        box.put(_message(f"t{number}", Kind.TELEMETRY))
    assert _ids(box) == ["a0", "s0", "t7", "t8"]
    assert box.counts().dropped_for_room == {"telemetry": 7}
    assert box.counts().waiting_bytes == {"alert": one, "state": one, "telemetry": 2 * one}


def test_refused_messages_do_not_come_again(build: Build) -> None:
    """Rule 6: a refusal for good is counted and never retried."""
    box = build()
    box.put(_message("a"))
    box.refused("a", "not authorized")
    assert _ids(box) == []
    assert box.counts().refused == {"alert": 1}


def test_retained_states_can_be_said_again(build: Build) -> None:
    """Rule 7: the last delivered retained message of each topic, unless newer or expired."""
    box = build()
    box.put(_message("old", Kind.STATE, topic="t/1", retain=True))
    box.delivered(["old"])
    box.put(_message("new", Kind.STATE, topic="t/1", retain=True))
    box.put(_message("short", topic="t/2", retain=True, expires_at=NOW + timedelta(hours=1)))
    box.put(_message("event", topic="t/3"))
    box.delivered(["new", "short", "event"])
    assert box.republish_retained(NOW) == 2
    assert sorted(_ids(box)) == ["new", "short"]
    assert box.republish_retained(NOW) == 0, "they wait already"
    box.delivered(["new", "short"])
    assert box.republish_retained(NOW + timedelta(hours=1)) == 1
    box.delivered(["new"])
    box.put(_message("newer", Kind.STATE, topic="t/1", retain=True))
    assert box.republish_retained(NOW + timedelta(hours=1)) == 0


def test_put_is_part_of_the_callers_transaction(tmp_path: Path) -> None:
    """A message and what caused it are committed together, or neither."""
    with closing(connect(tmp_path / "agent.db")) as conn:
        box = Outbox(conn)

        def fail() -> None:
            with transaction(conn):
                box.put(_message("a"))
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert _ids(box) == []


def test_the_queue_outlives_its_process(tmp_path: Path) -> None:
    """A new connection sees what waited, what was delivered and what was counted."""
    path = tmp_path / "agent.db"
    with closing(connect(path)) as conn:
        box = Outbox(conn)
        for name in ("a", "b", "c"):
            box.put(_message(name))
        box.delivered(["a"])
        before = box.due(NOW)
    with closing(connect(path)) as conn:
        box = Outbox(conn)
        assert box.due(NOW) == before
        assert not box.put(_message("a"))
        assert box.counts().delivered == {"alert": 1}


def test_memory_of_delivered_ids_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the last ids are kept."""
    monkeypatch.setattr(outbox_module, "DELIVERED_KEPT", 3)
    with closing(connect(tmp_path / "agent.db")) as conn:
        box = Outbox(conn)
        for number in range(5):
            box.put(_message(f"m{number}"))
            box.delivered([f"m{number}"])
        kept = conn.execute("SELECT id FROM outbox_delivered ORDER BY seq").fetchall()
    assert kept == [("m2",), ("m3",), ("m4",)]


def test_dead_letters_keep_their_reason(tmp_path: Path) -> None:
    """A refused message stays readable with the broker's reason."""
    with closing(connect(tmp_path / "agent.db")) as conn:
        box = Outbox(conn)
        box.put(_message("a"))
        box.refused("a", "Not authorized")
        assert conn.execute("SELECT id, reason, payload FROM outbox_dead").fetchall() == [
            ("a", "Not authorized", b"{}")
        ]
