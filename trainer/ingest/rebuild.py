"""The tidy lake anew from what is kept raw: answers of KMA's services, and files brought in.

Rules, numbered as the tests name them:
    B1  Every answer and file is read as it would be today, and merged by the lake's own rules, in
        the order in which they came: of two records of one hour the later one counts.
    B2  All of it is worked out beside the lake first; only then are files replaced that differ.
        A run that is killed leaves files of before and after, each whole; the next one completes.
    B3  Nothing is lost: where the lake has rows that nothing raw holds, nothing is changed.
    B4  Revisions that are there stay: they say when a change became known. Lost ones are told
        anew, with the time of the answer.
    B5  Hours of farms are left as they are: they come tidy, and are kept only so.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import polars as pl

from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import BadData, InputMissing
from edge_agent.contract.schema import TIME
from trainer.ingest import importer
from trainer.ingest.guidance import Archive
from trainer.ingest.sources import asos, hub, kma, village, village_table
from trainer.ingest.sources.village_table import ISSUED, VALID
from trainer.ingest.village import FORECASTS, NOWCASTS
from trainer.workspace import parquet
from trainer.workspace.lake import Lake
from trainer.workspace.places import FARM
from trainer.workspace.raw import SEVERAL
from trainer.workspace.stations import station as station_of
from trainer.workspace.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trainer.workspace.raw import Answer, RawStore
    from trainer.workspace.workspace import Workspace

_Part: TypeAlias = tuple[datetime, str, pl.DataFrame]
"""When it came, from which source, and its rows."""

_TIDY: Final = ("observations", "revisions", "guidance")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: raw answers and files read, tidy files found, and those replaced."""

    read: int
    files: int
    replaced: tuple[str, ...]


def rebuild(workspace: Workspace) -> Rebuilt:
    """Make observations and guidance anew from the raw store; nothing is asked of KMA.

    Raises:
        InputMissing: The lake has what nothing raw holds, such as files that were imported before
            their bytes were kept; nothing is changed.
        StorageError: A raw file is damaged, or the lake cannot be written.
        TryLater: Another process works on the lake.
    """
    store = workspace.store
    with workspace.lake_lock():
        shadow = MemoryStore()
        work = _Work(workspace.raw, Lake(shadow), Archive(shadow))
        _check_imports(store.read(importer.JOURNAL) or b"", work.imports)
        work.hub()
        work.records()
        work.cells()
        found = {part: set(shadow.names(part)) for part in _TIDY}
        for name in store.names("observations"):
            if name.startswith(f"observations/{FARM}"):
                continue
            _check_rows(name, store.read(name), shadow.read(name), [TIME])
        for name in store.names("guidance"):
            _check_rows(name, store.read(name), shadow.read(name), [ISSUED, VALID])
        found["revisions"] -= set(store.names("revisions"))
        replaced = []
        for name in sorted(set().union(*found.values())):
            content = shadow.read(name) or b""
            if store.read(name) != content:
                store.write(name, content)
                replaced.append(name)
        return Rebuilt(work.read, sum(map(len, found.values())), tuple(replaced))


class _Work:
    """Merges raw answers into a lake.

    Args:
        raw: What is kept.
        lake: Where rows go.
        archive: Where forecasts go.
    """

    def __init__(self, raw: RawStore, lake: Lake, archive: Archive) -> None:
        self._raw = raw
        self._lake = lake
        self._archive = archive
        self.read = 0
        self.imports = [
            (about, name)
            for _, name in raw.names(importer.IMPORTS, SEVERAL)
            for about, _ in [raw.read(name)]
        ]

    def hub(self) -> None:
        """Near-real-time hours; each answer may hold several stations."""
        for _, about, body in self._raw.since(hub.NAME, SEVERAL, 0):
            self.read += 1
            parts = hub.parse(body, about.status).partition_by(hub.STATION_FIELD, as_dict=True)
            for (number,), rows in parts.items():
                frame = kma.tidy(rows, station_of(int(number)).site)
                self._lake.merge(int(number), frame, hub.NAME, _time(about.fetched_at))

    def records(self) -> None:
        """Quality-controlled hours, station by station: answers and files in order of time."""
        self.read += len(self.imports)
        stations = set(self._raw.places(asos.NAME))
        for about, _ in self.imports:
            stations.update(map(int, about.query["stations"].split(",")))
        for station in sorted(stations):
            both = heapq.merge(self._answers(station), self._files(station), key=itemgetter(0))
            for at, source, frame in _together(both):
                self._lake.merge(station, frame, source, at)

    def cells(self) -> None:
        """Nowcasts and forecasts of grid cells."""
        for number in self._raw.places(NOWCASTS):
            for at, source, frame in _together(self._nowcasts(number)):
                self._lake.merge(_cell(number), frame, source, at)
        for number in self._raw.places(FORECASTS):
            answers = self._raw.since(FORECASTS, number, 0)
            for _, pages in groupby(answers, key=lambda answer: _issue(answer[1])):
                rows = [village.parse(body, about.status).rows for _, about, body in pages]
                self.read += len(rows)
                self._archive.append(_cell(number), village_table.forecasts(pl.concat(rows)))

    def _answers(self, station: int) -> Iterator[_Part]:
        site = station_of(station).site
        for _, about, body in self._raw.since(asos.NAME, station, 0):
            self.read += 1
            rows = asos.parse(body, about.status).rows
            yield _time(about.fetched_at), asos.NAME, kma.tidy(rows, site)

    def _nowcasts(self, number: int) -> Iterator[_Part]:
        for _, about, body in self._raw.since(NOWCASTS, number, 0):
            self.read += 1
            rows = village.parse(body, about.status).rows
            yield _time(about.fetched_at), NOWCASTS, village_table.nowcast(rows)

    def _files(self, station: int) -> Iterator[_Part]:
        for about, name in self.imports:
            if str(station) in about.query["stations"].split(","):
                _, body = self._raw.read(name)
                frames, source = importer.read(about.query["file"], body, station)
                yield _time(about.fetched_at), source, frames[station]


def _together(parts: Iterable[_Part]) -> Iterator[_Part]:
    """Neighbours of one source that share no hour, as one: each merge writes whole years."""
    gathered: list[_Part] = []
    known: set[datetime] = set()
    for part in parts:
        hours = set(part[2][TIME])
        if gathered and (part[1] != gathered[0][1] or known & hours):
            yield _one(gathered)
            gathered, known = [], set()
        gathered.append(part)
        known |= hours
    if gathered:
        yield _one(gathered)


def _one(parts: list[_Part]) -> _Part:
    return parts[-1][0], parts[-1][1], pl.concat([frame for _, _, frame in parts])


def _check_imports(journal: bytes, kept: list[tuple[Answer, str]]) -> None:
    known = {about.sha256 for about, _ in kept}
    for line in journal.splitlines():
        entry = msgspec.json.decode(line)
        if entry["sha256"] not in known:
            raise InputMissing(
                f"lake: {entry['file']} was imported before files were kept: import it again first "
                "(nothing was changed)"
            )


def _check_rows(name: str, before: bytes | None, after: bytes | None, key: list[str]) -> None:
    """B3; a file that cannot be read is what a rebuild is for."""
    try:
        old = parquet.decode(before or b"").select(key)
    except (BadData, pl.exceptions.PolarsError):
        return
    lost = old if after is None else old.join(parquet.decode(after), on=key, how="anti")
    if lost.height:
        raise InputMissing(
            f"lake: {name} has {lost.height} rows, the first of {lost[key[0]][0]:%Y-%m-%d %H:%M} "
            "UTC, that no raw answer or kept file holds (nothing was changed)"
        )


def _issue(about: Answer) -> tuple[str, str]:
    return about.query["base_date"], about.query["base_time"]


def _cell(number: int) -> Cell:
    return Cell(*divmod(number, 1000))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
