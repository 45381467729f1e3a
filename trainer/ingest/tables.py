"""Files of hourly rows -> tidy frames: Parquet, or CSV as text; rows in our own names."""

from __future__ import annotations

import codecs
import io
import logging
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import kma_fields, kma_time, schema
from edge_agent.contract.errors import BadData, InputMissing, StorageError, at_line
from edge_agent.contract.schema import TIME, Flag, flag_column
from edge_agent.system.parquet_size import UnpackedLimits
from trainer.workspace import future_hours, parquet

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

_log = logging.getLogger(__name__)
MAX_MEMORY: Final = 1_000_000_000
"""Most bytes that the columns of a file may take, unpacked."""
_BYTES_A_CELL: Final = 16
"""Of a text in memory, besides the text itself where it is longer than 12 bytes."""
_HEADER: Final = 10_000
"""Longest first line of a CSV file, in bytes: a column costs two of them, and 1 kB."""
_OURS: Final = frozenset({TIME, *schema.OBSERVED, *map(flag_column, schema.OBSERVED)})
STATION_NAMES: Final = ("station", "stnId")
_READ: Final = (
    _OURS
    | {kma_fields.TIME_FIELD, *kma_fields.NAMES, *kma_fields.QC_FIELDS.values()}
    | frozenset(STATION_NAMES)
)
"""Columns that are read; what else a file has costs nothing."""


def content_of(path: Path, most: int) -> bytes:
    """A file's bytes.

    Args:
        path: The file.
        most: Longest that is read.

    Raises:
        InputMissing: No such file.
        BadData: It is longer than `most`.
        StorageError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (FileNotFoundError, IsADirectoryError) as fault:
        raise InputMissing(f"{path}: no such file") from fault
    except OSError as fault:
        raise StorageError(f"{path}: cannot be read: {fault.strerror}") from fault
    if len(content) > most:
        raise BadData(f"{path}: more than {most} bytes")
    return content


def table(name: str, content: bytes, rows: int) -> pl.DataFrame:
    """Rows of a file, with its columns in our or KMA's names; every value of a CSV file as text.

    The file is measured before it is read: rows, columns, and the memory that its columns take.

    Args:
        name: File name; its ending tells the kind.
        content: The file.
        rows: Most that it may have.

    Raises:
        BadData: Not readable as what the name says, more than `rows`, or more than `MAX_MEMORY`.
    """
    if name.lower().endswith(".parquet"):
        return parquet.decode(content, UnpackedLimits(rows, MAX_MEMORY), _READ)
    if name.lower().endswith(".csv"):
        return _csv(content, rows)
    raise BadData("unknown kind of file: give .parquet or .csv")


def check_csv(content: bytes, rows: int, columns: int) -> None:
    """Refuse a CSV file that is larger than it may be, before it is read.

    Args:
        content: The file.
        rows: Most rows below the header.
        columns: How many are read.

    Raises:
        BadData: More rows, a first line that is too long, or more memory than `MAX_MEMORY`.
    """
    if b"\n" not in content[:_HEADER] and len(content) > _HEADER:
        raise BadData(f"its first line is longer than {_HEADER} bytes")
    # A quoted line break counts as a row: no measurement has one.
    lines = content.count(b"\n") + (not content.endswith(b"\n"))
    if lines - 1 > rows:
        raise BadData(f"more than {rows} rows")
    if lines * columns * _BYTES_A_CELL + len(content) > MAX_MEMORY:
        raise BadData(f"more than {MAX_MEMORY} bytes of memory, unpacked")


def in_utf8(content: bytes) -> bytes:
    """Text in UTF-16, as Excel saves it ("Unicode text"), in UTF-8; any other as it is.

    Raises:
        BadData: The mark at its beginning says UTF-16, and it is not.
    """
    if not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content
    try:
        return content.decode("utf-16").encode()
    except UnicodeDecodeError as fault:
        raise BadData("not a readable CSV file in UTF-16") from fault


def separator(content: bytes) -> str:
    """What separates the cells of a CSV file: a tab where its first lines have no comma."""
    head = content[:4096]
    return "\t" if b"\t" in head and b"," not in head else ","


def _csv(content: bytes, rows: int) -> pl.DataFrame:
    check_csv(content, rows, 1)
    try:
        parted = separator(content)
        head = pl.read_csv(
            io.BytesIO(content), infer_schema=False, n_rows=0, separator=parted
        ).columns
        columns = [name for name in head if name in _READ]
        check_csv(content, rows, len(columns))
        if not columns:
            return pl.DataFrame()
        # Everything as text: the translation decides what a number is, and drops nothing silently.
        frame = pl.read_csv(
            io.BytesIO(content),
            infer_schema=False,
            empty_string_is_null=False,
            columns=columns,
            separator=parted,
        )
        blank = pl.all_horizontal(pl.all().fill_null("").str.strip_chars() == "")
        # Spreadsheets close a file with rows of commas.
        filled = frame.select(~blank).to_series().arg_true()
        return frame.head(filled[-1] + 1 if filled.len() else 0)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
        raise BadData("not a readable CSV file in UTF-8") from fault


def ours(
    frame: pl.DataFrame, *, lines: pl.Series | None = None, now: datetime | None = None
) -> pl.DataFrame:
    """Rows in our own names, tidy: `time`, quantities, flags; ascending, the last row of an hour.

    Args:
        frame: `time` in UTC (text ISO 8601 with Z or offset, or aware Datetime) and quantities.
        lines: Of each row in its file, for texts; None: the header is line 1.
        now: Later hours are refused; None = none is.

    Raises:
        BadData: No time or quantity, one that is of no numbers, or a time that is no full hour or
            still to come; the text says where.
    """
    if TIME not in frame.columns:
        raise BadData(f"no column {TIME}")
    if not set(schema.OBSERVED) & set(frame.columns):
        raise BadData(f"no column of {', '.join(schema.OBSERVED[:3])}, ...")
    for name in sorted(_OURS & set(frame.columns) - {TIME}):
        dtype = frame.schema[name]
        if not dtype.is_numeric() and dtype not in {pl.String, pl.Null}:
            raise BadData(f"column {name} is of {dtype}: numbers are needed")
    lines = lines_from(2, frame) if lines is None else lines
    times = _times(frame[TIME], lines)
    if now is not None:
        future_hours.check(times, lines, now)
    columns: list[pl.Expr] = [pl.lit(times).alias(TIME)]
    for name in schema.OBSERVED:
        given = pl.col(name) if name in frame.columns else pl.lit(None, pl.Float64)
        if name in frame.columns and frame.schema[name] == pl.String:
            given = pl.when(given.str.strip_chars() != "").then(given.str.strip_chars())
        number = given.cast(pl.Float64, strict=False)
        value = pl.when(number.is_finite()).then(number)
        stated = pl.lit(None, pl.UInt8)
        if flag_column(name) in frame.columns:
            stated = pl.col(flag_column(name)).cast(pl.UInt8, strict=False)
        flag = (
            pl.when(value.is_null())
            .then(pl.when(given.is_not_null()).then(Flag.SOURCE).otherwise(Flag.MISSING))
            .otherwise(Flag.GOOD)
        )
        kept = value.is_null() & stated.is_in([Flag.GOOD, Flag.ACCUMULATED])
        columns += [
            value.alias(name),
            pl.when(kept)
            .then(flag)
            .otherwise(pl.coalesce(stated, flag))
            .cast(pl.UInt8)
            .alias(flag_column(name)),
        ]
    return frame.select(columns).unique(TIME, keep="last", maintain_order=True).sort(TIME)


def lines_from(first: int, frame: pl.DataFrame) -> pl.Series:
    """Numbers of a table's rows in its file, `first` that of the first one."""
    return pl.int_range(first, first + frame.height, eager=True)


def warn_of_no_numbers(
    frame: pl.DataFrame, lines: pl.Series, columns: Iterable[str], whose: str
) -> None:
    """Log what is neither blank nor a number: for each column the count, and the first one.

    Args:
        frame: Rows as a file has them.
        lines: Of each row in the file.
        columns: Those of numbers; what the frame lacks is passed over.
        whose: What the rows are of, which the text begins with.
    """
    for name in columns:
        if name not in frame.columns:
            continue
        given = frame[name]
        blank = given.is_null()
        if given.dtype == pl.String:
            blank |= given.str.strip_chars() == ""
            given = given.str.strip_chars()
        number = given.cast(pl.Float64, strict=False)
        wrong = (~blank & ~number.is_finite().fill_null(value=False)).arg_true()
        if wrong.len():
            _log.warning(
                "%s: column %s: %d of %d values are no number and are left out; the first is %r "
                "in %s",
                *(whose, name, wrong.len(), frame.height - blank.sum()),
                *(str(given[wrong[0]])[:30], at_line(lines[wrong[0]])),
            )


def _times(given: pl.Series, lines: pl.Series) -> pl.Series:
    time = given
    if time.dtype == pl.String:
        time = time.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    if not isinstance(time.dtype, pl.Datetime) or time.dtype.time_zone is None:
        raise BadData(f"{TIME} must be UTC: ISO 8601 with Z, or a type with a time zone")
    time = time.dt.convert_time_zone("UTC").cast(schema.TIME_DTYPE)
    early, late = kma_time.YEARS
    good = time.dt.year().is_between(early, late) & (time.dt.truncate("1h") == time)
    wrong = (~good.fill_null(value=False)).arg_max() if len(good) else None
    if wrong is not None and not good[wrong]:
        raise BadData(
            f"{at_line(lines[wrong])}: {TIME} {str(given[wrong])[:40]!r} is no full hour like "
            "2024-01-31T04:00:00Z or 2024-01-31T13:00:00+09:00"
        )
    return time
