"""Parquet bytes in and out: the same frame always gives the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl

from edge_agent.contract.errors import BadData

if TYPE_CHECKING:
    from collections.abc import Collection


def decode(
    content: bytes, rows: int | None = None, columns: Collection[str] | None = None
) -> pl.DataFrame:
    """Frame from Parquet bytes.

    Args:
        content: The file.
        rows: So many of the first ones; None = all.
        columns: Those of these names that it has; None = all.

    Raises:
        BadData: Not Parquet, or damaged.
    """
    try:
        present = pl.read_parquet_schema(io.BytesIO(content)) if columns is not None else ()
        chosen = None if columns is None else [name for name in present if name in columns]
        return pl.read_parquet(io.BytesIO(content), n_rows=rows, columns=chosen)
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
