"""A newer program of the agent itself, from the same depot, under the offline `targets` key.

P1 Only what the `targets` role itself lists is installed: keys that are on a server sign weather
   and models, never code.
P2 The same bytes are tried once: a program that failed is not installed again each day.
P3 The verified bytes are the ones that run: they are written to a file that only root may write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import NothingNew, TryLater
from edge_agent.system.files import make_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from edge_agent.updates.depot import DepotClient

MAX_BYTES: Final = 200_000_000


class Tried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last program that was tried: SHA-256 (hex), and its installer's exit code."""

    sha256: str
    code: int


def program_path(machine: str) -> str:
    """Target path of the program for a machine as `uname -m` names it."""
    return f"agent/{machine}/edge-agent"


def update_program(
    depot: DepotClient,
    folder: Path,
    machine: str,
    now: datetime,
    install: Callable[[Path], int],
) -> int:
    """Fetch, verify and install the program that the depot offers.

    Args:
        depot: The depot.
        folder: Only root writes here; keeps the record of what was tried.
        machine: As `uname -m` says.
        now: Time that expiry is checked against, aware UTC.
        install: Runs a program's installer, which rolls back by itself; returns its exit code.

    Returns:
        The installer's exit code.

    Raises:
        NothingNew: The depot has no program for this machine, or this one was tried.
        Refused: It is not what was signed, or too long.
        TryLater: The depot cannot be reached.
        StorageError: The disk failed.
    """
    depot.refresh(now)
    path = program_path(machine)
    digest = depot.offered(path)
    if digest is None:
        raise NothingNew(f"the depot offers no program for {machine}")
    record = folder / "tried.json"
    tried = _tried(record)
    if tried is not None and tried.sha256 == digest:
        how = "is installed" if tried.code == 0 else f"was tried and failed (exit {tried.code})"
        raise NothingNew(f"the depot's program {digest[:12]} {how}")
    content = depot.fetch(path, MAX_BYTES)
    if content is None:
        raise TryLater(f"{path}: changed while it was asked for: try again")
    make_folder(folder)
    program = folder / "edge-agent"
    write_atomic(program, content, mode=0o700)
    del content  # as large as all the rest of the process
    try:
        code = install(program)
    finally:
        program.unlink()
    write_atomic(record, msgspec.json.encode(Tried(digest, code)))
    return code


def _tried(record: Path) -> Tried | None:
    try:
        return msgspec.json.decode(record.read_bytes(), type=Tried)
    except (OSError, msgspec.DecodeError):
        return None
