"""Bundles that the depot relays to a farm: their paths, and Parquet bytes -> frames. Pure.

The depot client has verified the signatures; this module checks the content.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.bundles import (
    GUIDANCE,
    GUIDANCE_RANGES,
    GUIDED,
    ISSUED,
    VALID,
    cell_path,
    station_path,
)
from edge_agent.contract.dfs_grid import Cell, cell_of
from edge_agent.contract.errors import BadData, UsageError
from edge_agent.contract.quality import KEPT
from edge_agent.contract.schema import OBSERVED, TIME, TIME_DTYPE, flag_column
from edge_agent.system import parquet_size
from edge_agent.system.parquet_size import UnpackedLimits

if TYPE_CHECKING:
    from edge_agent.settings import Device

MAX_BYTES: Final = 8_000_000
MAX_ROWS: Final = 24 * 400
"""More than a year of hours; bundles hold the newest ones."""

_BYTES_A_ROW: Final = 2048
"""Of all columns of a row, unpacked: twice what every quantity with its flag takes."""


def cell(device: Device) -> Cell | None:
    """The cell of KMA's forecast grid that a farm lies in; None outside Korea."""
    try:
        return cell_of(device.latitude, device.longitude)
    except UsageError:
        return None


def sources(device: Device) -> dict[str, str]:
    """Relayed sources of a farm, the better first: name in the store -> target path in the depot.

    A station's measurements come before the nowcasts of the grid cell, which are an analysis. With
    station 0 the farm has only the nowcasts.
    """
    paths = {}
    here = cell(device)
    if device.station or here is None:
        paths[f"station:{device.station}"] = station_path(device.station)
    if here is not None:
        paths[f"cell:{here}"] = cell_path(here)
    return paths


def read(
    content: bytes, name: str, *, max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS
) -> pl.DataFrame:
    """Hourly frame of a bundle.

    Args:
        content: Parquet with `time` and quantities of `contract.schema`; a column
            `<quantity>_flag` marks values that the sender does not trust, which become null.
        name: What to call the bundle in errors.
        max_bytes: Longer content is refused unread.
        max_rows: More rows are refused.

    Returns:
        `time` and every quantity of `schema.OBSERVED`, ascending, one row an hour.

    Raises:
        BadData: Not Parquet, too large, without `time`, or with times that are no full hours.
    """
    return hourly(_parquet(content, name, max_bytes, max_rows), name)


def hourly(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Hourly frame of the rows of a bundle: see `read`.

    Raises:
        BadData: Without `time`, or with times that are no full hours.
    """
    if TIME not in frame.columns:
        raise BadData(f"{name}: has no column {TIME}")
    try:
        frame = frame.select(
            pl.col(TIME).cast(TIME_DTYPE), *(_value(frame, quantity) for quantity in OBSERVED)
        )
    except pl.exceptions.PolarsError as fault:
        raise _bad_format(name, fault) from fault
    _check_hours(frame, (TIME,), name)
    return frame.unique(TIME, keep="last", maintain_order=True).sort(TIME)


def read_guidance(content: bytes, name: str) -> pl.DataFrame:
    """Forecasts of a bundle of guidance.

    Args:
        content: Parquet with columns of `contract.bundles.GUIDANCE`; others are ignored, and an
            absent column of a value is null.
        name: What to call the bundle in errors.

    Returns:
        Those columns, ascending, one row for each issue and valid hour. A value that is no number
        or outside of the quantity's plausible range is null: the relay signs any number.

    Raises:
        BadData: Not Parquet, too large, without issue or hour, or with times that are no full
            hours.
    """
    return guidance(_parquet(content, name, MAX_BYTES, MAX_ROWS), name)


def guidance(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Forecasts of the rows of a bundle of guidance: see `read_guidance`.

    Raises:
        BadData: Without issue or hour, or with times that are no full hours.
    """
    try:
        frame = frame.select(
            pl.col(ISSUED, VALID),
            *(_value(frame, name) for name in GUIDED),
        ).cast(GUIDANCE)
    except pl.exceptions.PolarsError as fault:
        raise _bad_format(name, fault) from fault
    _check_hours(frame, (ISSUED, VALID), name)
    plausible = (
        pl.when(pl.col(name).is_between(low, high)).then(pl.col(name)).alias(name)
        for name, (low, high) in GUIDANCE_RANGES.items()
    )
    return (
        frame.with_columns(plausible)
        .unique((ISSUED, VALID), keep="last", maintain_order=True)
        .sort(ISSUED, VALID)
    )


def _parquet(content: bytes, name: str, max_bytes: int, max_rows: int) -> pl.DataFrame:
    if len(content) > max_bytes:
        raise BadData(f"{name}: {len(content)} bytes, more than the limit of {max_bytes}")
    try:
        parquet_size.check(content, UnpackedLimits(max_rows, max_rows * _BYTES_A_ROW))
        return pl.read_parquet(io.BytesIO(content))
    except BadData as fault:
        raise BadData(f"{name}: {fault}") from fault
    # A damaged page makes polars panic, which is no `Exception`.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
        raise _bad_format(name, fault) from fault


def _check_hours(frame: pl.DataFrame, times: tuple[str, ...], name: str) -> None:
    time = pl.col(times)
    wrong = time.is_null() | (time.dt.truncate("1h") != time)
    if frame.select(pl.any_horizontal(wrong).any()).item():
        raise BadData(f"{name}: a time is missing or not a full hour")


def _bad_format(name: str, fault: BaseException) -> BadData:
    return BadData(f"{name}: not the Parquet that was agreed: {_line(fault)}")


def _value(frame: pl.DataFrame, quantity: str) -> pl.Expr:
    if quantity not in frame.columns:
        return pl.lit(None, pl.Float64).alias(quantity)
    value = pl.col(quantity).cast(pl.Float64)
    trusted = value.is_finite()
    if flag_column(quantity) in frame.columns:
        flag = pl.col(flag_column(quantity))
        trusted = trusted & (flag.is_null() | flag.is_in(KEPT))
    return pl.when(trusted).then(value).alias(quantity)


def _line(fault: BaseException) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:200]
