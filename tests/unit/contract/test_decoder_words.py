"""What people read of wrong JSON, and of a connection that fails."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Final

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract import farm_identity, manifest
from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData, FarmError, TryLater, Unavailable, UsageError
from edge_agent.mqtt import commands
from edge_agent.observations import foreign_json
from edge_agent.system import console, fault_words
from edge_agent.updates.http_source import HttpSource
from edge_agent.web import app
from edge_agent.web.api import schemas
from tests.fakes.clock import FakeClock
from trainer.cli import cli
from trainer.fleet import farm_histories
from trainer.fleet.retained_messages import BrokerAddress, retained

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMMERS: Final = re.compile(
    r"Expected|Object|`|\$\.|\b(?:str|int|float|bool|null|datetime|RFC|regex|codec)\b|Errno|Error\b"
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just("") | st.just("12"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("a"), inner, max_size=1),
    max_leaves=4,
)


def told(read: Callable[[], object]) -> str:
    """The text of the fault, or none."""
    try:
        read()
    except FarmError as fault:
        return str(fault)
    return ""


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b'{"rule":5}', "rule: must be text, not a whole number"),
        (b'{"mm":"x"}', "mm: must be a number, not text"),
        (b'{"minutes":0}', "minutes: must be a whole number of 1 or more"),
        (b'{"minutes":1.5}', "minutes: must be a whole number, not a number"),
        (b'{"at":"noon"}', "at: must be a time such as 2026-01-31T04:00:00Z"),
        (b'{"at":"2026-01-31T04:00:00"}', "at: must be a time with Z or an offset, such as 2026-"),
        (b'{"id":"' + b"a" * 65 + b'"}', "id: must be text of at most 64 characters"),
        (b'{"rules":"a"}', "rules: is no known key"),
        (b"[1]", "must be an object in { }, not a list in [ ]"),
        (b'{"rule":', "not JSON: it is empty or cut off"),
        (b"snooze", "not JSON: wrong from byte 0 on"),
        (b'{"rule":"\xff"}', "byte 0 is no UTF-8"),
        (b"[" * 4000, "is nested too deeply"),
    ],
)
def test_a_request_is_refused_in_words(payload: bytes, words: str) -> None:
    """Over MQTT and REST: both read it here."""
    with pytest.raises(BadData, match=rf"^request: {re.escape(words)}"):
        commands._read(payload)


@pytest.mark.parametrize("struct", [schemas.ObservedQuery, schemas.KeptQuery, schemas.EdgeQuery])
@pytest.mark.parametrize(
    "text", ["from=abc", "limit=x", "limit=0", "source=A%20b", "before=x", "x"]
)
def test_a_query_is_refused_in_words(struct: type[msgspec.Struct], text: str) -> None:
    """The key, and what it takes."""
    said = told(lambda: app._query(text, struct))
    assert said.startswith("query: ")
    assert not PROGRAMMERS.search(said)


@given(
    st.sampled_from(
        [*commands.Request.__struct_fields__, *farm_identity.Identity.__struct_fields__, "values"]
    ),
    VALUES,
)
def test_no_reader_speaks_as_a_programmer(key: str, value: object) -> None:
    """Any value under any key, to every reader of JSON that people write or see refused."""
    payload = json.dumps({key: value}).encode()
    for read in (
        lambda: commands._read(payload),
        lambda: farm_identity.decode(payload),
        lambda: farm_histories.read("t", payload, "farm/v1"),
        lambda: manifest.decode(payload),
    ):
        assert not PROGRAMMERS.search(told(read))


def decoded(payload: bytes) -> object:
    """As every reader does it."""
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise BadData(in_words(fault)) from fault


@given(st.binary(max_size=20))
def test_nor_of_bytes(payload: bytes) -> None:
    """What is no JSON at all."""
    assert not PROGRAMMERS.search(told(lambda: foreign_json.decode(payload)))
    assert not PROGRAMMERS.search(told(lambda: decoded(payload)))


@pytest.mark.parametrize("option", ["latitude", "longitude", "elevation"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "north"])
@pytest.mark.parametrize(
    "command", [["import", "a.csv", "--site", "a", "--device", "b"], ["move", "a/b"]]
)
def test_a_place_of_the_command_line(
    option: str, value: str, command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Refused before anything is read."""
    place = {"latitude": "37.5", "longitude": "127.0", "elevation": "8"} | {option: value}
    options = [f"--{name}={text}" for name, text in place.items()]
    assert console.run(cli, "trainer", ["farm", *command, *options]) == UsageError.exit_code
    shown = capfd.readouterr().err
    assert f"--{option}" in shown
    assert value in shown
    assert not PROGRAMMERS.search(shown.partition("Invalid value")[2].replace("float", ""))


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_depot_and_a_broker_that_are_not_there() -> None:
    """The cause in words, and what to check."""
    port = closed_port()
    with pytest.raises(TryLater, match="nothing accepts connections there: check") as depot:
        list(HttpSource(f"http://127.0.0.1:{port}/", FakeClock()).read("metadata/root.json"))
    with pytest.raises(Unavailable, match="nothing accepts connections there: check") as broker:
        retained(
            BrokerAddress.of(f"mqtt://127.0.0.1:{port}"), "farm/v1", ["x"],
            password=None, ca=None, wait_s=0.1,
        )  # fmt: skip
    for fault in (depot.value, broker.value):
        assert not PROGRAMMERS.search(str(fault))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), "hung up"),
        (httpx.ReadError(""), "hung up without an answer"),
        (httpx.ConnectTimeout("timed out"), "no answer in time"),
        (ConnectionResetError(104, "Connection reset by peer"), "hung up without an answer"),
        (socket.gaierror(-2, "Name or service not known"), "its name is not known here"),
        (OSError(101, "Network is unreachable"), "network is unreachable"),
        (OSError(), "no connection"),
    ],
)
def test_a_connection_that_fails(fault: Exception, words: str) -> None:
    """By what it means, whichever library raised it."""
    assert words in fault_words.of_connection(fault)
