"""KMA's Korean times, as its services and people's spreadsheets write them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.errors import BadData, at_line

if TYPE_CHECKING:
    from collections.abc import Sequence

YEARS: Final = (1900, 2100)
"""Years that a time may lie in; KMA's records begin in 1904."""

# Not \d, which takes digits of every script.
_USUAL: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} (?:[01][0-9]|2[0-3]):00$"
_DIGITS: Final = r"^([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})?$"
_TEXT: Final = (
    r"^(?<year>[0-9]{4})[-/.] ?(?<month>[0-9]{1,2})[-/.] ?(?<day>[0-9]{1,2})\.?[ T]+"
    r"(?:(?<half>오전|오후) ?)?(?<hour>[0-9]{1,2})"
    r"(?::(?<minute>[0-9]{0,2})(?::[0-9]{2}(?:\.[0-9]+)?)?)?$"
)


def read_time(column: pl.Series) -> pl.Series:
    """Naive Korean times of KMA's `tm`.

    Args:
        column: Naive Datetime, or text: "2024-01-31 13:00", also with slashes or points, with
            seconds, without minutes, as digits alone ("2024013113"), with 24:00 as the end of a
            day, or in Excel's Korean form ("2024-01-31 오후 1:00").

    Raises:
        BadData: One of them is unreadable or not a full hour.
    """
    times, full = _times(column)
    if not full.all():
        sample = str(column.filter(~full).cast(pl.String)[0])[:30]
        raise BadData(f"observations: tm {sample!r} is not a full hour like 2024-01-31 13:00")
    return times


def read_times(column: pl.Series, lines: Sequence[int] | pl.Series) -> pl.Series:
    """As `read_time`; `lines` has each one's line in its file, which the error names."""
    times, full = _times(column)
    for at in (~full).arg_true()[:1]:
        try:
            read_time(column[at : at + 1])
        except BadData as fault:
            raise BadData(f"{at_line(lines[at])}: {fault}") from fault
    return times


def is_full_hour(column: pl.Series) -> pl.Series:
    """Which of KMA's `tm` `read_time` can read, as Boolean."""
    return _times(column)[1]


def _times(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Naive Korean times, and which of them are full hours."""
    given = pl.lit(column)
    if column.dtype == pl.String:
        text = given.str.strip_chars()
        usual = text.str.contains(_USUAL)
        read = pl.coalesce(
            pl.when(usual)
            .then(text)
            .str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", strict=False),
            # Ten times slower.
            _read_texts(pl.when(~usual).then(text).str.replace(_DIGITS, "$1-$2-$3 $4:$5")),
        )
    elif isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is None:
        read = given.cast(pl.Datetime("us"))
    else:
        raise BadData(f"observations: tm is {column.dtype}; give KST text or naive times")
    full = (read.dt.truncate("1h") == read) & read.dt.year().is_between(*YEARS)
    times, whole = pl.select(times=read, full=full.fill_null(value=False)).get_columns()
    return times, whole


def _read_texts(text: pl.Expr) -> pl.Expr:
    parts = text.str.extract_groups(_TEXT)
    year, month, day, half, hour, minute = (
        parts.struct.field(name) for name in ("year", "month", "day", "half", "hour", "minute")
    )
    date = pl.concat_str([year, month, day], separator="-")
    midnight = date.str.to_datetime("%Y-%m-%d", time_unit="us", strict=False)
    hours, minutes = hour.cast(pl.Int64), minute.cast(pl.Int64, strict=False).fill_null(0)
    of_half = pl.when(hours.is_between(1, 12)).then(hours % 12 + 12 * (half == "오후"))
    hours = pl.when(half.is_null()).then(hours).otherwise(of_half)
    return pl.when(hours <= 24, minutes == 0).then(midnight + pl.duration(hours=hours))
