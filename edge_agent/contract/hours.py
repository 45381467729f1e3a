"""Full hours since 1970, and hours and days of Korea. Pure.

Korea Standard Time is UTC+9; there was no daylight saving since 1988.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

KOREA_OFFSET_H: Final = 9
KST: Final = timezone(timedelta(hours=KOREA_OFFSET_H))
"""Korea Standard Time."""

_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def start_of_hour(moment: datetime) -> datetime:
    """The full hour at or before a moment, in its own zone."""
    return moment.replace(minute=0, second=0, microsecond=0)


def hour_of(moment: datetime) -> int:
    """Full hours since 1970 at an aware time, rounded down."""
    return (moment - _EPOCH) // _HOUR


def time_of(hour: int) -> datetime:
    """The UTC time of an hour that `hour_of` counted."""
    return _EPOCH + hour * _HOUR


def korean_date(moment: datetime) -> date:
    """Calendar day in Korea at an aware time."""
    return moment.astimezone(KST).date()


def korean_midnight(day: date) -> datetime:
    """UTC time at which a day begins in Korea."""
    return datetime.combine(day, time(), KST).astimezone(UTC)


def korean_clock(times: pl.Series) -> pl.Series:
    """UTC times moved by nine hours: `.dt.hour()` and `.dt.date()` are then those of Korea."""
    return times.dt.offset_by(f"{KOREA_OFFSET_H}h")
