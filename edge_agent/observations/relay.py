"""The depot's observations of one station: Parquet bytes -> an hourly frame. Pure.

The bytes come signed; what is checked here is that they are what was agreed.
"""

from __future__ import annotations

import io
from typing import Final

import polars as pl

from edge_agent.contract.quality import KEPT
from edge_agent.contract.schema import OBSERVED, TIME, TIME_DTYPE, flag_column
from edge_agent.errors import BadData

MAX_BYTES: Final = 8_000_000
MAX_ROWS: Final = 24 * 400
"""More than a year of hours has no place in a bundle of the newest ones."""


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
    if len(content) > max_bytes:
        raise BadData(f"{name}: {len(content)} bytes, more than the limit of {max_bytes}")
    try:
        frame = pl.read_parquet(io.BytesIO(content), n_rows=max_rows + 1)
        if TIME not in frame.columns:
            raise BadData(f"{name}: has no column {TIME}")
        if frame.height > max_rows:
            raise BadData(f"{name}: more than {max_rows} rows")
        frame = frame.select(
            pl.col(TIME).cast(TIME_DTYPE), *(_value(frame, quantity) for quantity in OBSERVED)
        )
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise BadData(f"{name}: not the Parquet that was agreed: {_line(fault)}") from fault
    time = pl.col(TIME)
    if frame.select((time.is_null() | (time.dt.truncate("1h") != time)).any()).item():
        raise BadData(f"{name}: a time is missing or not a full hour")
    return frame.unique(TIME, keep="last", maintain_order=True).sort(TIME)


def _value(frame: pl.DataFrame, quantity: str) -> pl.Expr:
    if quantity not in frame.columns:
        return pl.lit(None, pl.Float64).alias(quantity)
    value = pl.col(quantity).cast(pl.Float64)
    trusted = value.is_finite()
    if flag_column(quantity) in frame.columns:
        flag = pl.col(flag_column(quantity))
        trusted = trusted & (flag.is_null() | flag.is_in(KEPT))
    return pl.when(trusted).then(value).alias(quantity)


def _line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:200]
