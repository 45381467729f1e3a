"""What a user sees: one line and the right exit code for every fault."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import pytest

from edge_agent.contract import errors
from edge_agent.system.console import LazyGroup, print_json, run

if TYPE_CHECKING:
    from collections.abc import Callable

FAULTS = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, errors.FarmError) and one is not errors.FarmError
]


def call(body: Callable[[], object], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit code of a command that does `body`."""

    @click.command()
    @click.option("--number", type=int)
    def work(number: int | None) -> object:
        return body() if number is None else number

    monkeypatch.setattr(sys, "argv", ["farm", *arguments])
    return run(work, "farm")


def raising(fault: BaseException) -> Callable[[], object]:
    """A body that raises."""

    def body() -> None:
        raise fault

    return body


@pytest.mark.parametrize("kind", FAULTS)
def test_foreseeable_faults_are_one_line_with_their_code(
    kind: type[errors.FarmError],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each house error exits with its own code and says its text, no traceback."""
    assert call(raising(kind("what, where, what to do")), monkeypatch) == kind.exit_code
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "farm: what, where, what to do\n")


def test_exit_codes_are_the_documented_ones() -> None:
    """The codes that scripts rely on, each used once."""
    codes = {kind.__name__: kind.exit_code for kind in FAULTS}
    assert codes == {
        "UsageError": 64,
        "BadData": 65,
        "InputMissing": 66,
        "Unavailable": 69,
        "CannotCreate": 73,
        "StorageError": 74,
        "TryLater": 75,
        "ProtocolFault": 76,
        "Refused": 77,
        "ConfigError": 78,
        "GateRefused": 10,
        "NothingNew": 11,
    }


def test_a_bug_is_one_line_and_exit_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anything unforeseen asks for a report, without a traceback."""
    assert call(raising(RuntimeError("boom")), monkeypatch) == 70
    shown = capsys.readouterr().err
    assert shown.startswith("farm: internal error: RuntimeError: boom (a bug;")
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (lambda: None, 0),
        (lambda: 1, 1),
        (raising(click.exceptions.Exit(3)), 3),
        (raising(click.Abort()), 130),
        (raising(KeyboardInterrupt()), 130),
        (raising(click.UsageError("no")), 64),
    ],
)
def test_other_endings(
    body: Callable[[], object], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A returned number is the code; stopping and click's own errors have theirs."""
    assert call(body, monkeypatch) == code


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--number", "x"], ["extra"]])
def test_wrong_calls_exit_64(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option, value or argument is a usage error."""
    assert call(lambda: None, monkeypatch, *arguments) == 64
    assert "Error" in capsys.readouterr().err


def test_help_exits_0(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for help is no fault."""
    assert call(lambda: None, monkeypatch, "--help") == 0


def test_lazy_group_imports_a_command_when_it_is_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Listing imports nothing; calling one command leaves the others alone."""
    lazy = {"one": "tests.unit.test_console:hello", "broken": "no.such.module:x"}
    monkeypatch.setitem(sys.modules, "tests.unit.test_console", sys.modules[__name__])
    group = LazyGroup(name="farm", lazy=lazy)
    assert group.list_commands(click.Context(group)) == ["broken", "one"]
    monkeypatch.setattr(sys, "argv", ["farm", "one"])
    assert run(group, "farm") == 0
    assert capsys.readouterr().out == "hello\n"
    monkeypatch.setattr(sys, "argv", ["farm", "two"])
    assert run(group, "farm") == 64


@click.command()
def hello() -> None:
    """Say hello."""
    click.echo("hello")


def test_print_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Korean text stays readable, keys keep their order."""
    print_json({"b": "서울", "a": [1, None]})
    assert capsys.readouterr().out == '{\n  "b": "서울",\n  "a": [\n    1,\n    null\n  ]\n}\n'
