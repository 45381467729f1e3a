"""Requests by MQTT: the rules of the desk; the numbers are theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.contract.errors import TryLater
from edge_agent.messages.message import Kind, Message
from edge_agent.messages.topics import Topics
from edge_agent.mqtt.commands import (
    BURST,
    FORMS,
    NAMES,
    PACE_S,
    CommandHandler,
    Request,
    json_schema,
)
from edge_agent.mqtt.connection import Received
from tests.fakes.clock import FakeClock
from tests.fakes.examples import examples

DOCS = Path(__file__).parents[3] / "docs" / "mqtt"
TOPICS = Topics.of("s", "d")
AT = datetime(2026, 7, 1, tzinfo=UTC)


class _Desk:
    def __init__(self, allowed: tuple[str, ...] = NAMES) -> None:
        self.clock = FakeClock()
        self.answers: list[Message] = []
        self.done: list[tuple[str, Request]] = []
        actions = {name: self._action(name) for name in NAMES}
        self.desk = CommandHandler(TOPICS, actions, allowed, self.answers.append, self.clock)

    def _action(self, name: str) -> Any:  # noqa: ANN401 - a callable
        def act(request: Request) -> str:
            self.done.append((name, request))
            if request.rule == "later":
                raise TryLater("depot: no answer")
            return "done"

        return act

    def take(self, name: str, payload: bytes = b"", **more: object) -> bool:
        message = Received(f"{TOPICS.root}/cmd/{name}", payload, retain=False, at=AT)
        return self.desk.take(replace(message, **more))  # type: ignore[arg-type]

    def last(self) -> dict[str, Any]:
        document = json.loads(self.answers[-1].payload)
        assert isinstance(document, dict)
        return document


@pytest.mark.parametrize("name", NAMES)
def test_each_command_is_done_and_answered(name: str) -> None:
    """A good request does its work once and is answered on its result topic."""
    case = _Desk()
    assert case.take(name, b'{"id": "7", "rule": "heat", "minutes": 5}', correlation=b"\x01")
    assert case.done == [(name, Request(id="7", rule="heat", minutes=5))]
    (answer,) = case.answers
    assert answer.topic == f"{TOPICS.root}/cmd/{name}/result"
    assert answer.correlation == b"\x01"
    assert answer.kind is Kind.TELEMETRY
    assert not answer.retain
    assert answer.expires_at is not None
    assert (case.last()["ok"], case.last()["request_id"], case.last()["text"]) == (
        True, "7", "done",
    )  # fmt: skip


def test_other_topics_are_not_for_the_desk() -> None:
    """Sensors and unknown commands are left to others."""
    case = _Desk()
    assert not case.take("explode")
    assert not case.take("predict/result")
    assert case.answers == []


def test_retained_requests_are_ignored() -> None:
    """Rule 1: no work, no answer, counted."""
    case = _Desk()
    assert case.take("sync", retain=True)
    assert (case.done, case.answers, case.desk.ignored) == ([], [], 1)


@pytest.mark.parametrize("name", ["ack", "snooze", "irrigated"])
def test_the_deletion_of_a_retained_request_is_none(name: str) -> None:
    """Rule 2: to subscribers it is an empty message like any other, without the retain flag."""
    case = _Desk()
    assert case.take(name)
    assert (case.done, case.answers, case.desk.ignored) == ([], [], 1)


@pytest.mark.parametrize(
    "payload",
    [b"{", b"[]", b'"x"', b'{"x": 1}', b'{"minutes": 0}', b'{"minutes": 1e9}', b"\xff",
     b'{"id": "' + b"x" * 65 + b'"}', b" " * 5000, b"[" * 4000],
)  # fmt: skip
def test_bad_requests_do_nothing_and_are_told(payload: bytes) -> None:
    """Rule 2: the answer says what is wrong."""
    case = _Desk()
    case.take("snooze", payload)
    assert case.done == []
    assert case.last()["ok"] is False
    assert "request" in case.last()["text"]


def test_requests_are_paced() -> None:
    """Rule 3: a burst, then one every few seconds; the others are counted only."""
    case = _Desk()
    for _ in range(BURST + 5):
        case.take("predict")
    assert (len(case.done), len(case.answers), case.desk.ignored) == (BURST, BURST, 5)
    case.clock.advance(PACE_S)
    case.take("predict")
    case.take("predict")
    assert len(case.done) == BURST + 1


def test_a_repeated_id_is_worked_once() -> None:
    """Rule 4: the same id of the same command again does nothing, and is answered again."""
    case = _Desk()
    for _ in range(2):
        case.take("sync", b'{"id": "7"}')
    case.take("predict", b'{"id": "7"}')
    case.take("sync")
    case.take("sync")
    assert [name for name, _ in case.done] == ["sync", "predict", "sync", "sync"]
    assert len(case.answers) == 5


def test_switched_off_commands_say_so() -> None:
    """Rule 5: answered, not done."""
    case = _Desk(allowed=("predict",))
    case.take("reload")
    assert case.done == []
    assert case.last()["text"] == "reload is switched off in mqtt.commands"


@pytest.mark.parametrize(
    ("wanted", "used"),
    [
        ("farm/v1/s/d/cmd/sync/result/42", "farm/v1/s/d/cmd/sync/result/42"),
        ("farm/v1/s/d/alert/heat/event", "farm/v1/s/d/cmd/sync/result"),
        ("valve/set", "farm/v1/s/d/cmd/sync/result"),
        ("farm/v1/s/d/cmd/sync/result/#", "farm/v1/s/d/cmd/sync/result"),
        (None, "farm/v1/s/d/cmd/sync/result"),
    ],
)
def test_answers_stay_below_their_own_topic(wanted: str | None, used: str) -> None:
    """Rule 6: a response topic elsewhere is not written to."""
    case = _Desk()
    case.take("sync", response_topic=wanted)
    assert case.answers[0].topic == used


def test_what_cannot_be_done_is_told() -> None:
    """A fault of the action becomes the answer's text."""
    case = _Desk()
    case.take("sync", b'{"rule": "later"}')
    assert (case.last()["ok"], case.last()["text"]) == (False, "depot: no answer")


@settings(max_examples=examples(300))
@given(st.sampled_from([*NAMES, "x"]), st.binary(max_size=200), st.booleans())
def test_no_payload_harms(name: str, payload: bytes, retain: bool) -> None:
    """Whatever comes in ends in an answer or in a count, never in a fault."""
    case = _Desk()
    known = case.take(name, payload, retain=retain)
    assert known == (name != "x")
    assert len(case.answers) + case.desk.ignored == int(known)


@pytest.mark.parametrize("kind", FORMS)
def test_schema_files_of_commands_are_current(kind: str) -> None:
    """docs/mqtt is what the structs say; when not: python docs/mqtt/generate.py."""
    assert (DOCS / f"{kind}.schema.json").read_bytes() == json_schema(kind)


def test_the_published_forms_tell_right_from_wrong() -> None:
    """A validator takes what the desk takes and says, and refuses what the desk refuses."""
    request, answer = (
        jsonschema.Draft202012Validator(json.loads((DOCS / f"{kind}.schema.json").read_bytes()))
        for kind in FORMS
    )
    good_ones: list[object] = [{}, {"id": "1", "rule": "heat", "minutes": 60}]
    bad_ones: list[object] = [
        {"minutes": 0}, {"minutes": "9"}, {"when": 1}, {"id": "x" * 65}, [],
    ]  # fmt: skip
    assert [request.is_valid(one) for one in good_ones + bad_ones] == [True] * 2 + [False] * 5
    case = _Desk()
    case.take("predict", b'{"id": "7"}')
    said = case.last()
    assert answer.is_valid(said)
    assert not answer.is_valid(said | {"ok": "yes"})
