"""The archive of forecasts: rows that grow, values that never change, files of before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import StorageError
from edge_agent.contract.schema import TIME_DTYPE
from tests.fakes.portal_village import utc
from trainer.ingest.guidance import Appended, Archive
from trainer.ingest.sources.village_table import COLUMNS, ISSUED, VALID
from trainer.workspace import parquet
from trainer.workspace.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

CELL = Cell(97, 74)
AIR, RAIN_6H = "air_temperature_c", "rain_6h_mm"
ISSUE = utc(2018, 3, 31, 23)
NAME = "guidance/nx=97/ny=74/month=2018-03.parquet"


def forecast(
    issued: datetime, leads: Sequence[int], **values: Sequence[float | None]
) -> pl.DataFrame:
    """Some columns of an issue."""
    return pl.DataFrame(
        {ISSUED: issued, VALID: [issued + timedelta(hours=lead) for lead in leads], **values},
        schema_overrides={ISSUED: TIME_DTYPE, VALID: TIME_DTYPE},
    )


def test_categories_of_one_hour_become_one_row() -> None:
    """A file each; the second completes rows of the first and adds its own (A1)."""
    archive = Archive(MemoryStore())
    first = archive.append(CELL, forecast(ISSUE, [4, 7], **{AIR: [1.0, 2.0]}))
    second = archive.append(CELL, forecast(ISSUE, [7, 10], **{RAIN_6H: [5.0, 0.0]}))
    assert (first, second) == (Appended(added=2), Appended(added=1, completed=1))
    rows = archive.read(CELL)
    assert rows.columns == list(COLUMNS)
    assert rows.select(AIR, RAIN_6H).rows() == [(1.0, None), (2.0, 5.0), (None, 0.0)]


def test_the_order_of_files_changes_no_byte() -> None:
    """Rows are sorted, columns are those of the archive."""
    parts = [
        forecast(ISSUE, [4, 7], **{AIR: [1.0, 2.0]}),
        forecast(ISSUE, [7, 10], **{RAIN_6H: [5.0, 0.0]}),
        forecast(ISSUE - timedelta(hours=3), [7], sky_code=[3.0]),
    ]
    contents = []
    for order in (parts, parts[::-1]):
        store = MemoryStore()
        for part in order:
            Archive(store).append(CELL, part)
        contents.append(store.read(NAME))
    assert contents[0] == contents[1]


def test_a_value_stays_and_another_is_counted() -> None:
    """The first of the differing values is named; a null is no value (A1)."""
    archive = Archive(MemoryStore())
    archive.append(CELL, forecast(ISSUE, [4, 7], **{AIR: [1.0, 2.0]}))
    other = forecast(ISSUE, [4, 7], **{AIR: [None, 3.0], "sky_code": [1.0, None]})
    done = archive.append(CELL, other)
    assert done == Appended(
        completed=1,
        differing=1,
        first=f"{AIR} of 2018-04-01 06:00, issued 2018-03-31 23:00 UTC",
    )
    assert archive.read(CELL)[AIR].to_list() == [1.0, 2.0]
    assert archive.append(CELL, other) == Appended(differing=1, first=done.first)


def test_a_file_with_fewer_columns_is_read_and_completed() -> None:
    """What it lacks is null; a write completes its columns (A2)."""
    store = MemoryStore()
    before = COLUMNS[:-2]
    old = forecast(ISSUE, [4], **{name: [1.0] for name in before[2:]}).select(before)
    store.write(NAME, parquet.encode(old))
    archive = Archive(store)
    assert archive.read(CELL).columns == list(COLUMNS)
    assert archive.read(CELL)[RAIN_6H].to_list() == [None]
    assert archive.newest(CELL, ISSUE) == ISSUE
    assert archive.newest(CELL, ISSUE - timedelta(hours=1)) is None
    assert archive.cells() == (CELL,)
    archive.append(CELL, forecast(ISSUE, [4], **{RAIN_6H: [5.0]}))
    (row,) = parquet.decode(store.read(NAME) or b"").rows(named=True)
    assert (row[AIR], row[RAIN_6H]) == (1.0, 5.0)


def test_nothing_is_written_where_one_month_is_damaged() -> None:
    """All months of a file, or none."""
    store = MemoryStore()
    store.write(NAME, b"rot")
    april = forecast(utc(2018, 4, 1, 2), [4], **{AIR: [1.0]})
    both = pl.concat([april, forecast(ISSUE, [4], **{AIR: [1.0]})])
    with pytest.raises(StorageError, match=r"month=2018-03\.parquet is damaged"):
        Archive(store).append(CELL, both)
    assert store.names("guidance") == (NAME,)
