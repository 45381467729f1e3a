"""Hourly grid and causal checks: a value that fails becomes null with a flag, never another value.

Every rule looks at the hour itself and at hours before it, never after it: the agent judges the
newest hour with what it has, so the trainer must judge each hour with no more. All rules are
bounded: a frame that begins `LOOKBACK_HOURS` earlier gives the same flags for the hours it shares.

Rules, in this order; the first that hits gives the flag:
    Q1  missing       no row, null or NaN                                   MISSING (or SOURCE)
    Q2  range         outside the plausible range of `schema.QUANTITIES`    RANGE
    Q3  consistency   dew point above air temperature by more than rounding INCONSISTENT
    Q4  step          further than `step_per_hour` from every value of the  STEP
                      three hours before; a lone spike fails, the value after it agrees with
                      the one before it and passes, a real front is confirmed an hour later
    Q5  stuck         `stuck_hours` equal values in a row, this one last    STUCK

The kinds of check are those of WMO-No. 488, Guide to the Global Observing System, appendix VI.2
(plausible value, time consistency with maximum and minimum variability, internal consistency).
The figures are this project's: six years of Seoul and five of Yeonggwang hold no temperature run of
more than 7 equal hours and no step above 7.5 C; humidity stays at 100 % for up to 18 hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.schema import QUANTITIES, TIME, Flag, flag_column
from edge_agent.errors import BadData

if TYPE_CHECKING:
    from datetime import datetime

STEP_HOURS: Final = 3
DEW_POINT_EXCESS_C: Final = 0.3
"""Both are rounded to 0.1 C and humidity to 1 %, so saturation may look like a small excess."""

LOOKBACK_HOURS: Final = max(
    STEP_HOURS, *(quantity.stuck_hours or 0 for quantity in QUANTITIES.values())
)
"""Hours before the first one of interest that the rules may look at."""

KEPT: Final = (Flag.GOOD, Flag.ACCUMULATED)
"""Flags whose values stay."""


def clean(
    frame: pl.DataFrame, *, start: datetime | None = None, end: datetime | None = None
) -> pl.DataFrame:
    """Observations on a gapless hourly grid, checked.

    Args:
        frame: `time` (UTC, full hours, any order) and any of `schema.OBSERVED`; columns
            `<name>_flag` are taken over where the source already judged. Of rows with the same
            time the last one counts.
        start: First hour of the grid; the first row's by default.
        end: Last hour of the grid; the last row's by default.

    Returns:
        `time`, then every quantity of `schema.OBSERVED` as Float64 (null = not usable), then a
        UInt8 flag for each. One row an hour, ascending. Empty in, empty out.

    Raises:
        BadData: A time is null or not on the full hour.
    """
    frame = _typed(frame)
    if frame.height == 0 and (start is None or end is None):
        return _grid(frame)
    if frame.select(
        (pl.col(TIME).is_null() | (pl.col(TIME).dt.truncate("1h") != pl.col(TIME))).any()
    ).item():
        raise BadData("observations: a time is missing or not a full hour; give hourly values")
    frame = frame.unique(TIME, keep="last", maintain_order=True)
    times = frame[TIME].sort()
    first: datetime = start or times[0]
    last: datetime = end or times[-1]
    hours = pl.datetime_range(first, last, "1h", time_unit="us", eager=True)
    return _grid(
        pl.DataFrame({TIME: hours}).join(frame, on=TIME, how="left", maintain_order="left")
    )


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    columns: list[pl.Expr] = [pl.col(TIME).cast(schema.TIME_DTYPE)]
    for name in schema.OBSERVED:
        value = pl.col(name).cast(pl.Float64) if name in frame.columns else pl.lit(None, pl.Float64)
        columns.append(pl.when(value.is_finite()).then(value).alias(name))
        flag = flag_column(name)
        columns.append(
            (
                pl.col(flag).cast(pl.UInt8) if flag in frame.columns else pl.lit(None, pl.UInt8)
            ).alias(flag)
        )
    return frame.select(columns)


def _grid(frame: pl.DataFrame) -> pl.DataFrame:
    """Apply the rules to a frame that is hourly and gapless."""
    # Q1, Q2: what passes is the input of the rules that compare values with each other.
    plausible = frame.with_columns(
        pl.when(
            pl.col(name).is_between(QUANTITIES[name].low, QUANTITIES[name].high)
            & pl.col(flag_column(name)).fill_null(Flag.GOOD).is_in(KEPT)
        )
        .then(pl.col(name))
        .alias(name)
        for name in schema.OBSERVED
    )
    checked = plausible.with_columns(_flag(name) for name in schema.OBSERVED)
    raw = frame.select(pl.col(name).alias(f"{name}_raw") for name in schema.OBSERVED)
    flagged = checked.hstack(raw).with_columns(
        pl.when(pl.col(flag_column(name)).is_not_null())
        .then(pl.col(flag_column(name)))
        .when(pl.col(name).is_null() & pl.col(f"{name}_raw").is_not_null())
        .then(pl.lit(Flag.RANGE, pl.UInt8))
        .when(pl.col(name).is_null())
        .then(pl.lit(Flag.MISSING, pl.UInt8))
        .otherwise(pl.lit(Flag.GOOD, pl.UInt8))
        .alias(flag_column(name))
        for name in schema.OBSERVED
    )
    return flagged.select(
        TIME,
        *(
            pl.when(pl.col(flag_column(name)).is_in(KEPT)).then(pl.col(name)).alias(name)
            for name in schema.OBSERVED
        ),
        *(flag_column(name) for name in schema.OBSERVED),
    )


def _flag(name: str) -> pl.Expr:
    """Flag of Q3 to Q5, else the source's own, else null; on values that are plausible."""
    quantity = QUANTITIES[name]
    value = pl.col(name)
    given = pl.col(flag_column(name))
    # Of several hits the first in this list counts.
    hits: list[pl.Expr] = [pl.when(given.is_in(KEPT).not_()).then(given)]
    if name == schema.DEW_POINT:
        excess = value - pl.col(schema.AIR_TEMPERATURE)
        hits.append(_hit(excess > DEW_POINT_EXCESS_C, Flag.INCONSISTENT))
    if quantity.step_per_hour is not None:
        before = [(value - value.shift(hours)).abs() for hours in range(1, STEP_HOURS + 1)]
        # The smallest of the distances; null where none of the hours before has a value.
        hits.append(_hit(pl.min_horizontal(before) > quantity.step_per_hour, Flag.STEP))
    if quantity.stuck_hours is not None:
        window = quantity.stuck_hours
        low = value.rolling_min(window, min_samples=window)
        high = value.rolling_max(window, min_samples=window)
        hits.append(_hit(low == high, Flag.STUCK))
    hits.append(_hit((given == Flag.ACCUMULATED) & value.is_not_null(), Flag.ACCUMULATED))
    return pl.coalesce(hits).alias(flag_column(name))


def _hit(condition: pl.Expr, flag: Flag) -> pl.Expr:
    return pl.when(condition).then(pl.lit(flag, pl.UInt8))
