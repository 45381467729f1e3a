"""Parquet bytes in and out: the same frame always gives the same bytes."""

from __future__ import annotations

import io

import polars as pl

from edge_agent.errors import BadData


def decode(content: bytes, rows: int | None = None) -> pl.DataFrame:
    """Frame from Parquet bytes; its first `rows`, or all of them.

    Raises:
        BadData: Not Parquet, or damaged.
    """
    try:
        return pl.read_parquet(io.BytesIO(content), n_rows=rows)
    # A damaged page makes polars panic, and a panic is no `Exception`.
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
