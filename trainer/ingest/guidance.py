"""Archive of KMA's own forecasts by time of issue and valid hour.

    guidance/nx=60/ny=127/month=2022-11.parquet   rows of `village_table.COLUMNS`, by month of issue

KMA forgets an issue after two days, so rows are added and never changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData, StorageError
from trainer.ingest.sources.village_table import COLUMNS, ISSUED, VALID
from trainer.workspace import parquet

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.contract.dfs_grid import Cell
    from trainer.workspace.store import Store


class Archive:
    """Forecasts by cell and issue.

    Args:
        store: Where the files lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, cell: Cell, since: datetime | None = None) -> pl.DataFrame:
        """Forecasts of a cell that were issued at `since` or later, ascending by issue and hour.

        Raises:
            StorageError: A file cannot be read.
        """
        names = self._store.names(_folder(cell))
        if since is None:
            return pl.concat([_empty(), *(self._file(name) for name in names)])
        young = [name for name in names if name >= _name(cell, f"{since:%Y-%m}")]
        whole = pl.concat([_empty(), *(self._file(name) for name in young)])
        return whole.filter(pl.col(ISSUED) >= since)

    def newest(self, cell: Cell) -> datetime | None:
        """The newest issue of a cell.

        Raises:
            StorageError: A file cannot be read.
        """
        names = self._store.names(_folder(cell))
        return self._file(names[-1])[ISSUED][-1] if names else None

    def append(self, cell: Cell, frame: pl.DataFrame) -> int:
        """Add forecasts that are new; the others stay as they are.

        Args:
            cell: Where.
            frame: As `village_table.forecasts` returns.

        Returns:
            Rows added.
        """
        added = 0
        months = frame[ISSUED].dt.strftime("%Y-%m")
        for month in sorted(months.unique()):
            name = _name(cell, month)
            old = self._file(name)
            fresh = frame.filter(months == month).join(old, on=[ISSUED, VALID], how="anti")
            if fresh.height:
                whole = pl.concat([old, fresh.select(COLUMNS)]).sort(ISSUED, VALID)
                self._store.write(name, parquet.encode(whole))
                added += fresh.height
        return added

    def _file(self, name: str) -> pl.DataFrame:
        content = self._store.read(name)
        if content is None:
            return _empty()
        try:
            return parquet.decode(content).select(COLUMNS)
        except (BadData, pl.exceptions.ColumnNotFoundError) as fault:
            raise StorageError(
                f"lake: {name} is damaged: `trainer ingest --rebuild` mends it from raw answers"
            ) from fault


def _folder(cell: Cell) -> str:
    return f"guidance/nx={cell.nx}/ny={cell.ny}"


def _name(cell: Cell, month: str) -> str:
    return f"{_folder(cell)}/month={month}.parquet"


def _empty() -> pl.DataFrame:
    times = dict.fromkeys((ISSUED, VALID), schema.TIME_DTYPE)
    return pl.DataFrame(schema=times | dict.fromkeys(COLUMNS[2:], pl.Float64))
