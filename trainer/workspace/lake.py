"""The tidy half of the lake: hourly observations as Parquet, a file a station and calendar year.

    observations/station=108/year=2024.parquet   time, schema.OBSERVED, a flag each, source
    observations/cell=60-127/year=2024.parquet   the same of a cell of KMA's forecast grid
    observations/farm=hill+edge-1/year=2024.parquet   the same of a farm's own sensors
    revisions/station=108/year=2024.jsonl        what an update replaced

Rules of a merge, numbered as the tests name them:
    L1  A missing value is filled by any source.
    L2  A value is replaced only by another value from a source of the same or a higher rank (see
        `kma_sources.Rank`): forecast-grid nowcasts < near-real-time hub < quality-controlled
        records. What a farm measured itself ranks as a record.
    L3  A blank never erases a value; a value that KMA withdraws comes with QC flag 1 (SOURCE).
    L4  What is replaced is kept as a revision, written before the new value is.
    L5  The same input gives the same bytes, and writing them again changes no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from edge_agent.contract.errors import BadData, StorageError
from edge_agent.contract.schema import TIME
from trainer.workspace import parquet
from trainer.workspace.kma_sources import Rank
from trainer.workspace.merge_rules import COLUMNS, SCHEMA, SOURCE, checked, merged, rank_of
from trainer.workspace.places import FarmId, folder

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np

    from trainer.workspace.places import PlaceId
    from trainer.workspace.store import Store


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge did.

    Attributes:
        added: Rows that were new.
        changed: Rows in which a missing value was filled or a value replaced.
        revised: Values replaced.
    """

    added: int = 0
    changed: int = 0
    revised: int = 0

    def __add__(self, other: Merge) -> Merge:
        return Merge(
            self.added + other.added, self.changed + other.changed, self.revised + other.revised
        )


class Lake:
    """Observations by place and time.

    Args:
        store: Where the files lie.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def stations(self) -> tuple[int, ...]:
        """Numbers of the stations that have observations, ascending."""
        names = self.store.names("observations")
        return tuple(
            sorted(
                {int(part[8:]) for name in names if (part := name.split("/")[1])[:8] == "station="}
            )
        )

    def observations(
        self, place: PlaceId, start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        """Hourly rows of a place with `start <= time <= end`, ascending, one row a time.

        Returns:
            `COLUMNS`; hours that were never received are absent, missing values are null.

        Raises:
            StorageError: A file cannot be read.
        """
        years = [
            year
            for year in self._years(place)
            if (start is None or year >= start.year) and (end is None or year <= end.year)
        ]
        frame = pl.concat([_empty(), *(self._read(place, year) for year in years)])
        if start is not None:
            frame = frame.filter(pl.col(TIME) >= start)
        if end is not None:
            frame = frame.filter(pl.col(TIME) <= end)
        return frame

    def newest(self, place: PlaceId, until: datetime, *, settled: bool = False) -> datetime | None:
        """Time of the newest row of a place up to `until`, or None; reads no more years than that.

        Args:
            place: Whose rows.
            until: Last time that counts.
            settled: See `hours`.

        Raises:
            StorageError: A file cannot be read.
        """
        for year in reversed(self._years(place)):
            rows = self._read(place, year)
            times = (_settled(rows) if settled else rows)[TIME]
            past = times.filter(times <= until)
            if len(past):
                newest: datetime = past[-1]
                return newest
        return None

    def hours(
        self, place: PlaceId, *, settled: bool = False, until: datetime | None = None
    ) -> np.ndarray:
        """Hours that a place has rows for: whole hours since 1970, ascending, int64.

        Args:
            place: Whose rows.
            settled: Only rows from quality-controlled records; near-real-time ones are still to
                be replaced.
            until: Last hour that counts; None = all do.
        """
        times = []
        for year in self._years(place):
            rows = self._read(place, year)
            times.append((_settled(rows) if settled else rows)[TIME])
        whole = pl.concat(times) if times else _empty()[TIME]
        epoch = (whole if until is None else whole.filter(whole <= until)).dt.epoch("s")
        return epoch.to_numpy() // 3600

    def merge(self, place: PlaceId, frame: pl.DataFrame, source: str, when: datetime) -> Merge:
        """Bring rows in, by the rules above.

        Args:
            place: Whose rows.
            frame: As `kma_fields.tidy` returns: `time`, quantities, flags; one row a time.
            source: Where they come from: a name of `kma_sources.RANKS`, or "portal", "parquet",
                "csv", "mqtt".
            when: Time of the merge, for the revisions.

        Raises:
            BadData: A time is doubled, null or not a full hour, or a column lacks.
            StorageError: A file cannot be read or written.
        """
        frame = checked(frame, source)
        merge = Merge()
        for year, part in _by_year(frame):
            merge += self._merge_year(place, year, part, when)
        return merge

    def _merge_year(self, place: PlaceId, year: int, new: pl.DataFrame, when: datetime) -> Merge:
        old = self._read(place, year)
        merge = merged(old, new, when)
        if merge.rows is old:
            return Merge()
        if merge.revisions:
            self._keep(place, year, merge.revisions)
        self._write(place, year, merge.rows)
        return Merge(merge.rows.height - old.height, merge.changed, len(merge.revisions))

    def _years(self, place: PlaceId) -> list[int]:
        names = self.store.names(f"observations/{folder(place)}")
        return sorted(
            int(name.rpartition("year=")[2].removesuffix(".parquet"))
            for name in names
            if name.endswith(".parquet")
        )

    def _read(self, place: PlaceId, year: int) -> pl.DataFrame:
        name = f"observations/{folder(place)}/year={year}.parquet"
        content = self.store.read(name)
        if content is None:
            return _empty()
        try:
            return parquet.decode(content).select(COLUMNS).cast(SCHEMA)
        except (BadData, pl.exceptions.PolarsError) as fault:
            mend = "`trainer ingest --rebuild` mends it from raw answers"
            if isinstance(place, FarmId):
                mend = "remove it and import the farm's export anew"
            raise StorageError(f"lake: {name} is damaged: {mend}") from fault

    def _write(self, place: PlaceId, year: int, frame: pl.DataFrame) -> None:
        name = f"observations/{folder(place)}/year={year}.parquet"
        self.store.write(name, parquet.encode(frame))

    def _keep(self, place: PlaceId, year: int, revisions: list[dict[str, Any]]) -> None:
        name = f"revisions/{folder(place)}/year={year}.jsonl"
        before = self.store.read(name) or b""
        latest = {}
        for line in before.splitlines():
            entry = msgspec.json.decode(line)
            latest[entry["time"], entry["quantity"]] = (entry["old"], entry["new"])
        # A merge that was killed after this write is done again: the same step is not logged twice.
        fresh = [
            entry
            for entry in revisions
            if latest.get((entry["time"], entry["quantity"])) != (entry["old"], entry["new"])
        ]
        lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in fresh)
        self.store.write(name, before + lines)


def _settled(rows: pl.DataFrame) -> pl.DataFrame:
    final = [name for name in rows[SOURCE].unique() if rank_of(name) == Rank.RECORD]
    return rows.filter(pl.col(SOURCE).is_in(final))


def _by_year(frame: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    years = frame[TIME].dt.year()
    return [(year, frame.filter(years == year)) for year in sorted(years.unique())]


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema=SCHEMA)
