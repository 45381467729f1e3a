"""Files that unpack to much more than their length are refused before they are unpacked."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData
from edge_agent.contract.farm_identity import Identity
from edge_agent.system import parquet_size
from edge_agent.system.parquet_size import UnpackedLimits
from tests.fakes.clock import FakeClock
from trainer.ingest import farm_files, importer, tables
from trainer.ingest.importer import Import
from trainer.workspace.config import Config
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

HOUR = datetime(2023, 7, 1, 3, tzinfo=UTC)
AIR = schema.AIR_TEMPERATURE
WHOSE = Identity(
    site="hill", device="edge-1", latitude=37.5, longitude=127.0, elevation_m=86.0, source="csv"
)
MEMORY = 10_000_000


def parquet(frame: pl.DataFrame, **options: Any) -> bytes:  # noqa: ANN401 - polars' own
    """The bytes of a Parquet file."""
    target = io.BytesIO()
    frame.write_parquet(target, **options)
    return target.getvalue()


def hours(rows: int, **columns: pl.Expr) -> pl.DataFrame:
    """So many rows of the same hour, with constant columns."""
    return pl.select(
        pl.repeat(HOUR, rows, dtype=schema.TIME_DTYPE).alias("time"),
        *(pl.repeat(value, rows).alias(name) for name, value in columns.items()),
    )


def bombs() -> dict[str, tuple[str, bytes, str]]:
    """Small files of much content, and the words of their refusal."""
    one = pl.lit(1, pl.Int8)
    wide = parquet(pl.DataFrame({"time": [HOUR]} | {f"c{n}": [1] for n in range(1001)}))
    head = f"time,{AIR}\n".encode()
    return {
        "rows": ("a.parquet", parquet(hours(5_000_001, **{AIR: one})), "more than 5.* rows"),
        "columns": ("a.parquet", wide, "more than 1000 columns"),
        "parts": (
            "a.parquet",
            parquet(hours(8000, **{AIR: one}), row_group_size=1),
            "a footer of more than 1000000 bytes",
        ),
        "a text": (
            "a.parquet",
            parquet(hours(1, **{AIR: pl.lit("1" * 2 * MEMORY)})),
            "more than 10000000 bytes of memory",
        ),
        "a text of each row": (
            "a.parquet",
            parquet(hours(200, **{AIR: pl.lit("1" * 100_000)})),
            "more than 10000000 bytes of text",
        ),
        "values": (
            "a.parquet",
            parquet(hours(500_000, **{AIR: one})),
            "more than 10000000 bytes of memory",
        ),
        "empty lines": ("a.csv", head + b"\n" * 5_000_002, "more than 5.* rows"),
        "cells": (
            "a.csv",
            b"time," + ",".join(schema.OBSERVED).encode() + b"\n" + b"\n" * 200_000,
            "more than 10000000 bytes of memory",
        ),
        "a first line": ("a.csv", b"tm" + b",ta" * 5000 + b"\n", "its first line is longer than"),
        "portal rows": ("a.csv", "일시,기온\n".encode() + b"\n" * 5_000_002, "more than 5.* rows"),
    }


def bring(workspace: Workspace, path: Path, whose: str) -> None:
    """`trainer import` or `trainer farm import`."""
    if whose == "station":
        Import(workspace, FakeClock()).bring(path, 108)
    else:
        farm_files.bring(workspace, FakeClock(), path, WHOSE)


@pytest.fixture(scope="module")
def files() -> dict[str, tuple[str, bytes, str]]:
    """`bombs`, made once."""
    return bombs()


CASES = (
    "rows",
    "columns",
    "parts",
    "a text",
    "a text of each row",
    "values",
    "empty lines",
    "cells",
    "a first line",
    "portal rows",
)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("whose", ["station", "farm"])
def test_a_file_that_unpacks_to_too_much_is_refused(
    files: dict[str, tuple[str, bytes, str]],
    case: str,
    whose: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line with the file and the limit; nothing is unpacked, and the lake stays empty."""
    name, content, text = files[case]
    workspace = Workspace(tmp_path / "w", Config())
    path = tmp_path / name
    path.write_bytes(content)
    assert len(content) < 6_000_000
    monkeypatch.setattr(tables, "MAX_MEMORY", MEMORY)
    if case != "a text of each row":
        monkeypatch.setattr(pl, "read_parquet", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(BadData, match=rf"{name}: {text}") as fault:
        bring(workspace, path, whose)
    assert "\n" not in str(fault.value)
    assert not workspace.store.names("")


def test_a_file_longer_than_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`trainer import` reads as many bytes as it may, and no more."""
    monkeypatch.setattr(importer, "MAX_BYTES", 100)
    path = tmp_path / "a.csv"
    path.write_bytes(b"tm,ta\n" + b"2023-07-01 12:00,1\n" * 10)
    with pytest.raises(BadData, match=r"a\.csv: more than 100 bytes"):
        Import(Workspace(tmp_path / "w", Config()), FakeClock()).bring(path, 108)


def test_other_columns_cost_nothing() -> None:
    """A column that is not of ours or KMA's names is neither measured nor read."""
    frame = hours(10, **{AIR: pl.lit(1.0)}).with_columns(remark=pl.lit("x" * 1_000_000))
    assert tables.table("a.parquet", parquet(frame), 10).columns == ["time", AIR]
    parquet_size.check(parquet(frame), UnpackedLimits(10, 10_000), ("time", AIR))
    with pytest.raises(BadData, match="more than 10000 bytes of memory"):
        parquet_size.check(parquet(frame), UnpackedLimits(10, 10_000))


def test_texts_whose_size_only_unpacking_tells_are_refused() -> None:
    """DELTA_BYTE_ARRAY: each row may repeat the text before it at the cost of a byte."""
    content = parquet(pl.DataFrame({"tm": ["2023-07-01 12:00"] * 9}), compression="uncompressed")
    # Field 2 (encoding) of the page header: RLE_DICTIONARY, then DELTA_BYTE_ARRAY.
    assert b"\x15\x10" in content
    changed = content.replace(b"\x15\x10", b"\x15\x0e")
    with pytest.raises(BadData, match="column tm is coded as DELTA_BYTE_ARRAY"):
        tables.table("a.parquet", changed, 10)


def test_every_damaged_byte_is_read_or_refused_in_a_line() -> None:
    """No byte of footer or page header makes the measuring fail in another way."""
    content = parquet(hours(3, **{AIR: pl.lit(1.5)}))
    parquet_size.check(content, UnpackedLimits(3, 10_000))
    refused = 0
    for at in range(len(content)):
        for value in (0, 0x7F, 0xFF, content[at] ^ 1):
            changed = content[:at] + bytes([value]) + content[at + 1 :]
            try:
                parquet_size.check(changed, UnpackedLimits(3, 10_000))
            except BadData as fault:
                refused += 1
                assert "\n" not in str(fault)  # noqa: PT017 - any of them
    assert refused > 100
