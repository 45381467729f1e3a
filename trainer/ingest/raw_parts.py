"""Raw answers and files as parts of a rebuild: when each was received, its source, its rows."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from edge_agent.contract.schema import TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from trainer.workspace.lake import Lake
    from trainer.workspace.places import PlaceId
    from trainer.workspace.raw import RawStore


class RawPart(NamedTuple):
    """Tidy rows of one answer or file."""

    received: datetime
    source: str
    rows: pl.DataFrame


def answers_of(
    raw: RawStore, source: str, number: int, read: Callable[[bytes, int], pl.DataFrame]
) -> Iterator[RawPart]:
    """Every raw answer of a station or cell, oldest first.

    Args:
        raw: Where they are kept.
        source: Folder of the raw store, and the source's name in the lake.
        number: Of the station or cell.
        read: Tidy rows from body and HTTP status.
    """
    for _, answer, body in raw.since(source, number, 0):
        yield RawPart(answer.received, source, read(body, answer.status))


def merge_parts(lake: Lake, place: PlaceId, *streams: Iterable[RawPart]) -> None:
    """Merge parts of a place in the order in which they were received.

    Args:
        lake: Where to.
        place: Whose rows.
        streams: Parts, each stream ascending by time.
    """
    ordered = heapq.merge(*streams, key=lambda part: part.received)
    for part in together(ordered):
        lake.merge(place, part.rows, part.source, part.received)


def together(parts: Iterable[RawPart]) -> Iterator[RawPart]:
    """Join neighbours of one source that share no hour, since each merge writes whole years."""
    gathered: list[RawPart] = []
    hours: set[datetime] = set()
    for part in parts:
        new = set(part.rows[TIME])
        if gathered and (part.source != gathered[0].source or hours & new):
            yield _joined(gathered)
            gathered, hours = [], set()
        gathered.append(part)
        hours |= new
    if gathered:
        yield _joined(gathered)


def _joined(parts: list[RawPart]) -> RawPart:
    return parts[-1]._replace(rows=pl.concat([part.rows for part in parts]))
