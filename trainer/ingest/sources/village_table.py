"""What the village forecast's values mean: categories, Korean time, amounts in words. Pure.

Rules, numbered as the tests name them:
    V1  Times are Korean; a forecast is known by (issue, valid hour); of doubled items the last
        one counts.
    V2  Values of 900 and more, or -900 and less, mean none; so does an empty one.
    V3  Amounts come as text: 강수없음 = 0, "1mm 미만" = 0.5, "30.0~50.0mm" = the middle,
        "50.0mm 이상" = its lower end.
    V4  Categories that are not known here are left out. A value that cannot be read is null, with
        the flag SOURCE in a nowcast; where none of an answer can be read, that is an error.
    V5  Since 2024-11-28 14:00 KST an issue ends with a day of classes (1, 2, 3) in place of amounts
        of rain and snow and of wind speed: they are left out.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.errors import ProtocolFault
from edge_agent.contract.hours import KOREA_OFFSET_H
from edge_agent.contract.kma_fields import CATEGORIES
from edge_agent.contract.schema import TIME, Flag, flag_column
from trainer.ingest.sources.envelope import clean

ISSUED: Final = "issued_at"
VALID: Final = "valid_at"
NOWCAST: Final = {
    "T1H": schema.AIR_TEMPERATURE,
    "REH": schema.RELATIVE_HUMIDITY,
    "WSD": schema.WIND_SPEED,
    "VEC": schema.WIND_FROM_DIRECTION,
    "RN1": schema.RAIN,
}
"""Category of a nowcast -> our column."""

COLUMNS: Final = (ISSUED, VALID, *CATEGORIES.values())
_CLASSES_SINCE: Final = datetime(2024, 11, 28, 5, tzinfo=UTC)
_CLASSES: Final = (schema.RAIN, schema.NEW_SNOW, schema.WIND_SPEED)
_EVENING: Final = 17
"""Issues from this hour (KST) on reach a day further."""
_AMOUNT: Final = re.compile(
    r"(\d+(?:\.\d+)?)(?:mm|cm)?(?:~(\d+(?:\.\d+)?)(?:mm|cm)?)?(미만|이상)?", re.ASCII
)
_NUMBER: Final = re.compile(r"[+-]?\d{1,9}(?:\.\d*)?", re.ASCII)
_NONE: Final = ("강수없음", "적설없음")


def forecasts(rows: pl.DataFrame) -> pl.DataFrame:
    """Forecast rows as a table.

    Args:
        rows: `sources.village.Page.rows` of one or more pages.

    Returns:
        `COLUMNS`: issue and valid time (UTC) and a column for each category (Float64, null = not
        given), ascending; one row for each issue and valid hour (V1).
    """
    return without_classes(_wide(rows, CATEGORIES).select(COLUMNS).fill_nan(None))


def without_classes(table: pl.DataFrame) -> pl.DataFrame:
    """The table with null where KMA gives a class in place of an amount (V5).

    Args:
        table: Columns of `COLUMNS`, or some of them beside `ISSUED` and `VALID`.
    """
    issued, valid = (pl.col(name).dt.offset_by(f"{KOREA_OFFSET_H}h") for name in (ISSUED, VALID))
    days = (valid.dt.date() - issued.dt.date()).dt.total_days()
    last = pl.when(issued.dt.hour() < _EVENING).then(3).otherwise(4)
    classes = (pl.col(ISSUED) >= _CLASSES_SINCE) & (days >= last)
    return table.with_columns(
        pl.when(~classes).then(pl.col(name)).alias(name)
        for name in _CLASSES
        if name in table.columns
    )


def nowcast(rows: pl.DataFrame) -> pl.DataFrame:
    """Nowcast rows as observations.

    Args:
        rows: `sources.village.Page.rows`.

    Returns:
        What `kma_fields.tidy` returns: `time`, quantities, flags; what a nowcast has not is null
        and MISSING. Rain is that of one hour, in winter too.
    """
    wide = _wide(rows, NOWCAST)
    values = [
        pl.col(name) if name in wide.columns else pl.lit(None, pl.Float64).alias(name)
        for name in schema.OBSERVED
    ]
    frame = wide.select(pl.col(VALID).alias(TIME), *values)
    return frame.with_columns(
        pl.when(pl.col(name).is_null())
        .then(pl.lit(Flag.MISSING, pl.UInt8))
        .when(pl.col(name).is_nan())
        .then(pl.lit(Flag.SOURCE, pl.UInt8))
        .otherwise(pl.lit(Flag.GOOD, pl.UInt8))
        .alias(flag_column(name))
        for name in schema.OBSERVED
    ).fill_nan(None)


def unreadable(rows: pl.DataFrame) -> list[str]:
    """Category and text of each value of a known category that cannot be read."""
    known = rows.filter(pl.col("category").is_in([*CATEGORIES, *NOWCAST]))
    return [
        f"{category} {clean(text)!r}"
        for category, text in known.select("category", "value").iter_rows()
        if _is_nan(_amount_or_nan(text))
    ]


def amount(text: str) -> float | None:
    """Number that a value stands for (V2, V3), or None where it stands for none.

    Raises:
        ProtocolFault: Neither a number nor one of KMA's wordings.
    """
    compact = text.replace(" ", "")
    if compact in _NONE:
        return 0.0
    if compact in {"", "-"}:
        return None
    if _NUMBER.fullmatch(compact):
        value = float(compact)
        return value if -900.0 < value < 900.0 else None
    match = _AMOUNT.fullmatch(compact)
    if match is None:
        raise ProtocolFault(f"village forecast service: unreadable value {clean(text)!r}")
    low, high = float(match[1]), float(match[2] or match[1])
    return low / 2 if match[3] == "미만" else (low + high) / 2


def _wide(rows: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """One row for each issue and valid time (UTC), a Float64 column for each name."""
    chosen = rows.filter(pl.col("category").is_in(list(names)))
    numbers = [_amount_or_nan(text) for text in chosen["value"]]
    if numbers and all(map(_is_nan, numbers)):
        # Raises what is wrong with it (V4).
        amount(chosen["value"][0])
    values = pl.Series("number", numbers, dtype=pl.Float64)
    return (
        chosen.with_columns(values, *(_utc(name) for name in ("issue", "valid")))
        .group_by("issue", "valid")
        .agg(
            pl.col("number").filter(pl.col("category") == category).last().alias(name)
            for category, name in names.items()
        )
        .sort("issue", "valid")
        .rename({"issue": ISSUED, "valid": VALID})
    )


def _amount_or_nan(text: str) -> float | None:
    try:
        return amount(text)
    except ProtocolFault:
        return math.nan


def _is_nan(number: float | None) -> bool:
    return number is not None and math.isnan(number)


def _utc(name: str) -> pl.Expr:
    return (
        (pl.col(name) - pl.duration(hours=KOREA_OFFSET_H))
        .dt.replace_time_zone("UTC")
        .cast(schema.TIME_DTYPE)
    )
