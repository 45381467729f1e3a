"""Parquet bytes in and out: the same frame always gives the same bytes."""

from __future__ import annotations

import io

import polars as pl

from edge_agent.errors import BadData


def decode(content: bytes) -> pl.DataFrame:
    """Frame from Parquet bytes.

    Raises:
        BadData: Not Parquet, or damaged.
    """
    try:
        return pl.read_parquet(io.BytesIO(content))
    # A damaged page makes polars panic, and a panic is no `Exception`.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
        raise BadData("not a readable Parquet file") from fault


def encode(frame: pl.DataFrame) -> bytes:
    """Parquet bytes of a frame."""
    target = io.BytesIO()
    frame.write_parquet(target, compression="zstd", compression_level=3)
    return target.getvalue()
