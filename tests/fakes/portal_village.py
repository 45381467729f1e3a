"""Downloads of past village forecasts as KMA's data portal writes them, byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Row = tuple[int, int, int, float]
"""Day, hour (UTC) and hours ahead, and value."""


def name(category: str, months: str = "201706_201707") -> str:
    """A file's name."""
    return f"감천제1동_{category}_{months}.csv"


def text(blocks: Sequence[tuple[str, Iterable[Row]]], cell: str = "97_74") -> str:
    """A file of blocks: `YYYYMMDD` of the start, and rows. The first has the words of a header."""
    lines = []
    for at, (start, rows) in enumerate(blocks):
        head = f"format: day,hour,forecast,value  location:{cell} " if at == 0 else ""
        lines.append(f" {head}Start : {start} ")
        lines += [f" {day},{hour:02}00,+{lead},{value:.6f} " for day, hour, lead, value in rows]
    return "\n".join(lines) + "\n"


def days(first: int, last: int, value: float, leads: Sequence[int] = (4, 7, 10)) -> list[Row]:
    """Every issue of some days, each value at each lead."""
    return [
        (day, hour, lead, value)
        for day in range(first, last + 1)
        for hour in range(2, 24, 3)
        for lead in leads
    ]


def write(folder: Path, category: str, rows: Iterable[Row], start: str = "20170601") -> Path:
    """A file of one block in a folder."""
    path = folder / name(category)
    path.write_bytes(text([(start, rows)]).encode())
    return path


def utc(*parts: int) -> datetime:
    """A time in UTC."""
    year, month, day, hour = parts
    return datetime(year, month, day, hour, tzinfo=UTC)
