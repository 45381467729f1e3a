"""Files into the lake: Parquet and CSV in KMA's names or ours, CSV from KMA's data portal.

Hours of stations, and past village forecasts of a cell, which `guidance_files` reads.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from edge_agent.contract import kma_fields, kma_time
from edge_agent.contract.errors import BadData, UsageError
from edge_agent.contract.hours import KOREA_OFFSET_H
from edge_agent.contract.schema import OBSERVED, TIME
from edge_agent.contract.stations import station as station_of
from trainer.ingest import guidance_files
from trainer.ingest.guidance import Archive
from trainer.ingest.raw_parts import RawPart
from trainer.ingest.sources.portal_csv import LINE
from trainer.ingest.tables import (
    STATION_NAMES,
    check_csv,
    content_of,
    in_utf8,
    lines_from,
    ours,
    separator,
    table,
    warn_of_no_numbers,
)
from trainer.workspace import future_hours
from trainer.workspace.raw import SEVERAL

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from edge_agent.contract.dfs_grid import Cell
    from edge_agent.system.ports import Clock
    from trainer.ingest.guidance_files import PastForecasts
    from trainer.workspace.raw import Answer, RawStore
    from trainer.workspace.workspace import Workspace

MAX_BYTES: Final = 200_000_000
MAX_ROWS: Final = 5_000_000
"""Five years of a hundred stations; more comes in several files."""
_log = logging.getLogger(__name__)
JOURNAL: Final = "imports.jsonl"
IMPORTS: Final = "import"
"""Folder of the raw store with the files that were brought in."""


class Import:
    """Imports into one workspace.

    Args:
        workspace: Where to.
        clock: Stamps revisions and the journal.
    """

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._lake = workspace.lake
        self._clock = clock

    def bring(
        self, path: Path, station: int | None = None, cell: Cell | None = None
    ) -> list[dict[str, Any]]:
        """Bring in one file; all of its stations, or none when it has a fault.

        Args:
            path: The file.
            station: Station of rows that do not say it; where they do, only its rows are taken.
            cell: Cell of past forecasts; None = the file says it.

        Returns:
            One entry a station: `station`, `rows`, `added`, `changed`. Of past forecasts one entry:
            `cell`, `rows`, `added`, `completed`, `differing` (as `guidance.Appended` has them).

        Raises:
            InputMissing: No such file.
            UsageError: It does not say the station or cell, and neither did the caller.
            BadData: It is not what its name says, too large, or its rows are neither hourly
                observations nor past forecasts.
            TryLater: Another process is writing to the lake.
        """
        content, now = content_of(path, MAX_BYTES), self._clock.now()
        past: PastForecasts | None = None
        frames: dict[int, pl.DataFrame] = {}
        source = ""
        try:
            text = in_utf8(content)
            if guidance_files.is_guidance(path.name, text):
                past = guidance_files.read(path.name, text, cell, now)
            else:
                frames, source = read(path.name, content, station, now)
        except BadData as fault:
            raise BadData(f"{path}: {fault}") from fault
        except UsageError as fault:
            raise UsageError(f"{path}: {fault}") from fault
        with self._workspace.lake_lock():
            if past is not None:
                return self._append(path.name, content, past)
            return self._merge(path.name, content, frames, source)

    def _append(self, name: str, content: bytes, past: PastForecasts) -> list[dict[str, Any]]:
        for note in past.notes:
            _log.warning("%s: %s", name, note)
        about, now = {"file": name}, self._clock.now()
        folder = guidance_files.folder_of_cell(past.cell)
        # Before it is merged, so that everything in the archive is in the raw store.
        self._workspace.raw.keep_once(guidance_files.FILES, folder, about, content, now)
        appended = Archive(self._store).append(past.cell, past.rows)
        if appended.differing:
            _log.warning("%s: %s", name, appended.difference())
        result = [
            {
                "cell": str(past.cell),
                "rows": past.rows.height,
                "added": appended.added,
                "completed": appended.completed,
                "differing": appended.differing,
            }
        ]
        if appended.added or appended.completed:
            self._journal(name, content, {"source": "village", "cells": result})
        return result

    def _merge(
        self, name: str, content: bytes, frames: dict[int, pl.DataFrame], source: str
    ) -> list[dict[str, Any]]:
        now = self._clock.now()
        about = {"file": name, "stations": ",".join(map(str, frames))}
        # Before it is merged, so that everything in the lake is in the raw store.
        self._workspace.raw.keep_once(IMPORTS, SEVERAL, about, content, now)
        result = []
        for number, frame in frames.items():
            merge = self._lake.merge(number, frame, source, now)
            result.append(
                {
                    "station": number,
                    "rows": frame.height,
                    "added": merge.added,
                    "changed": merge.changed,
                }
            )
        if any(entry["added"] or entry["changed"] for entry in result):
            self._journal(name, content, {"source": source, "stations": result})
        return result

    def _journal(self, name: str, content: bytes, brought: dict[str, Any]) -> None:
        entry = {
            "imported_at": f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "file": name,
            "sha256": hashlib.sha256(content).hexdigest(),
            **brought,
        }
        before = self._store.read(JOURNAL) or b""
        self._store.write(JOURNAL, before + msgspec.json.encode(entry) + b"\n")


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of the raw store.

    Attributes:
        name: Its name there.
        answer: What is known of it.
    """

    name: str
    answer: Answer

    @property
    def stations(self) -> tuple[int, ...]:
        """Stations whose rows were taken from it."""
        return tuple(map(int, self.answer.query["stations"].split(",")))

    def part(self, raw: RawStore, station: int) -> RawPart:
        """Rows of one station."""
        _, body = raw.read(self.name)
        frames, source = read(self.answer.query["file"], body, station)
        return RawPart(self.answer.received, source, frames[station])


def kept_files(raw: RawStore) -> list[KeptFile]:
    """Every file that was brought in, oldest first."""
    return [KeptFile(name, raw.read(name)[0]) for _, name in raw.names(IMPORTS, SEVERAL)]


def read(
    name: str, content: bytes, station: int | None, now: datetime | None = None
) -> tuple[dict[int, pl.DataFrame], str]:
    """Tidy frames by station, and what to call the source.

    Args:
        name: File name; its ending tells the kind.
        content: The file.
        station: See `Import.bring`.
        now: Later hours are refused; None = none is.

    Raises:
        UsageError: The station is not known.
        BadData: Not readable as what the name says, or an hour is still to come.
    """
    if not name.lower().endswith(".csv"):
        return _tidy(_in_lines(table(name, content, MAX_ROWS)), station, now), "parquet"
    content = in_utf8(content)
    head = content[:4096].split(b"\n", 1)[0].removeprefix(b"\xef\xbb\xbf")
    columns = {part.strip(b' "\r') for part in head.replace(b"\t", b",").split(b",")}
    if {TIME.encode(), kma_fields.TIME_FIELD.encode()} & columns:
        return _tidy(_in_lines(table(name, content, MAX_ROWS)), station, now), "csv"
    from trainer.ingest.sources import portal_csv

    check_csv(content, MAX_ROWS, len(portal_csv.FIELDS))
    return _tidy(portal_csv.parse(content, separator(content)), station, now), "portal"


def _in_lines(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows with the number of each one's line."""
    return frame.with_columns(lines_from(2, frame).alias(LINE))


def _with_hours(frame: pl.DataFrame, now: datetime | None) -> pl.DataFrame:
    """Rows in KMA's names with their times read."""
    if kma_fields.TIME_FIELD not in frame.columns:
        return frame
    times = kma_time.read_times(frame[kma_fields.TIME_FIELD], frame[LINE])
    if now is not None:
        utc = times.dt.offset_by(f"-{KOREA_OFFSET_H}h").dt.replace_time_zone("UTC")
        future_hours.check(utc, frame[LINE], now)
    return frame.with_columns(times.alias(kma_fields.TIME_FIELD))


def _tidy(
    frame: pl.DataFrame, station: int | None, now: datetime | None
) -> dict[int, pl.DataFrame]:
    frame = _with_hours(frame, now)
    named = next((name for name in STATION_NAMES if name in frame.columns), None)
    if named is None:
        if station is None:
            raise UsageError("the rows do not say their station: name it with --station")
        return {station: _one(frame, station, now)}
    numbers = frame[named].cast(pl.Int64, strict=False)
    if numbers.null_count():
        wrong = str(frame[named].filter(numbers.is_null())[0])[:30]
        raise BadData(f"column {named} holds {wrong!r}, which is no station number")
    stations = sorted(numbers.unique().to_list())
    if station is not None:
        if station not in stations:
            raise BadData(f"no rows of station {station}; the file has {stations[:5]}")
        stations = [station]
    return {number: _one(frame.filter(numbers == number), number, now) for number in stations}


def _one(frame: pl.DataFrame, station: int, now: datetime | None) -> pl.DataFrame:
    site, whose = station_of(station).site, f"station {station}"
    if kma_fields.TIME_FIELD in frame.columns:
        warn_of_no_numbers(frame, frame[LINE], kma_fields.NAMES, whose)
        _warn_of_doubled(frame.drop(LINE), kma_fields.TIME_FIELD, station)
        return kma_fields.tidy(frame, site)
    if TIME not in frame.columns:
        raise BadData(f"no column {kma_fields.TIME_FIELD} (KMA's names) or {TIME} (ours)")
    warn_of_no_numbers(frame, frame[LINE], OBSERVED, whose)
    _warn_of_doubled(frame.drop(LINE), TIME, station)
    return ours(frame, lines=frame[LINE], now=now)


def _warn_of_doubled(frame: pl.DataFrame, time: str, station: int) -> None:
    """Tell of hours that stand twice with other values: the last row of each counts."""
    rows = frame.filter(pl.col(time).is_duplicated()).unique(maintain_order=True)
    hours = rows.filter(pl.col(time).is_duplicated())[time].unique(maintain_order=True)
    if hours.len():
        _log.warning(
            "station %d: %s twice with other values, of which the last counts: %s",
            station,
            "an hour stands" if hours.len() == 1 else f"{hours.len()} hours stand",
            ", ".join(str(hour)[:30] for hour in hours[:3]),
        )
