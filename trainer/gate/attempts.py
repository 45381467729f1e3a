"""attempts.jsonl: every candidate that was put before the gate. Lines are only ever added.

Many attempts would pass by luck, so the attempts on one quarter's holdout share the chance of a
false "better".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from trainer.workspace.jsonl import JsonLines

if TYPE_CHECKING:
    from datetime import datetime

    from trainer.workspace.store import Store

NAME: Final = "attempts.jsonl"

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


def count(records: Store, attempt: Attempt) -> int:
    """Add an attempt unless it is there, and return its number within channel and quarter.

    The same run before the same champion is one attempt: a killed `trainer daily` does its work
    again.

    Raises:
        BadData, StorageError, TryLater: See `JsonLines.add`.
    """

    def key(line: Attempt) -> tuple[str, str, str, int]:
        return line.channel, line.quarter, line.run, line.champion

    lines = JsonLines(records, NAME, Attempt).add(attempt, lambda line: key(line) == key(attempt))
    keys = [key(line) for line in lines if key(line)[:2] == key(attempt)[:2]]
    return keys.index(key(attempt)) + 1


def alpha_of(number: int) -> float:
    """Chance that the `number`-th attempt of a quarter may use: all of it for the first FREE."""
    return ALPHA if number <= FREE else ALPHA / number
