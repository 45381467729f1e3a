"""`edge-agent queue` over real files, sound and damaged."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from edge_agent.commands.queue import queue
from edge_agent.contract.errors import InputMissing, StorageError, UsageError
from edge_agent.core.runtime import DATABASE
from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt.outbox import Outbox
from edge_agent.system.database import connect, transaction

if TYPE_CHECKING:
    from pathlib import Path

END = datetime(2026, 7, 1, 15, tzinfo=UTC)


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """Configuration of a device with four messages waiting and one dead."""
    (tmp_path / "c.toml").write_text('[storage]\npath = "state"\n')
    with closing(connect(tmp_path / "state" / DATABASE)) as db:
        box = Outbox(db)
        for name, kind in (
            ("a1", Kind.ALERT),
            ("s1", Kind.STATE),
            ("t1", Kind.TELEMETRY),
            ("t2", Kind.TELEMETRY),
        ):
            payload = b'{"text": "\xea\xb3\xa0\xec\x98\xa8"}'
            box.put(Message(name, f"t/{name}", payload, kind, expires_at=END))
        box.put(Message("d1", "t/d1", b"{}", Kind.STATE))
        box.refused("d1", "Not authorized")
    return tmp_path / "c.toml"


def _call(farm: Path, *args: str) -> Result:
    return CliRunner().invoke(
        queue, [args[0], "--config", str(farm), *args[1:]], standalone_mode=False
    )


def _ids(farm: Path) -> list[str]:
    return [m["id"] for m in json.loads(_call(farm, "ls", "--json").stdout)["messages"]]


def test_ls_shows_waiting_and_dead(farm: Path) -> None:
    """Oldest first, with size and end; dead letters say why; counters follow."""
    text = _call(farm, "ls").stdout.splitlines()
    assert text[0] == "a1  alert  t/a1  18 bytes until 2026-07-01 15:00 UTC"
    assert text[4] == "d1  state  t/d1  2 bytes DEAD: Not authorized"
    assert text[5] == (
        "broker refuses t/d1: Not authorized; let this client write there (the broker's access "
        "list); the agent tries again by itself, cmd/republish at once"
    )
    assert "refused: 1 state" in text


def test_export_gives_whole_messages(farm: Path) -> None:
    """One JSON document a line, payloads as JSON."""
    lines = [json.loads(line) for line in _call(farm, "export").stdout.splitlines()]
    assert [line["id"] for line in lines] == ["a1", "s1", "t1", "t2", "d1"]
    assert lines[0]["payload"] == {"text": "고온"}
    assert lines[0]["expires_at"] == "2026-07-01T15:00:00Z"
    assert lines[4]["refused"] == "Not authorized"


@pytest.mark.parametrize(
    ("args", "left"),
    [
        (("--id", "a1", "--id", "unknown"), ["s1", "t1", "t2", "d1"]),
        (("--kind", "telemetry"), ["a1", "s1", "d1"]),
        (("--dead",), ["a1", "s1", "t1", "t2"]),
        (("--everything",), []),
    ],
)
def test_drop_takes_what_was_named(farm: Path, args: tuple[str, ...], left: list[str]) -> None:
    """Only the named messages go, counted as dropped by hand."""
    before = len(_ids(farm))
    assert _call(farm, "drop", *args).stdout == f"{before - len(left)} dropped\n"
    assert _ids(farm) == left


def test_dropped_messages_are_counted(farm: Path) -> None:
    """The counter stays with the queue."""
    _call(farm, "drop", "--kind", "telemetry")
    counts = json.loads(_call(farm, "ls", "--json").stdout)["counts"]
    assert counts["dropped_by_hand"] == {"telemetry": 2}


def test_drop_wants_to_know_which(farm: Path) -> None:
    """Nothing is deleted by mistake."""
    assert isinstance(_call(farm, "drop").exception, UsageError)
    assert len(_ids(farm)) == 5


def test_verify_finds_bad_messages(farm: Path) -> None:
    """A sound queue is good; a payload that is no JSON is named, with exit 1."""
    assert _call(farm, "verify").stdout == "good\n"
    with closing(connect(farm.parent / "state" / DATABASE)) as db:
        Outbox(db).put(Message("bad", "t/+", b"\xff", Kind.STATE))
    result = _call(farm, "verify", "--json")
    assert result.return_value == 1
    problems = json.loads(result.stdout)["problems"]
    assert [p.split(":")[0] for p in problems] == ["bad", "bad"]


def test_a_damaged_file_gives_what_it_can(farm: Path) -> None:
    """Verify names the damage, export goes as far as the file does."""
    path = farm.parent / "state" / DATABASE
    with closing(connect(path)) as db:
        box = Outbox(db)
        with transaction(db):
            for number in range(2000):
                box.put(Message(f"m{number}", "t", b'"' + b"x" * 400 + b'"', Kind.STATE))
    content = bytearray(path.read_bytes())
    content[-200_000:-100_000] = b"\xff" * 100_000
    saved = path.with_name("agent.db.corrupt-1")
    saved.write_bytes(content)
    result = _call(farm, "verify", "--database", str(saved))
    assert "file: " in result.stdout
    out = _call(farm, "export", "--database", str(saved))
    assert isinstance(out.exception, StorageError)
    assert 100 < len(out.stdout.splitlines()) < 2004


def test_a_missing_file_is_said(farm: Path) -> None:
    """No file is made where none was."""
    gone = farm.parent / "none.db"
    assert isinstance(_call(farm, "ls", "--database", str(gone)).exception, InputMissing)
    assert not gone.exists()
    gone.write_bytes(b"text")
    assert isinstance(_call(farm, "ls", "--database", str(gone)).exception, StorageError)
