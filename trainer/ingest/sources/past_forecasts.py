"""What values of files of past village forecasts mean. Pure.

Rules, numbered as the tests name them:
    P1  KMA archives single precision, so that 20.2 can stand as 20.200001: values are rounded to a
        thousandth, and equal what the service gave.
    P2  A value beyond what its category can be is none (`LIMITS`); so are KMA's codes for missing
        ones (-99, 99, -50, -1, 900 and more). A category whose limits hold 99 can be 99. Where more
        than one in ten is beyond the limits and no such code, the file is of another category or
        unit, and is refused: the others would be as wrong.
    P3  TMX belongs to 06 UTC (15 KST) and TMN to 21 UTC (06 KST), as in the service. Where an issue
        has them 4, 7 and 10 hours ahead instead, these are the first, second and third such hour
        that is at least 4 hours ahead. Measured on the issues of 2017 to 2020 of Busan: the
        extremes of the issues' own temperatures lie a mean 0.98 (TMX) and 0.45 K (TMN) from it.
    P4  Of rows of one issue and hour the last one counts; that there were others is told. Where
        that is more than one hour in ten, months were taken for another one: the file is refused.
    P5  Days of classes in place of amounts are left out (`village_table`, V5).
    P6  Times are UTC. Temperatures that are highest in Korea's night, over ten days or more, stand
        in Korean time, and the file is refused: nine hours off they would spoil the archive.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData, at_line
from edge_agent.contract.kma_fields import CATEGORIES
from edge_agent.contract.kma_time import YEARS
from trainer.ingest.sources.village_table import ISSUED, VALID, without_classes

FIELDS: Final = {
    name.lower(): CATEGORIES[name]
    for name in ("TMP", "REH", "WSD", "VEC", "SKY", "POP", "PTY", "R06", "S06", "TMX", "TMN")
}
"""Column of a Parquet file of past forecasts -> ours."""

_TEMPERATURE: Final = (-49.9, 50.0)
_SPEED: Final = (-75.0, 75.0)
LIMITS: Final = {
    CATEGORIES["TMP"]: _TEMPERATURE,
    CATEGORIES["TMX"]: _TEMPERATURE,
    CATEGORIES["TMN"]: _TEMPERATURE,
    CATEGORIES["REH"]: (0.0, 100.0),
    CATEGORIES["POP"]: (0.0, 100.0),
    CATEGORIES["WSD"]: (0.0, 75.0),
    CATEGORIES["UUU"]: _SPEED,
    CATEGORIES["VVV"]: _SPEED,
    CATEGORIES["VEC"]: (0.0, 360.0),
    CATEGORIES["SKY"]: (1.0, 4.0),
    CATEGORIES["PTY"]: (0.0, 7.0),
    CATEGORIES["PCP"]: (0.0, 200.0),
    CATEGORIES["SNO"]: (0.0, 98.0),
    CATEGORIES["R06"]: (0.0, 600.0),
    CATEGORIES["S06"]: (0.0, 98.0),
    CATEGORIES["WAV"]: (0.0, 30.0),
}
"""Column -> lowest and highest value that it can have (P2)."""

_CODES: Final = (-99.0, 99.0, -50.0, -1.0)
_LEAST_CODE: Final = 900.0
_MOST_WRONG: Final = 0.1
"""Share of a file that can be damage; more is a file of something else."""
_FEW: Final = 100
"""Rows of a file that say nothing of its kind."""

_NIGHT: Final = (11, 20)
"""First and last hour, UTC, that is the warmest on no average of days in Korea (20 to 05 KST)."""
_DAYS: Final = 10

_HOUR: Final = {CATEGORIES["TMX"]: 6, CATEGORIES["TMN"]: 21}
_PLACES: Final = (4, 7, 10)


def times(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with its times as the archive has them.

    Raises:
        BadData: `ISSUED` or `VALID` without a time zone, no full hour, or the hour before the
            issue.
    """
    for name in (ISSUED, VALID):
        dtype = frame.schema[name]
        if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
            raise BadData(f"column {name} must be of times with a time zone")
    utc = frame.with_columns(
        pl.col(name).dt.convert_time_zone("UTC").cast(schema.TIME_DTYPE) for name in (ISSUED, VALID)
    )
    sane = (
        pl.col(ISSUED).dt.year().is_between(*YEARS)
        & (pl.col(ISSUED).dt.truncate("1h") == pl.col(ISSUED))
        & (pl.col(VALID).dt.truncate("1h") == pl.col(VALID))
        & (pl.col(VALID) - pl.col(ISSUED)).is_between(pl.duration(hours=0), pl.duration(days=10))
    )
    wrong = utc.select((~sane).fill_null(value=True)).to_series().arg_true()
    if wrong.len():
        issued, valid = utc.select(ISSUED, VALID).row(wrong[0])
        raise BadData(
            f"{at_line(wrong[0] + 2)}: issued {issued}, valid {valid}: no full hours of a forecast"
        )
    return utc


def tidy(rows: pl.DataFrame, column: str, value: str) -> tuple[pl.DataFrame, list[str]]:
    """Values of one category.

    Args:
        rows: `ISSUED`, `VALID` and values, text or numbers; null = not given.
        column: Of `LIMITS`.
        value: Name of the column with the values.

    Returns:
        `ISSUED`, `VALID` and `column`, one row each, without nulls; and what to tell of it.

    Raises:
        BadData: Values of another category (P2), daily extremes whose day cannot be known (P3), two
            months under one name (P4), or Korean times (P6).
    """
    low, high = LIMITS[column]
    number = pl.col(value).cast(pl.Float32, strict=False).cast(pl.Float64).round(3)
    given = rows.filter(pl.col(value).is_not_null())
    good = (
        given.select(ISSUED, VALID, number.alias(column))
        .filter(pl.col(column).is_between(low, high))
        .with_columns(pl.col(column) + 0.0)
    )
    _check_kind(given, column, number)
    notes = []
    if good.height < given.height:
        bad = given.height - good.height
        notes.append(
            f"{bad} of {given.height} values of {column} are codes for missing ones, or none of "
            f"{low:g} to {high:g}, and are left out"
        )
    if column == schema.AIR_TEMPERATURE:
        _check_zone(good)
    placed = without_classes(_placed(good, column)).drop_nulls(column)
    once = placed.unique([ISSUED, VALID], keep="last", maintain_order=True)
    doubled = placed.unique().height - once.height
    if doubled:
        if doubled > max(_FEW, _MOST_WRONG * once.height):
            raise BadData(
                f"{doubled} of {once.height} rows stand twice with another {column}: months of "
                "several files or years under one name; give each file as the portal gave it"
            )
        stand = "a row stands" if doubled == 1 else f"{doubled} rows stand"
        notes.append(f"{stand} twice with another {column}, of which the last counts")
    return once, notes


def _check_kind(given: pl.DataFrame, column: str, number: pl.Expr) -> None:
    """Rule P2."""
    low, high = LIMITS[column]
    beyond = given.select(number.alias(column)).filter(
        ~pl.col(column).is_between(low, high)
        & ~pl.col(column).is_in(_CODES)
        & (pl.col(column).abs() < _LEAST_CODE)
    )
    if beyond.height > max(_FEW, _MOST_WRONG * given.height):
        raise BadData(
            f"{beyond.height} of {given.height} values of {column} are not within {low:g} to "
            f"{high:g} (the first: {beyond[column][0]:g}): another category, or another unit"
        )


def _check_zone(rows: pl.DataFrame) -> None:
    """Rule P6."""
    means = (
        rows.group_by(pl.col(VALID).dt.hour().alias("hour"))
        .agg(
            pl.col(schema.AIR_TEMPERATURE).mean(), pl.col(VALID).dt.date().n_unique().alias("days")
        )
        .filter(pl.col("days") >= _DAYS)
        .sort(schema.AIR_TEMPERATURE)
    )
    # An hour or two of the day say nothing of its course.
    if means.height >= len(_PLACES) and _NIGHT[0] <= means["hour"][-1] <= _NIGHT[1]:
        raise BadData(
            f"it is warmest at {means['hour'][-1]:02} h: its times are Korean, and UTC is needed"
        )


def _placed(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Daily extremes at the hour that they belong to (P3); others as they are."""
    if column not in _HOUR:
        return rows
    hour = _HOUR[column]
    elsewhere = (pl.col(VALID).dt.hour() != hour).any().over(pl.col(ISSUED).dt.truncate("1mo"))
    lead = (pl.col(VALID) - pl.col(ISSUED)).dt.total_hours()
    unknown = rows.filter(elsewhere & ~lead.is_in(_PLACES))
    if unknown.height:
        issued, valid = unknown.select(ISSUED, VALID).row(0)
        raise BadData(
            f"{column} issued {issued:%Y-%m-%d %H:%M} stands at {valid:%Y-%m-%d %H:%M} UTC, which "
            "is neither its hour of the day nor a place in a list of days: its day is not known"
        )
    earliest = pl.col(ISSUED) + pl.duration(hours=_PLACES[0])
    # The first such hour that is not before `earliest`.
    first = (earliest - pl.duration(hours=hour + 1)).dt.truncate("1d") + pl.duration(
        days=1, hours=hour
    )
    placed = first + pl.duration(days=(lead - _PLACES[0]) // 3)
    moved = pl.when(elsewhere).then(placed).otherwise(pl.col(VALID))
    return rows.with_columns(moved.cast(schema.TIME_DTYPE).alias(VALID))
