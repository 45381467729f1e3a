"""Archive of KMA's own forecasts by time of issue and valid hour.

    guidance/nx=60/ny=127/month=2022-11.parquet   rows of `village_table.COLUMNS`, by month of issue

Rules, numbered as the tests name them:
    A1  There is one row for each issue and valid hour. Values are added and never changed: where
        the archive has one, it stays, and another value for it is counted.
    A2  Files of before, which have fewer columns, are read with null for the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import BadData, StorageError
from trainer.ingest.sources.village_table import COLUMNS, ISSUED, VALID
from trainer.workspace import parquet

if TYPE_CHECKING:
    from datetime import datetime

    from trainer.workspace.store import Store

_VALUES: Final = COLUMNS[2:]
_ROOT: Final = "guidance"
_NEW: Final = "_new"
"""Suffix of columns that are to be added."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What adding forecasts to a cell did.

    Attributes:
        added: Rows that are new.
        completed: Rows that were there and got a value that they lacked.
        differing: Values that the archive has otherwise; its own stay.
        first: Issue, valid hour and column of the first of these; empty = none.
    """

    added: int = 0
    completed: int = 0
    differing: int = 0
    first: str = ""

    def difference(self) -> str:
        """The differing values in words."""
        return (
            f"the archive has {self.differing} values otherwise, and its own stay; the first is "
            f"{self.first}"
        )

    def __add__(self, other: Appended) -> Appended:
        """Both, this one first."""
        return Appended(
            self.added + other.added,
            self.completed + other.completed,
            self.differing + other.differing,
            self.first or other.first,
        )


class Archive:
    """Forecasts by cell and issue.

    Args:
        store: Where the files lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def cells(self) -> tuple[Cell, ...]:
        """Cells that have forecasts, ascending."""
        names = self._store.names(_ROOT)
        return tuple(sorted({_cell(name) for name in names}, key=lambda cell: (cell.nx, cell.ny)))

    def read(self, cell: Cell, since: datetime | None = None) -> pl.DataFrame:
        """Forecasts of a cell that were issued at `since` or later, ascending by issue and hour.

        Returns:
            `village_table.COLUMNS`; null = not given.

        Raises:
            StorageError: A file cannot be read.
        """
        names = self._store.names(_folder(cell))
        if since is None:
            return pl.concat([_empty(), *(self._file(name) for name in names)])
        young = [name for name in names if name >= _name(cell, f"{since:%Y-%m}")]
        whole = pl.concat([_empty(), *(self._file(name) for name in young)])
        return whole.filter(pl.col(ISSUED) >= since)

    def newest(self, cell: Cell, until: datetime) -> datetime | None:
        """The newest issue of a cell up to `until`, or None.

        Raises:
            StorageError: A file cannot be read.
        """
        for name in reversed(self._store.names(_folder(cell))):
            issued = self._file(name)[ISSUED]
            past = issued.filter(issued <= until)
            if len(past):
                newest: datetime = past[-1]
                return newest
        return None

    def append(self, cell: Cell, frame: pl.DataFrame) -> Appended:
        """Add forecasts and values that are new; the others stay as they are (A1).

        Nothing is written unless every month can be.

        Args:
            cell: Where.
            frame: `ISSUED`, `VALID` and columns of `COLUMNS`, each issue and valid hour once.

        Raises:
            StorageError: A file cannot be read or written.
        """
        appended, files = Appended(), {}
        for (month,), rows in frame.group_by(
            pl.col(ISSUED).dt.strftime("%Y-%m"), maintain_order=True
        ):
            name = _name(cell, str(month))
            old = self._file(name)
            whole, change = _merged(old, _complete(rows))
            appended += change
            if not whole.equals(old):
                files[name] = parquet.encode(whole)
        for name, content in sorted(files.items()):
            self._store.write(name, content)
        return appended

    def _file(self, name: str) -> pl.DataFrame:
        content = self._store.read(name)
        if content is None:
            return _empty()
        try:
            return _complete(parquet.decode(content))
        except (BadData, pl.exceptions.PolarsError) as fault:
            raise StorageError(
                f"lake: {name} is damaged: `trainer ingest --rebuild` mends it from raw answers"
            ) from fault


def _merged(old: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, Appended]:
    both = old.join(new, on=[ISSUED, VALID], how="full", coalesce=True, suffix=_NEW).sort(
        ISSUED, VALID
    )
    whole = both.select(
        ISSUED, VALID, *(pl.coalesce(name, f"{name}{_NEW}").alias(name) for name in _VALUES)
    )
    added = whole.height - old.height
    gains = [pl.col(name).is_null() & pl.col(f"{name}{_NEW}").is_not_null() for name in _VALUES]
    gained = both.select(pl.any_horizontal(gains).sum()).item()
    fresh = new.join(old, on=[ISSUED, VALID], how="anti")
    completed = gained - fresh.filter(pl.any_horizontal(pl.col(_VALUES).is_not_null())).height
    differs = both.select(
        ISSUED,
        VALID,
        *((pl.col(name) != pl.col(f"{name}{_NEW}")).fill_null(value=False) for name in _VALUES),
    )
    differing = int(differs.select(pl.sum_horizontal(pl.col(_VALUES).sum())).item())
    return whole, Appended(added, completed, differing, _first(differs) if differing else "")


def _first(differs: pl.DataFrame) -> str:
    row = differs.filter(pl.any_horizontal(_VALUES)).row(0, named=True)
    name = next(name for name in _VALUES if row[name])
    return f"{name} of {row[VALID]:%Y-%m-%d %H:%M}, issued {row[ISSUED]:%Y-%m-%d %H:%M} UTC"


def _complete(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of `COLUMNS`; what a frame lacks is null (A2)."""
    given = [
        pl.col(name) if name in frame.columns else pl.lit(None, pl.Float64).alias(name)
        for name in _VALUES
    ]
    return frame.select(ISSUED, VALID, *given)


def _folder(cell: Cell) -> str:
    return f"{_ROOT}/nx={cell.nx}/ny={cell.ny}"


def _cell(name: str) -> Cell:
    _, nx, ny, *_ = name.split("/")
    return Cell(int(nx.removeprefix("nx=")), int(ny.removeprefix("ny=")))


def _name(cell: Cell, month: str) -> str:
    return f"{_folder(cell)}/month={month}.parquet"


def _empty() -> pl.DataFrame:
    times = dict.fromkeys((ISSUED, VALID), schema.TIME_DTYPE)
    return pl.DataFrame(schema=times | dict.fromkeys(_VALUES, pl.Float64))
