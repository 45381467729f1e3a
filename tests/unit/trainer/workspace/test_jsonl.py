"""The log: lines are added once, in order, whoever else writes; half a line does not count."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.contract.errors import BadData, TryLater
from trainer.workspace.jsonl import JsonLines
from trainer.workspace.store import FolderStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.workspace.store import Store

NAME = "log.jsonl"


class Line(msgspec.Struct, frozen=True):
    """One line."""

    word: str


def _add(log: JsonLines[Line], word: str) -> tuple[str, ...]:
    return tuple(one.word for one in log.add(Line(word), lambda one: one.word == word))


def _log(store: Store) -> JsonLines[Line]:
    return JsonLines(store, NAME, Line)


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Both kinds of place; the bucket is tested against a real server."""
    return FolderStore(tmp_path / "new") if request.param == "folder" else MemoryStore()


def test_a_line_is_added_once(store: Store) -> None:
    """Order is that of adding; the same line again changes no byte."""
    log = _log(store)
    assert log.entries() == ()
    assert _add(log, "a") == ("a",)
    assert _add(log, "b") == ("a", "b")
    before = store.read(NAME)
    assert _add(log, "a") == ("a", "b")
    assert store.read(NAME) == before == b'{"word":"a"}\n{"word":"b"}\n'


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    """A crash while writing loses that line only; a damaged whole line is said, not skipped."""
    log = _log(FolderStore(tmp_path))
    _add(log, "a")
    with (tmp_path / NAME).open("ab") as handle:
        handle.write(b'{"word":"b')
    assert [one.word for one in log.entries()] == ["a"]
    assert _add(log, "c") == ("a", "c")
    assert (tmp_path / NAME).read_bytes() == b'{"word":"a"}\n{"word":"c"}\n'
    (tmp_path / NAME).write_bytes(b"{}\n")
    with pytest.raises(BadData, match=r"log.jsonl, line 1: .*mend it by hand"):
        _add(log, "d")


def test_what_another_writer_added_is_not_lost(store: Store) -> None:
    """Somebody who comes between reading and writing makes the writer read again."""

    class Between:
        left = 2

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def append(self, name: str, before: bytes | None, line: bytes) -> bool:
            """Let another one in first, twice."""
            if self.left:
                self.left -= 1
                _add(_log(store), f"other {self.left}")
            return store.append(name, before, line)

    late = _log(Between())  # type: ignore[arg-type]  # it has what a store has
    assert _add(late, "mine") == ("other 1", "other 0", "mine")


def test_one_who_never_gets_his_turn_is_told_so(store: Store) -> None:
    """Not for ever: exit 75."""

    class Busy:
        def read(self, _: str) -> None:
            """Nothing."""

        def append(self, *_: object) -> bool:
            """Always another one."""
            return False

    with pytest.raises(TryLater, match="run the same command again"):
        _add(_log(Busy()), "a")  # type: ignore[arg-type]  # all that is asked for
    assert store.read(NAME) is None


def test_threads_on_one_folder_lose_no_line(tmp_path: Path) -> None:
    """Four writers, 160 lines, each once."""

    def write(writer: int) -> None:
        for number in range(40):
            _add(_log(FolderStore(tmp_path)), f"{writer}-{number}")

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    words = [one.word for one in _log(FolderStore(tmp_path)).entries()]
    assert sorted(words) == sorted(f"{writer}-{n}" for writer in range(4) for n in range(40))
