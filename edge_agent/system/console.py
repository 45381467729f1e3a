"""What both command lines share: lazy commands, one-line errors, exit codes, logging.

Used by `edge_agent.cli` and `trainer.cli`, so that errors look alike and exit with the same codes.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from edge_agent.contract.errors import FarmError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_log = logging.getLogger(__name__)

_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Read by numerical libraries when they load. Their matrices are small here: with several threads
a busy machine was five times slower and an idle one no faster."""

_QUIET = f"{__name__}.quiet"
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
F = TypeVar("F", bound="Callable[..., Any]")


class LazyGroup(click.Group):
    """Click group that imports a command's module only when that command is called.

    Args:
        lazy: Command name -> "module:function". `--help` of the group imports all of them.
        **options: Handed to `click.Group`.
    """

    def __init__(self, *, lazy: Mapping[str, str] | None = None, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(**options)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, without importing them."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._lazy[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


def run(
    command: click.Command,
    program: str,
    arguments: Sequence[str] | None = None,
    obj: object = None,
) -> int:
    """Run a command line, return its exit code; a foreseeable fault becomes a line on stderr.

    Args:
        command: What to run.
        program: Its name, for people.
        arguments: Those of the process by default.
        obj: click's `obj`, see `commands.common.OwnClock`.
    """
    limit_threads()
    code: object = 0
    try:
        code = command.main(arguments, prog_name=program, standalone_mode=False, obj=obj)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.Abort:
        click.echo(f"{program}: stopped by the user", err=True)
        code = EXIT_INTERRUPTED
    except click.ClickException as fault:
        fault.show()
        code = UsageError.exit_code
    except FarmError as fault:
        click.echo(f"{program}: {fault}", err=True)
        code = fault.exit_code
    except Exception as fault:  # noqa: BLE001 - the last resort: a bug gets one line and exit 70
        _log.debug("unexpected fault", exc_info=True)
        click.echo(
            f"{program}: internal error: {type(fault).__name__}: {_line(fault)} "
            "(a bug; run again with --verbose and report the output)",
            err=True,
        )
        code = EXIT_BUG
    return code if isinstance(code, int) else 0


def limit_threads() -> None:
    """Set `_THREADS` where the environment does not; before a numerical library is imported."""
    for name, value in _THREADS.items():
        os.environ.setdefault(name, value)


def set_up_logging(verbosity: int) -> None:
    """Log to stderr: -1 errors only, 0 information, 1 and more debugging."""
    level = {-1: logging.ERROR, 0: logging.INFO}.get(verbosity, logging.DEBUG)
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # These log every request or tree; -v is for this project's own log.
    for noisy in ("httpx", "httpcore", "transitions", "amqtt", "asyncio", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def verbosity_options(function: F) -> F:
    """Add -v/--verbose and -q/--quiet; the command is called after logging is set up."""

    def apply(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            set_up_logging(1 if parameter.name == "verbose" else -1)
            context.meta[_QUIET] = parameter.name == "quiet"

    for names, text in (
        (("-v", "--verbose"), "Say more."),
        (("-q", "--quiet"), "Say errors only."),
    ):
        function = click.option(
            *names, is_flag=True, expose_value=False, callback=apply, help=text
        )(function)
    return function


def is_quiet() -> bool:
    """Whether the running command was asked for errors only."""
    return bool(click.get_current_context().meta.get(_QUIET, False))


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _line(fault: Exception) -> str:
    """Text of an error on one line."""
    return " ".join(str(fault).split())[:300]
