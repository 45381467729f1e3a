"""The passphrase of the offline keys: from a file for machines, from the keyboard for people."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edge_agent.contract.errors import InputMissing, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_VARIABLE: Final = "TRAINER_KEY_PASSPHRASE_FILE"
SHORTEST: Final = 12


def ask(env: Mapping[str, str] | None = None) -> bytes | None:
    """Passphrase for keys that are encrypted; None where nobody can be asked.

    Raises:
        InputMissing: The file that TRAINER_KEY_PASSPHRASE_FILE names cannot be read.
    """
    given = _from_file(os.environ if env is None else env)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        return None
    text: str = click.prompt("Passphrase of the offline keys", hide_input=True, err=True)
    return text.encode()


def choose(env: Mapping[str, str] | None = None) -> bytes:
    """A new passphrase, typed twice or read from the file.

    Raises:
        UsageError: Too short, or there is neither a file nor a keyboard.
        InputMissing: See `ask`.
    """
    secret = _from_file(os.environ if env is None else env)
    if secret is None:
        if not sys.stdin.isatty():
            raise UsageError(f"no terminal to type a passphrase: put it in a {FILE_VARIABLE} file")
        typed: str = click.prompt(
            "New passphrase of the offline keys",
            hide_input=True,
            confirmation_prompt=True,
            err=True,
        )
        secret = typed.encode()
    if len(secret) < SHORTEST:
        raise UsageError(f"the passphrase is shorter than {SHORTEST} bytes: use several words")
    return secret


def _from_file(env: Mapping[str, str]) -> bytes | None:
    name = env.get(FILE_VARIABLE)
    if not name:
        return None
    try:
        return Path(name).read_bytes().strip()
    except OSError as fault:
        raise InputMissing(f"{name} ({FILE_VARIABLE}): {fault.strerror}") from fault
