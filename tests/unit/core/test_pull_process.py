"""How the end of the update's process becomes what the service knows: news or a house error."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

import pytest

from edge_agent.contract import errors
from edge_agent.contract.errors import FarmError, TryLater
from edge_agent.core.pull_process import update

STATE = Path("state")


def _end(body: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", f"import os, signal, sys, time\n{body}")


def _said(code: int, text: str) -> tuple[str, ...]:
    return _end(f"sys.stderr.write({text!r}); sys.exit({code})")


@pytest.mark.parametrize(
    "kind",
    [errors.BadData, errors.StorageError, TryLater, errors.Refused, errors.ConfigError,
     errors.NothingNew, errors.InputMissing],
)  # fmt: skip
def test_a_fault_keeps_its_class_and_its_words(
    kind: type[FarmError], caplog: pytest.LogCaptureFixture
) -> None:
    """The exit code names the class, the last line of the program says why."""
    program = _said(kind.exit_code, "edge-agent: root.json: forged by edge-agent: nobody\n")
    with pytest.raises(FarmError) as caught:
        update(None, STATE, program=program)
    assert type(caught.value) is kind
    assert str(caught.value) == "root.json: forged by edge-agent: nobody"
    assert caplog.records == []


def test_what_was_said_before_the_fault_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Warnings of the child are warnings of the service, one by one."""
    with pytest.raises(TryLater, match=r"^no link$"):
        update(None, STATE, program=_said(75, "one\n\ntwo\nedge-agent: no link\n"))
    assert [record.getMessage() for record in caplog.records] == ["update: one", "update: two"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


@pytest.mark.parametrize("code", [1, 70, 99])
def test_a_code_that_no_house_error_has(code: int) -> None:
    """A bug in the child is told as it was said, and as no class that it is not."""
    with pytest.raises(FarmError, match=r"^internal error: KeyError: 'x'$") as caught:
        update(None, STATE, program=_said(code, "edge-agent: internal error: KeyError: 'x'\n"))
    assert type(caught.value) is FarmError


def test_a_child_that_aborts_is_named_by_its_signal(caplog: pytest.LogCaptureFixture) -> None:
    """A decoder that ends the process ends the child only; its last words are logged."""
    program = _end("sys.stderr.write('panicked\\n'); sys.stderr.flush(); os.abort()")
    with pytest.raises(TryLater, match=r"^was ended by SIGABRT: it is tried again$"):
        update(None, STATE, program=program)
    assert [record.getMessage() for record in caplog.records] == ["update: panicked"]


def test_a_child_beyond_its_limit_is_killed(tmp_path: Path) -> None:
    """No process is left behind by the limit."""
    note = tmp_path / "pid"
    body = f"open({str(note)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    with pytest.raises(TryLater, match=r"^took more than 1 s: ended, it is tried again$"):
        update(None, STATE, program=_end(body), limit_s=1.0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text("ascii")), signal.SIGCONT)


def test_a_program_that_is_gone_is_told() -> None:
    """As in the middle of an upgrade: told, tried again."""
    with pytest.raises(TryLater, match=r"^cannot be started: No such file or directory"):
        update(None, STATE, program=("/nowhere/edge-agent",))


def test_news_come_back_and_the_service_names_its_places() -> None:
    """What the child prints is the answer; it is told the service's own files."""
    program = _end("print('release 2 is live', *sys.argv[1:])")
    assert update(Path("a b.toml"), STATE, program=program) == (
        "release 2 is live sync --for-service state --config a b.toml"
    )
    assert update(None, STATE, program=program) == "release 2 is live sync --for-service state"


def test_the_process_has_a_limit_of_memory() -> None:
    """What a release makes of its golden windows ends there, not in the service's memory."""
    body = (
        "from edge_agent.core.pull_process import work_for_the_service\n"
        "work_for_the_service()\n"
        "try:\n    bytearray(1_200_000_000)\n"
        "except MemoryError:\n    sys.exit(77)"
    )
    with pytest.raises(errors.Refused):
        update(None, STATE, program=(sys.executable, "-c", f"import sys\n{body}"))
