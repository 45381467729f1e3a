"""The weather that the demo runs on: a file, KMA itself, or a generated climate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from demo.climate import generate
from demo.places import SEOUL
from edge_agent.contract.errors import BadData, InputMissing
from edge_agent.contract.hours import KST
from edge_agent.contract.stations import Station, station

if TYPE_CHECKING:
    from pathlib import Path

GENERATED_FROM: Final = datetime(2020, 1, 15, 1)  # noqa: DTZ001 - KMA's naive Korean time
GENERATED_TO: Final = datetime(2025, 1, 15, 23)  # noqa: DTZ001 - KMA's naive Korean time
LIVE_YEARS: Final = 4


@dataclass(frozen=True, slots=True)
class Weather:
    """Observations and the present moment of the demo.

    Attributes:
        frame: Rows in KMA's names for the stand-in to serve; None where KMA itself is asked.
        place: Station.
        first: First Korean day.
        today: Logical date: the day after the last whole day.
        words: Where it is from, for people.
    """

    frame: pl.DataFrame | None
    place: Station
    first: date
    today: date
    words: str

    @property
    def now(self) -> datetime:
        """Time of the agent's cycle: half past midnight in Korea, as UTC."""
        return (datetime.combine(self.today, time(0, 30), KST)).astimezone(UTC)


def from_file(path: Path) -> Weather:
    """Real observations from Parquet in KMA's names.

    Raises:
        InputMissing: No such file.
        BadData: Not Parquet, or without `station` and `tm`.
    """
    try:
        frame = pl.read_parquet(path)
    except FileNotFoundError as fault:
        raise InputMissing(f"{path}: no such file; give DATA=path/to/file.parquet") from fault
    except pl.exceptions.PolarsError as fault:
        raise BadData(f"{path}: not a Parquet file: {str(fault).splitlines()[0]}") from fault
    if not {"station", "tm", "ta", "hm"} <= set(frame.columns) or frame.height == 0:
        raise BadData(f"{path}: rows with the columns station, tm, ta, hm are needed")
    number = int(frame["station"][0])
    return _served(frame.filter(pl.col("station") == number), number, f"observations of {path}")


def generated() -> Weather:
    """Five years of generated climate, not observed anywhere."""
    frame = generate([SEOUL], GENERATED_FROM, GENERATED_TO, seed=7)
    return _served(
        frame, SEOUL.station, "a GENERATED climate (no file was given, no KMA key is set)"
    )


def live(today: date) -> Weather:
    """Observations of KMA's own service, up to yesterday."""
    first = today - timedelta(days=365 * LIVE_YEARS)
    return Weather(None, station(SEOUL.station), first, today, "KMA's service, with your key")


def _served(frame: pl.DataFrame, number: int, words: str) -> Weather:
    times = frame["tm"]
    newest: datetime = times.max()  # type: ignore[assignment]  # a datetime column
    oldest: datetime = times.min()  # type: ignore[assignment]  # a datetime column
    # The day of the newest row is whole only when its 23:00 is there.
    today = newest.date() + timedelta(days=1 if newest.hour == 23 else 0)
    return Weather(frame, station(number), oldest.date(), today, words)
