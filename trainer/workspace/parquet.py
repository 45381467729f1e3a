"""Parquet bytes in and out: the same frame always gives the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl

from edge_agent.contract.errors import BadData
from edge_agent.system import parquet_size

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_agent.system.parquet_size import UnpackedLimits


def decode(
    content: bytes, limits: UnpackedLimits | None = None, columns: Collection[str] | None = None
) -> pl.DataFrame:
    """Frame from Parquet bytes.

    Args:
        content: The file.
        limits: A larger file is refused before it is unpacked; None = any, for files of our own.
        columns: Those of these names that it has; None = all.

    Raises:
        BadData: Not Parquet, damaged, larger than `limits`, or, with limits, a column that is
            neither numbers, text nor times.
    """
    if limits is not None:
        parquet_size.check(content, limits, columns)
    try:
        present = pl.read_parquet_schema(io.BytesIO(content)) if columns is not None else {}
        chosen = None if columns is None else [name for name in present if name in columns]
        if limits is not None and chosen is not None:
            _check_types({name: present[name] for name in chosen})
        frame = pl.read_parquet(io.BytesIO(content), columns=chosen)
    # A damaged page makes polars panic, and a panic is no `Exception`.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
        raise BadData("not a readable Parquet file") from fault
    if limits is not None:
        _check_texts(frame, limits)
    return frame


def _check_types(columns: dict[str, pl.DataType]) -> None:
    for name, dtype in columns.items():
        if not (dtype.is_numeric() or dtype.is_temporal() or dtype in {pl.String, pl.Null}):
            raise BadData(f"column {name} is of {dtype}: numbers are needed")


def _check_texts(frame: pl.DataFrame, limits: UnpackedLimits) -> None:
    # Rows share the one copy of a repeated text until something works on them.
    texts = frame.select(pl.col(pl.String).str.len_bytes().cast(pl.Int64).sum())
    if sum(texts.row(0) if texts.width else ()) > limits.memory:
        raise BadData(f"more than {limits.memory} bytes of text")


def columns(content: bytes, limits: UnpackedLimits) -> tuple[str, ...]:
    """Names of the columns of Parquet bytes; unpacks none.

    Raises:
        BadData: Not Parquet, damaged, or more rows or columns than `limits` allow.
    """
    parquet_size.check(content, limits, ())
    try:
        return tuple(pl.read_parquet_schema(io.BytesIO(content)))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
        raise BadData("not a readable Parquet file") from fault


def encode(frame: pl.DataFrame) -> bytes:
    """Parquet bytes of a frame."""
    target = io.BytesIO()
    frame.write_parquet(target, compression="zstd", compression_level=3)
    return target.getvalue()


def metadata(content: bytes) -> dict[str, str]:
    """Key and value pairs that Parquet bytes carry beside their rows.

    Raises:
        BadData: Not Parquet, or damaged.
    """
    try:
        return pl.read_parquet_metadata(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
        raise BadData("not a readable Parquet file") from fault
