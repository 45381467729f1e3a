"""The lake's tidy half: hourly observations as Parquet, one file a station and UTC calendar year.

    observations/station=108/year=2024.parquet   time, schema.OBSERVED, a flag each, source
    observations/cell=60-127/year=2024.parquet   the same of a cell of KMA's forecast grid
    observations/farm=hill+edge-1/year=2024.parquet   the same of a farm's own sensors
    revisions/station=108/year=2024.jsonl        what an update replaced

Rules of a merge, numbered as the tests name them:
    L1  A missing value is filled by any source.
    L2  A value is replaced only by a source of the same or a higher rank that says otherwise:
        forecast-grid nowcasts < near-real-time hub < quality-controlled records. What a farm tells
        of itself is final, as such records are.
    L3  A blank never erases a value; a value that KMA withdraws comes with QC flag 1 (SOURCE).
    L4  What is replaced is kept as a revision, written before the new value is.
    L5  The same input gives the same bytes, and writing them again changes no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData, StorageError
from edge_agent.contract.schema import TIME, Flag, flag_column
from trainer.workspace import parquet
from trainer.workspace.kma_sources import RANKS, Rank
from trainer.workspace.places import FarmId, folder

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np

    from trainer.workspace.places import PlaceId
    from trainer.workspace.store import Store

SOURCE: Final = "source"
COLUMNS: Final = (TIME, *schema.OBSERVED, *(flag_column(name) for name in schema.OBSERVED), SOURCE)
"""Columns of every observation file, in order. `source` joins several with `+`."""

_SCHEMA: Final = pl.Schema(
    {
        TIME: schema.TIME_DTYPE,
        **dict.fromkeys(schema.OBSERVED, pl.Float64()),
        **dict.fromkeys((flag_column(name) for name in schema.OBSERVED), pl.UInt8()),
        SOURCE: pl.String(),
    }
)
_NEW: Final = "_new"


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

    def newest(self, place: PlaceId, until: datetime) -> datetime | None:
        """Time of the newest row of a place up to `until`, or None; reads no more years than that.

        Raises:
            StorageError: A file cannot be read.
        """
        for year in reversed(self._years(place)):
            times = self._read(place, year)[TIME]
            known = times.filter(times <= until)
            if len(known):
                found: datetime = known[-1]
                return found
        return None

    def hours(self, place: PlaceId, *, settled: bool = False) -> np.ndarray:
        """Hours that a place has rows for: whole hours since 1970, ascending, int64.

        Args:
            place: Whose rows.
            settled: Only rows from quality-controlled records; near-real-time ones are still to
                be replaced.
        """
        found = []
        for year in self._years(place):
            rows = self._read(place, year)
            if settled:
                final = [name for name in rows[SOURCE].unique() if _rank(name) == Rank.RECORD]
                rows = rows.filter(pl.col(SOURCE).is_in(final))
            found.append(rows[TIME])
        epoch = pl.concat(found).dt.epoch("s") if found else pl.Series([], dtype=pl.Int64)
        return epoch.to_numpy() // 3600

    def merge(self, place: PlaceId, frame: pl.DataFrame, source: str, when: datetime) -> Merge:
        """Bring rows in, by the rules above.

        Args:
            place: Whose rows.
            frame: As `sources.kma.tidy` returns: `time`, quantities, flags; one row a time.
            source: Where they come from: a name of `kma_sources.RANKS`, or "portal", "parquet",
                "csv", "mqtt".
            when: Time of the merge, for the revisions.

        Raises:
            BadData: A time is doubled, null or not a full hour, or a column lacks.
            StorageError: A file cannot be read or written.
        """
        frame = _checked(frame, source)
        done = Merge()
        for year, part in _by_year(frame):
            done += self._merge_year(place, year, part, when)
        return done

    def _merge_year(self, place: PlaceId, year: int, new: pl.DataFrame, when: datetime) -> Merge:
        old = self._read(place, year)
        joined, sources = _join(old, new)
        result = joined.select(
            TIME,
            *(pl.when(_taken(n)).then(f"{n}{_NEW}").otherwise(n).alias(n) for n in schema.OBSERVED),
            *(
                pl.when(_taken(n))
                .then(f"{flag_column(n)}{_NEW}")
                .otherwise(flag_column(n))
                .fill_null(Flag.MISSING)
                .cast(pl.UInt8)
                .alias(flag_column(n))
                for n in schema.OBSERVED
            ),
            sources.alias(SOURCE),
        )
        if result.equals(old):
            return Merge()
        revisions = _revisions(joined, when)
        if revisions:
            self._keep(place, year, revisions)
        self._write(place, year, result)
        added = result.height - old.height
        return Merge(added, _differing(old, result), len(revisions))

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
            return parquet.decode(content).select(COLUMNS).cast(_SCHEMA)
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
        # A merge that was killed after this write comes by again: the same step is not told twice.
        fresh = [
            entry
            for entry in revisions
            if latest.get((entry["time"], entry["quantity"])) != (entry["old"], entry["new"])
        ]
        lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in fresh)
        self.store.write(name, before + lines)


def _by_year(frame: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    years = frame[TIME].dt.year()
    return [(year, frame.filter(years == year)) for year in sorted(years.unique())]


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema=_SCHEMA)


def _checked(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    missing = set(COLUMNS[:-1]) - set(frame.columns)
    if missing:
        raise BadData(f"observations from {source} lack the column {min(missing)}")
    frame = frame.with_columns(pl.lit(source).alias(SOURCE)).select(COLUMNS).sort(TIME)
    frame = frame.cast(_SCHEMA)
    wrong = frame.select(
        (
            pl.col(TIME).is_null()
            | pl.col(TIME).is_duplicated()
            | (pl.col(TIME).dt.truncate("1h") != pl.col(TIME))
        ).any()
    ).item()
    if wrong:
        raise BadData(f"observations from {source}: a time is missing, doubled or no full hour")
    return frame


def _rank(source: str) -> Rank:
    return max(RANKS.get(part, Rank.RECORD) for part in source.split("+"))


def _join(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.Expr]:
    """Old and new side by side with `_take_<name>` columns, and the new `source` expression."""
    newcomer = new[SOURCE][0]
    joined = old.join(new, on=TIME, how="full", coalesce=True, suffix=_NEW).sort(TIME)
    names = {name: _rank(name) for name in old[SOURCE].unique()}
    rank = pl.lit(-1)
    merged = pl.lit(newcomer)
    for name, value in names.items():
        here = pl.col(SOURCE) == name
        rank = pl.when(here).then(pl.lit(value)).otherwise(rank)
        both = "+".join(sorted({*name.split("+"), newcomer}))
        merged = pl.when(here).then(pl.lit(both)).otherwise(merged)
    joined = joined.with_columns(rank.alias("_rank"), merged.alias("_both"))
    joined = joined.with_columns(_take(name, _rank(newcomer)) for name in schema.OBSERVED)
    taken = pl.any_horizontal(_taken(name) for name in schema.OBSERVED)
    kept = pl.any_horizontal(
        ~_taken(name) & _present(flag_column(name)) for name in schema.OBSERVED
    )
    source = (
        pl.when(pl.col(SOURCE).is_null())
        .then(pl.col(f"{SOURCE}{_NEW}"))
        .when(~taken)
        .then(pl.col(SOURCE))
        .when(kept)
        .then(pl.col("_both"))
        .otherwise(pl.lit(newcomer))
    )
    return joined, source


def _present(flag: str) -> pl.Expr:
    return (pl.col(flag) != Flag.MISSING).fill_null(value=False)


def _taken(name: str) -> pl.Expr:
    return pl.col(f"_take_{name}")


def _differs(name: str) -> pl.Expr:
    flag = flag_column(name)
    return pl.col(name).ne_missing(pl.col(f"{name}{_NEW}")) | pl.col(flag).ne_missing(
        pl.col(f"{flag}{_NEW}")
    )


def _take(name: str, rank: int) -> pl.Expr:
    flag = flag_column(name)
    higher = pl.col("_rank") < rank
    same = (pl.col("_rank") == rank) & _differs(name)
    return (_present(f"{flag}{_NEW}") & (~_present(flag) | higher | same)).alias(f"_take_{name}")


def _revisions(joined: pl.DataFrame, when: datetime) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in schema.OBSERVED:
        flag = flag_column(name)
        rows = joined.filter(_taken(name) & _present(flag) & _differs(name)).select(
            time=TIME,
            quantity=pl.lit(name),
            old=name,
            old_flag=flag,
            old_source=SOURCE,
            new=f"{name}{_NEW}",
            new_flag=f"{flag}{_NEW}",
            new_source=f"{SOURCE}{_NEW}",
            revised_at=pl.lit(when),
        )
        found += rows.to_dicts()
    for row in found:
        row["time"] = row["time"].strftime("%Y-%m-%dT%H:%M:%SZ")
        row["revised_at"] = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    return sorted(found, key=lambda row: (row["time"], row["quantity"]))


def _differing(old: pl.DataFrame, result: pl.DataFrame) -> int:
    """Rows that were there before and are not the same now."""
    same = result.filter(pl.col(TIME).is_in(old[TIME].implode()))
    changed = pl.any_horizontal(
        pl.col(name).ne_missing(pl.lit(old[name])) for name in COLUMNS if name != TIME
    )
    return same.filter(changed).height
