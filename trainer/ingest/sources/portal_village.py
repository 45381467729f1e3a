"""Past village forecasts as KMA's data portal hands them out: CSV, one file for each category.

     format: day,hour,forecast,value  location:97_74 Start : 20170601
     1,0200,+4,23.000000
     ...
     Start : 20170701
     1,0200,+4,25.000000

Rules, numbered as the tests name them:
    F1  A block begins with `Start : YYYYMMDD`, of which year and month count. Its rows are day of
        the month and hour of issue (UTC), hours ahead, and value.
    F2  The category is the second part of the file's name: 감천제1동_3시간기온_201706_201707.csv.
    F3  The cell is what `location:` says.
    F4  A row of a day that its month has not, or of an hour without an issue, is left out and told;
        the portal's files have some. More than one in ten is an error (another kind of forecast),
        and so is a line of another form (a damaged file).
    F5  A download that broke off can end in a number that looks whole (19.2 of 19.250000). A last
        line without a line end is an error where its value has other decimals than the one before.
    F6  From the end of a month back to its beginning without a new `Start` is an error: that line
        is lost, and what follows belongs to an unknown month.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.dfs_grid import Cell, cell_at
from edge_agent.contract.errors import BadData, UsageError
from edge_agent.contract.kma_fields import CATEGORIES
from edge_agent.contract.kma_time import YEARS
from trainer.ingest.sources.envelope import clean
from trainer.ingest.sources.portal_csv import encoding_of
from trainer.ingest.sources.village_table import ISSUED, VALID
from trainer.workspace import future_hours

if TYPE_CHECKING:
    from datetime import datetime

VALUE: Final = "value"
_NAMES: Final = {
    "1시간기온": "TMP",
    "3시간기온": "TMP",
    "습도": "REH",
    "풍속": "WSD",
    "풍향": "VEC",
    "동서바람성분": "UUU",
    "남북바람성분": "VVV",
    "하늘상태": "SKY",
    "강수확률": "POP",
    "강수형태": "PTY",
    "1시간강수량": "PCP",
    "6시간강수량": "R06",
    "1시간적설": "SNO",
    "6시간적설": "S06",
    "일최고기온": "TMX",
    "일최저기온": "TMN",
    "파고": "WAV",
}
"""Name of a category in a file's name -> KMA's short name."""
_START: Final = r"Start\s*:\s*([0-9]{8})"
_FORMAT: Final = r"format:\s*(\S+)"
_LOCATION: Final = r"location:\s*([0-9]{1,3})_([0-9]{1,3})\b"
_ROW: Final = r"^(-?[0-9]{1,12}),\s*(-?[0-9]{1,12}),\s*\+?(-?[0-9]{1,12}),\s*([^,]*)$"
_MONTHS_BACK: Final = 20
"""Days; a month that lacks its last or first days jumps by less than 30."""
_DECIMALS: Final = r"\.([0-9]*)$"
_COLUMNS: Final = "day,hour,forecast,value"
_LONGEST_LEAD_H: Final = 240
_ISSUE_HOURS: Final = tuple(range(200, 2400, 300))
_MOST_IMPOSSIBLE: Final = 0.1


class PortalFile(NamedTuple):
    """Rows of one file.

    Attributes:
        column: Of `village_table.COLUMNS`.
        cell: What the file says, or None.
        rows: `ISSUED`, `VALID` (UTC) and `VALUE` as text, in the order of the file.
        notes: What is to be told: rows that were left out (F4).
    """

    column: str
    cell: Cell | None
    rows: pl.DataFrame
    notes: tuple[str, ...]


def is_download(name: str, content: bytes) -> bool:
    """Whether a CSV file is one of past forecasts, by its name or its first lines."""
    head = content[:4096].decode("ascii", "replace")
    return _category(name) in _NAMES or re.search(_START, head) is not None


def parse(name: str, content: bytes, now: datetime | None = None) -> PortalFile:
    """Rows of a download.

    Args:
        name: The file's name as the portal gave it (F2).
        content: The file.
        now: Later issues are refused; None = none is.

    Raises:
        UsageError: The name does not say the category.
        BadData: Not text, a row before the first block, a line that is no row (F4), or an issue
            that is still to come.
    """
    category = _category(name)
    if category not in _NAMES:
        raise UsageError(
            "the file's name does not say which category it holds: give it the name that the "
            f"portal gave it, such as 감천제1동_3시간기온_201706_201707.csv ({', '.join(_NAMES)})"
        )
    text = content.decode(encoding_of(content))
    lines = pl.DataFrame({"line": pl.Series([text]).str.split("\n").explode()}).with_columns(
        pl.col("line").str.strip_chars(), number=pl.int_range(1, pl.len() + 1)
    )
    lines = lines.with_columns(start=pl.col("line").str.extract(_START)).filter(
        pl.col("line") != ""
    )
    heads = lines.filter(pl.col("start").is_not_null())
    rows = lines.with_columns(
        pl.col("start").forward_fill(), block=pl.col("start").is_not_null().cum_sum()
    ).join(heads.select("number"), on="number", how="anti", maintain_order="left")
    _check_heads(heads)
    table, impossible = _timed(rows)
    _check_end(text, rows)
    notes = []
    if impossible.height > _MOST_IMPOSSIBLE * rows.height:
        raise BadData(
            f"{impossible.height} of {rows.height} rows are of no day and hour of a village "
            f"forecast, the first in line {impossible['number'][0]}: village forecasts (단기예보) "
            "are issued at 02, 05, ..., 23 UTC"
        )
    if impossible.height:
        notes.append(
            f"{impossible.height} rows of days or hours that do not exist, the first in line "
            f"{impossible['number'][0]}, are left out"
        )
    if now is not None:
        future_hours.check(table[ISSUED], table["number"], now)
    return PortalFile(
        CATEGORIES[_NAMES[category]], _cell(heads), table.drop("number"), tuple(notes)
    )


def _category(name: str) -> str:
    # macOS takes Hangul of file names apart.
    parts = unicodedata.normalize("NFC", name).split("_")
    return parts[1].replace(" ", "") if len(parts) > 1 else ""


def _check_heads(heads: pl.DataFrame) -> None:
    wrong = heads.filter(_month().is_null() | ~_month().dt.year().is_between(*YEARS))
    if wrong.height:
        raise BadData(f"line {wrong['number'][0]}: {clean(wrong['line'][0])!r} starts no month")
    for line in heads["line"].str.extract(_FORMAT).drop_nulls().unique():
        if line != _COLUMNS:
            raise BadData(f"its columns are {clean(line)!r}, not {_COLUMNS}: no past forecasts")


def _cell(heads: pl.DataFrame) -> Cell | None:
    given = {match.groups() for line in heads["line"] if (match := re.search(_LOCATION, line))}
    if len(given) > 1:
        raise BadData(f"blocks of {len(given)} cells: give a file for each")
    try:
        return cell_at(*map(int, *given)) if given else None
    except UsageError as fault:
        raise BadData(str(fault)) from fault


def _check_end(text: str, rows: pl.DataFrame) -> None:
    """Rule F5."""
    ends = rows["line"].str.extract(_DECIMALS).str.len_chars().fill_null(0)
    if not text.endswith(("\n", "\r")) and rows.height > 1 and ends[-1] != ends[-2]:
        raise BadData(
            f"line {rows['number'][-1]}: {clean(rows['line'][-1])!r} is cut off: download the file "
            "again"
        )


def _check_order(rows: pl.DataFrame) -> None:
    """Rule F6."""
    back = rows.filter(pl.col("day").shift().over("block") - pl.col("day") > _MONTHS_BACK)
    if back.height:
        raise BadData(
            f"line {back['number'][0]}: the day goes back to {back['day'][0]} without a line "
            "`Start : YYYYMMDD`, so its month is not known: download the file again"
        )


def _timed(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with their times, and the lines that are left out (F4)."""
    parts = pl.col("line").str.extract_groups(_ROW).struct
    split = rows.with_columns(parts.rename_fields(["day", "hour", "lead", VALUE])).unnest("line")
    wrong = split.filter(pl.col("day").is_null())
    if wrong.height:
        raise BadData(
            f"line {wrong['number'][0]} is no row of {_COLUMNS}: the file is cut off or damaged; "
            "download it again"
        )
    early = split.filter(pl.col("start").is_null())
    if early.height:
        raise BadData(
            f"line {early['number'][0]} stands before any line `Start : YYYYMMDD`, so its month "
            "is not known: download the file again"
        )
    numbers = split.with_columns(pl.col("day", "hour", "lead").cast(pl.Int64))
    day, hour, lead = pl.col("day"), pl.col("hour"), pl.col("lead")
    sane = (
        day.is_between(1, _month().dt.days_in_month())
        & hour.is_in(_ISSUE_HOURS)
        & lead.is_between(0, _LONGEST_LEAD_H)
    )
    _check_order(numbers.filter(sane))
    issued = _month() + pl.duration(days=day - 1, hours=hour // 100)
    good = numbers.filter(sane).select(
        issued.alias(ISSUED), (issued + pl.duration(hours=lead)).alias(VALID), VALUE, "number"
    )
    return good.cast(dict.fromkeys((ISSUED, VALID), schema.TIME_DTYPE)), numbers.filter(~sane)


def _month() -> pl.Expr:
    """First of the block's month."""
    day = pl.col("start").str.to_datetime("%Y%m%d", time_unit="us", time_zone="UTC", strict=False)
    return day.dt.month_start()
