"""Checkpoint of a station: what ingest must know besides the rows. One file, replaced at once.

ledger/asos/station=108.json   answers merged so far; hours that answers lacked
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from edge_agent.contract.errors import StorageError
from edge_agent.contract.hours import hour_of, time_of
from trainer.ingest import gap_plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trainer.workspace.store import Store


class _AbsentHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """Consecutive absent hours with one history: first hour (UTC), count, asks, last day (KST)."""

    start: str
    hours: int
    times: int
    last: date


class _CheckpointFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    merged: int = 0
    absent: list[_AbsentHours] = []


@dataclass(slots=True)
class Checkpoint:
    """State of one station and source.

    Attributes:
        merged: Number of the newest raw answer that is in the lake, all older ones included.
        absent: Hour -> (times asked, Korean day of the last time) for hours no answer had.
    """

    merged: int = 0
    absent: dict[int, tuple[int, date]] = field(default_factory=dict)

    def waiting(self, today: date) -> list[int]:
        """Absent hours that are not to be asked for today."""
        return [
            hour
            for hour, (times, last) in self.absent.items()
            # A day ahead of today was noted under a wrong clock: it holds nothing back.
            if last <= today
            and ((due := gap_plan.next_ask(hour, times, last)) is None or due > today)
        ]

    def note(self, asked: Iterable[int], got: set[int], today: date) -> None:
        """Take note of an answer: the hours that were asked for, and those that it had."""
        for hour in asked:
            if hour not in got:
                times, last = self.absent.get(hour, (0, None))
                # Two runs on one day count as one ask: KMA had no time to fill the hour.
                self.absent[hour] = (times if last == today else times + 1, today)
        for hour in got:
            self.absent.pop(hour, None)


def load(store: Store, source: str, station: int) -> Checkpoint:
    """The checkpoint of a station; an empty one where there is no file.

    Raises:
        StorageError: The file is damaged.
    """
    name = _name(source, station)
    content = store.read(name)
    if content is None:
        return Checkpoint()
    try:
        document = msgspec.json.decode(content, type=_CheckpointFile)
        absent = {
            hour: (run.times, run.last)
            for run in document.absent
            for hour in range(_hour(run.start), _hour(run.start) + run.hours)
        }
    except (msgspec.DecodeError, ValueError) as fault:
        raise StorageError(
            f"lake: {name} is damaged: remove it; raw answers are merged again from the start"
        ) from fault
    return Checkpoint(document.merged, absent)


def save(store: Store, source: str, station: int, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of a station."""
    runs = []
    entries = sorted(checkpoint.absent.items())
    for (_, history), group in groupby(
        enumerate(entries), key=lambda item: (item[1][0] - item[0], item[1][1])
    ):
        hours = [hour for _, (hour, _) in group]
        start = time_of(hours[0]).strftime("%Y-%m-%dT%HZ")
        runs.append(_AbsentHours(start, len(hours), *history))
    content = msgspec.json.encode(_CheckpointFile(checkpoint.merged, runs))
    store.write(_name(source, station), content + b"\n")


def _name(source: str, station: int) -> str:
    return f"ledger/{source}/station={station}.json"


def _hour(text: str) -> int:
    return hour_of(datetime.strptime(text, "%Y-%m-%dT%HZ").replace(tzinfo=UTC))
