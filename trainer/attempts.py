"""attempts.jsonl: every candidate that was held against the gate. Lines are only ever added.

Who tries often enough passes by luck: the chance that the comparison allows is shared by the
attempts on one quarter's holdout.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from edge_agent.errors import BadData, StorageError
from edge_agent.files import make_folder, sync_folder

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

ALPHA = 0.03
"""Chance of calling one of two equal recipes better: of 200 equal pairs at most ten (5 %) pass
with 95 % certainty, which 0.05 itself would miss every other time."""

FREE = 5
"""Attempts in a quarter that each may use the whole of ALPHA."""


class Attempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One candidate before the gate.

    Attributes:
        at: UTC, ISO 8601 with Z.
        channel: Where it was to go.
        quarter: Quarter in which its holdout ends, like 2018Q4.
        run: Candidate.
        champion: Release it met.
    """

    at: str
    channel: str
    quarter: str
    run: str
    champion: int


def quarter_of(end: datetime) -> str:
    """Quarter of a holdout's last hour."""
    return f"{end.year}Q{(end.month + 2) // 3}"


def count(path: Path, attempt: Attempt) -> int:
    """Add an attempt unless it is there, and return its number within channel and quarter.

    The same run before the same champion is one attempt, however often it is asked: a killed
    `trainer daily` takes its work up again.

    Raises:
        BadData: A whole line is not an attempt.
        StorageError: The disk failed.
    """
    before = [
        one
        for one in _read(path)
        if (one.channel, one.quarter) == (attempt.channel, attempt.quarter)
    ]
    for number, one in enumerate(before, start=1):
        if (one.run, one.champion) == (attempt.run, attempt.champion):
            return number
    _append(path, attempt)
    return len(before) + 1


def alpha_of(number: int) -> float:
    """Chance that the `number`-th attempt of a quarter may use: all of it for the first FREE."""
    return ALPHA if number <= FREE else ALPHA / number


def _read(path: Path) -> list[Attempt]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found = []
    # What follows the last line break was cut short by a crash.
    for number, line in enumerate(lines[:-1], start=1):
        try:
            found.append(msgspec.json.decode(line, type=Attempt))
        except msgspec.DecodeError as fault:
            raise BadData(f"{path}, line {number}: {fault}: mend it by hand") from fault
    return found


def _append(path: Path, attempt: Attempt) -> None:
    try:
        make_folder(path.parent)
        with path.open("a+b") as handle:
            handle.seek(0)
            handle.truncate(handle.read().rfind(b"\n") + 1)
            handle.write(msgspec.json.encode(attempt) + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
        sync_folder(path.parent)
    except OSError as fault:
        raise StorageError(f"{path}: {fault.strerror}: check the disk") from fault
