"""Files of past observations and of KMA's past forecasts: Parquet or CSV, KMA's names or ours.

Rules, numbered as the tests name them:
    H1  Observations have `tm` (Korean time) and KMA's fields, or `time` (UTC) and our quantities.
        Forecasts have `issued_at`, `valid_at` (UTC) and KMA's categories in small letters (`tmp`,
        `reh`, ...), or our columns.
    H2  Of an hour that stands in several files the last value that is known counts, column by
        column.
    H3  Of a file with several stations the rows of the wanted one are taken. A file of one station
        is taken as it is: the caller says for which place. Where its number is another than that of
        the relayed station, a warning says so.
    H4  Of forecasts the columns of `bundles.GUIDANCE` are read. Sums of six hours (`r06`, `s06`)
        are never taken for hourly amounts.
    H5  Rain without a QC flag is dry where it is blank, also between November and March: that the
        amount of three hours comes later is not known yet at that hour (K6 of `kma_fields` looks
        up to two hours ahead).
    H6  What a file has and a replay cannot use is told as a warning with the file's name: a target
        without any value, values beyond their quantity's limits, rows that stand twice and differ.
"""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import kma_fields
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.errors import BadData, InputMissing, StorageError
from edge_agent.contract.schema import (
    OBSERVED,
    TIME,
    TIME_DTYPE,
    flag_column,
)
from edge_agent.observations import bundles
from edge_agent.replay import history_warnings
from edge_agent.system import parquet_size
from edge_agent.system.parquet_size import UnpackedLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from edge_agent.contract.schema import Site

_log = logging.getLogger(__name__)

MAX_BYTES: Final = 200_000_000
MAX_ROWS: Final = 5_000_000
"""Of a file: sixty years of ten stations, or five years of a cell's forecasts."""
_MAX_MEMORY: Final = 1_000_000_000
_BYTES_A_CELL: Final = 16
"""Of a text in memory."""
_HEADER: Final = 10_000
"""Longest first line of a CSV file, in bytes."""
_STATION: Final = ("station", "stnId")
_RAIN_FLAG: Final = kma_fields.QC_FIELDS["rn"]
_OURS: Final = frozenset({TIME, *OBSERVED, *map(flag_column, OBSERVED)})
_KMA: Final = frozenset(
    {kma_fields.TIME_FIELD, *kma_fields.NAMES, *kma_fields.QC_FIELDS.values(), *_STATION}
)
_TIMES: Final = {ISSUED: ISSUED, VALID: VALID, "issued_at": ISSUED, "valid_at": VALID}
_VALUES: Final = tuple(name for name in GUIDANCE.names() if name not in {ISSUED, VALID})
_CATEGORIES: Final = {
    category.lower(): name for category, name in kma_fields.CATEGORIES.items() if name in GUIDANCE
} | {name: name for name in _VALUES}
_LONGEST: Final = pl.duration(days=10)
"""From an issue to the last hour that it can have."""


def observations(
    paths: Sequence[Path], station: int, site: Site, *, relayed: bool = False
) -> pl.DataFrame:
    """Hours of one place from files, joined (H1 to H3, H6).

    Args:
        paths: Files, at least one.
        station: Whose rows are taken, where a file has several stations.
        site: Where the observations are from, for sunshine at night.
        relayed: The files are said to be of `station`, and not of sensors near it.

    Returns:
        `time` and every quantity of `schema.OBSERVED`, ascending, one row an hour; null = missing.

    Raises:
        InputMissing: No such file.
        StorageError: A file cannot be read.
        BadData: A file is not what its name says, too large, or has no such rows.
    """
    frames = []
    for path in paths:
        frame = _table(path, _OURS | _KMA)
        try:
            rows = _of_station(frame, station)
            others = _stations(rows) if relayed else []
            frame = _hours(rows, site)
        except BadData as fault:
            raise BadData(f"{path}: {fault}") from fault
        if others and station not in others:
            _log.warning("%s: has hours of station %s: taken for %d", path, others[0], station)
        history_warnings.of_observations(path, rows, frame)
        frames.append(bundles.hourly(frame, str(path)))
    return _joined(frames, (TIME,))


def guidance(paths: Sequence[Path]) -> pl.DataFrame:
    """KMA's forecasts of one cell from files, joined (H1, H2, H4, H6).

    Args:
        paths: Files, at least one.

    Returns:
        Columns of `contract.bundles.GUIDANCE`, ascending, one row for each issue and valid hour;
        null = not given.

    Raises:
        InputMissing: No such file.
        StorageError: A file cannot be read.
        BadData: A file is not what its name says, too large, or has no such rows.
    """
    frames = []
    for path in paths:
        frame = _table(path, {*_TIMES, *_CATEGORIES})
        try:
            rows, frame = frame, _forecasts(frame)
        except BadData as fault:
            raise BadData(f"{path}: {fault}") from fault
        history_warnings.of_guidance(path, rows, frame)
        frames.append(bundles.guidance(frame, str(path)))
    return _joined(frames, (ISSUED, VALID))


def _joined(frames: Sequence[pl.DataFrame], key: tuple[str, ...]) -> pl.DataFrame:
    if len(frames) == 1:
        return frames[0]
    rows = pl.concat(frames).group_by(key, maintain_order=True)
    return rows.agg(pl.all().drop_nulls().last()).sort(key)


def _stations(frame: pl.DataFrame) -> list[int | None]:
    """Numbers of the stations of a file; none where it has no such column."""
    column = next((name for name in _STATION if name in frame.columns), None)
    return (
        []
        if column is None
        else frame[column].cast(pl.Int64, strict=False).unique().sort().to_list()
    )


def _of_station(frame: pl.DataFrame, station: int) -> pl.DataFrame:
    """Rule H3."""
    given = _stations(frame)
    if station in given:
        column = next(name for name in _STATION if name in frame.columns)
        return frame.filter(frame[column].cast(pl.Int64, strict=False) == station)
    if len(given) > 1:
        few = ", ".join(map(str, given[:5]))
        raise BadData(f"has rows of stations {few}, and none of {station}: name it with --station")
    return frame


def _hours(frame: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Rule H1 for observations."""
    if TIME in frame.columns:
        return _numbers(_utc(frame, TIME, TIME), OBSERVED)
    if kma_fields.TIME_FIELD not in frame.columns:
        raise BadData(f"no column {kma_fields.TIME_FIELD} (KMA's names) or {TIME} (ours)")
    if not set(kma_fields.NAMES) & set(frame.columns):
        raise BadData(f"no column of {', '.join(kma_fields.NAMES)}")
    flag = pl.col(_RAIN_FLAG).cast(pl.String) if _RAIN_FLAG in frame.columns else pl.lit("")
    return kma_fields.tidy(frame.with_columns(flag.fill_null("").alias(_RAIN_FLAG)), site)


def _forecasts(frame: pl.DataFrame) -> pl.DataFrame:
    """Rules H1 and H4 for forecasts."""
    names: dict[str, str] = {}
    for name in frame.columns:
        known = _TIMES.get(name) or _CATEGORIES[name]
        if known in names.values():
            raise BadData(f"column {name} stands twice, under another name as well")
        names[name] = known
    frame = frame.rename(names)
    if not {ISSUED, VALID} <= set(frame.columns):
        raise BadData(
            "no columns issued_at and valid_at; files of KMA's portal go through `trainer import`, "
            "which makes such files in the lake"
        )
    if not set(_VALUES) & set(frame.columns):
        raise BadData("no column of tmp, reh, ..., or of ours")
    labels = {known: name for name, known in names.items()}
    for name in (ISSUED, VALID):
        frame = _utc(frame, name, labels[name])
    frame = _numbers(frame, _VALUES)
    sane = (pl.col(VALID) - pl.col(ISSUED)).is_between(pl.duration(hours=0), _LONGEST)
    wrong = frame.select((~sane).fill_null(value=True)).to_series().arg_true()
    if wrong.len():
        issued, valid = frame.select(ISSUED, VALID).row(wrong[0])
        raise BadData(f"row {wrong[0] + 1}: issued {issued}, valid {valid}: that is no forecast")
    return frame


def _utc(frame: pl.DataFrame, name: str, label: str) -> pl.DataFrame:
    """A column of times in UTC; errors name it by the label, as the file does."""
    dtype = frame.schema[name]
    if dtype == pl.String:
        time = pl.col(name).str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
        frame = frame.with_columns(time)
    elif not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        raise BadData(f"column {label} must be UTC: a type with a time zone, or ISO 8601 with Z")
    return frame.with_columns(pl.col(name).dt.convert_time_zone("UTC").cast(TIME_DTYPE))


def _numbers(frame: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
    """Texts of a CSV file as numbers; a blank is null."""
    for name in names:
        if name in frame.columns and frame.schema[name] == pl.String:
            text = frame[name].str.strip_chars()
            number = text.cast(pl.Float64, strict=False)
            wrong = (number.is_null() & (text != "")).arg_true()
            if wrong.len():
                raise BadData(f"column {name} holds {text[wrong[0]][:30]!r}, which is no number")
            frame = frame.with_columns(number.alias(name))
        elif name in frame.columns and not frame.schema[name].is_numeric():
            dtype = frame.schema[name]
            if dtype != pl.Null:
                raise BadData(f"column {name} is of {dtype}: numbers are needed")
    flags = [flag_column(name) for name in names if flag_column(name) in frame.columns]
    return frame.with_columns(pl.col(flags).cast(pl.UInt8, strict=False))


def _table(path: Path, columns: Collection[str]) -> pl.DataFrame:
    """Those of the columns that a file has, measured before it is read; texts where it is CSV."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as fault:
        raise InputMissing(f"{path}: no such file") from fault
    except IsADirectoryError as fault:
        raise InputMissing(f"{path}: is a folder: name the files in it") from fault
    except OSError as fault:
        raise StorageError(f"{path}: cannot be read: {fault.strerror}") from fault
    if len(content) > MAX_BYTES:
        raise BadData(f"{path}: more than {MAX_BYTES} bytes")
    kind = path.suffix.lower()
    if kind not in {".parquet", ".csv"}:
        raise BadData(f"{path}: unknown kind of file: give .parquet or .csv")
    try:
        return _parquet(content, columns) if kind == ".parquet" else _csv(content, columns)
    except BadData as fault:
        raise BadData(f"{path}: {fault}") from fault
    # A damaged page makes polars panic, which is no `Exception`.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
        raise BadData(f"{path}: not a readable {kind[1:]} file") from fault


def _parquet(content: bytes, columns: Collection[str]) -> pl.DataFrame:
    parquet_size.check(content, UnpackedLimits(MAX_ROWS, _MAX_MEMORY), columns)
    there = pl.read_parquet_schema(io.BytesIO(content))
    return pl.read_parquet(io.BytesIO(content), columns=[name for name in there if name in columns])


def _csv(content: bytes, columns: Collection[str]) -> pl.DataFrame:
    if b"\n" not in content[:_HEADER] and len(content) > _HEADER:
        raise BadData(f"its first line is longer than {_HEADER} bytes")
    rows = content.count(b"\n")
    if rows > MAX_ROWS or rows * len(columns) * _BYTES_A_CELL + len(content) > _MAX_MEMORY:
        raise BadData("more rows than can be read: give Parquet, or a part of it")
    # What the farm's export writes first is a comment.
    head = pl.read_csv(io.BytesIO(content), infer_schema=False, n_rows=0, comment_prefix="#")
    chosen = [name for name in head.columns if name in columns]
    if not chosen:
        return pl.DataFrame()
    return pl.read_csv(io.BytesIO(content), infer_schema=False, columns=chosen, comment_prefix="#")
