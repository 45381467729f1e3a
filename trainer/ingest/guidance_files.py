"""Files of past village forecasts into the archive: CSV of KMA's data portal, Parquet.

raw/guidance/97074/00000001_9f86d081884c7d65.gz   a file as it came, by cell (nx * 1000 + ny)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_agent.contract.dfs_grid import Cell, cell_of
from edge_agent.contract.errors import BadData, UsageError
from edge_agent.system.parquet_size import UnpackedLimits
from trainer.ingest import tables
from trainer.ingest.sources import past_forecasts, portal_village
from trainer.ingest.sources.village_table import COLUMNS, ISSUED, VALID
from trainer.workspace import future_hours, parquet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import polars as pl

    from trainer.workspace.raw import RawStore

FILES: Final = "guidance"
"""Folder of the raw store with the files that were brought in."""
MAX_ROWS: Final = 5_000_000
"""Of a CSV file, five years of one category are 1.1 million."""
_CSV_COLUMNS: Final = 32
"""Texts and numbers of a line in memory while it is read: 500 bytes, as measured."""
_PLACE: Final = ("latitude", "longitude")
"""Columns of a Parquet file that tell its cell, where it has both."""
_READ: Final = {ISSUED, VALID, *_PLACE, *past_forecasts.FIELDS, *COLUMNS}


@dataclass(frozen=True, slots=True)
class PastForecasts:
    """What a file holds.

    Attributes:
        cell: Whose forecasts they are.
        rows: `ISSUED`, `VALID` and columns of `COLUMNS`; one row each.
        notes: What is to be told of it.
    """

    cell: Cell
    rows: pl.DataFrame
    notes: tuple[str, ...]


class KeptForecasts(NamedTuple):
    """Rows of a file of the raw store, and when it was brought in."""

    received: datetime
    rows: pl.DataFrame


def is_guidance(name: str, content: bytes) -> bool:
    """Whether a file is one of past forecasts.

    Args:
        name: File name; its ending tells the kind.
        content: The file; CSV in UTF-8 or cp949.

    Raises:
        BadData: A Parquet file that is damaged or too large.
    """
    kind = name.lower()
    if kind.endswith(".parquet"):
        names = parquet.columns(content, UnpackedLimits(MAX_ROWS, tables.MAX_MEMORY))
        return {ISSUED, VALID} <= set(names)
    return kind.endswith(".csv") and portal_village.is_download(name, content)


def read(
    name: str, content: bytes, cell: Cell | None, now: datetime | None = None
) -> PastForecasts:
    """Rows of a file. Pure.

    Args:
        name: File name; of a CSV file it tells the category.
        content: The file; CSV in UTF-8 or cp949.
        cell: Whose forecasts they are; None = the file says it.
        now: Later issues are refused; None = none is.

    Raises:
        UsageError: The cell or the category is not known.
        BadData: Not such a file, too large, of another cell, or an issue is still to come.
    """
    if name.lower().endswith(".parquet"):
        parts, said = _parquet(content, now)
        notes: list[str] = []
    else:
        tables.check_csv(content, MAX_ROWS, _CSV_COLUMNS)
        file = portal_village.parse(name, content, now)
        parts = {file.column: (file.rows, portal_village.VALUE)}
        said, notes = file.cell, list(file.notes)
    if said is not None and cell is not None and said != cell:
        raise BadData(f"it is of cell {said}, not {cell}")
    whose = cell or said
    if whose is None:
        raise UsageError(
            "the file does not say its cell: name it with --cell NX,NY or --place LAT,LON"
        )
    table: pl.DataFrame | None = None
    for column, (frame, value) in parts.items():
        one, told = past_forecasts.tidy(frame, column, value)
        notes += told
        table = (
            one if table is None else table.join(one, on=[ISSUED, VALID], how="full", coalesce=True)
        )
    if table is None or not table.height:
        raise BadData("no forecast in it")
    return PastForecasts(whose, table.sort(ISSUED, VALID), tuple(notes))


def kept(raw: RawStore, number: int) -> Iterator[KeptForecasts]:
    """Rows of every file of a cell that was brought in, oldest first.

    Args:
        raw: Where they are kept.
        number: Of the cell's folder.
    """
    for _, answer, body in raw.since(FILES, number, 0):
        file = read(answer.query["file"], tables.in_utf8(body), cell_of_folder(number))
        yield KeptForecasts(answer.received, file.rows)


def digests(raw: RawStore) -> set[str]:
    """SHA-256 of every file that was brought in."""
    return {
        raw.read(name)[0].sha256
        for number in raw.places(FILES)
        for _, name in raw.names(FILES, number)
    }


def folder_of_cell(cell: Cell) -> int:
    """Number of a cell's folder in the raw store."""
    return cell.nx * 1000 + cell.ny


def cell_of_folder(number: int) -> Cell:
    """The cell of a raw folder's number."""
    return Cell(*divmod(number, 1000))


def _parquet(
    content: bytes, now: datetime | None
) -> tuple[dict[str, tuple[pl.DataFrame, str]], Cell | None]:
    """Each category with its column's name, and the cell of the place that the file tells."""
    limits = UnpackedLimits(MAX_ROWS, tables.MAX_MEMORY)
    frame = past_forecasts.times(parquet.decode(content, limits, _READ))
    if now is not None:
        future_hours.check(frame[ISSUED], tables.lines_from(2, frame), now)
    fields = past_forecasts.FIELDS | {name: name for name in COLUMNS[2:]}
    parts: dict[str, tuple[pl.DataFrame, str]] = {}
    for name in frame.columns:
        if name in {ISSUED, VALID, *_PLACE}:
            continue
        if fields[name] in parts:
            raise BadData(f"column {name} stands twice, as {parts[fields[name]][1]} as well")
        parts[fields[name]] = frame.select(ISSUED, VALID, name), name
    if not parts:
        raise BadData(f"no column of {', '.join(past_forecasts.FIELDS)}")
    return parts, _cell(frame)


def _cell(frame: pl.DataFrame) -> Cell | None:
    if not set(_PLACE) <= set(frame.columns):
        return None
    cells = {cell_of(*place) for place in frame.select(_PLACE).drop_nulls().unique().iter_rows()}
    if len(cells) > 1:
        raise BadData(f"forecasts of {len(cells)} cells: give a file for each")
    return next(iter(cells), None)
