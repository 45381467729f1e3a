"""Hourly grid and causal checks: a value that fails becomes null with a flag, never another value.

Every rule looks at the hour itself and at hours before it, never after it: the agent judges the
newest hour with what it has, so the trainer must judge each hour with no more. All rules are
bounded: a frame that starts `LOOKBACK_HOURS` earlier gives the same flags for the hours it shares.

Rules, in this order; the first that a value breaks gives the flag:
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

import numpy as np
import polars as pl

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import QUANTITIES, TIME, Flag, flag_column

if TYPE_CHECKING:
    from collections.abc import Mapping
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

_HOUR: Final = np.timedelta64(1, "h")


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
    times = frame[TIME].cast(schema.TIME_DTYPE).to_numpy()
    # A time that is missing is not equal to itself.
    if (times != times.astype("datetime64[h]")).any():
        raise BadData("observations: a time is missing or not a full hour; give hourly values")
    hours = _grid(times, start, end)
    raw, given = _spread(frame, times, hours)
    # Q1, Q2: what passes is the input of the rules that compare values with each other.
    plausible = {
        name: np.where(
            (raw[name] >= quantity.low) & (raw[name] <= quantity.high) & _kept(given[name]),
            raw[name],
            np.nan,
        )
        for name, quantity in QUANTITIES.items()
        if name in raw
    }
    flags = {name: _flags(name, raw[name], given[name], plausible) for name in raw}
    values = {name: np.where(_kept(flags[name]), plausible[name], np.nan) for name in raw}
    return pl.DataFrame(
        {TIME: pl.Series(hours, dtype=schema.TIME_DTYPE)}
        | values
        | {flag_column(name): flags[name] for name in raw},
        nan_to_null=True,
    )


def _grid(times: np.ndarray, start: datetime | None, end: datetime | None) -> np.ndarray:
    if len(times) == 0 and (start is None or end is None):
        return times
    first = _stamp(start) if start else times.min()
    last = _stamp(end) if end else times.max()
    return np.arange(first, last + _HOUR, _HOUR)


def _stamp(time: datetime) -> np.datetime64:
    return np.datetime64(time.replace(tzinfo=None), "us")


def _spread(
    frame: pl.DataFrame, times: np.ndarray, hours: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Values (NaN = missing) and flags (GOOD = none) of every quantity on the grid."""
    rows = (times - hours[0]) // _HOUR if len(hours) else np.full(len(times), -1)
    inside = (rows >= 0) & (rows < len(hours))
    rows = rows[inside]
    values, flags = {}, {}
    for name in schema.OBSERVED:
        values[name] = np.full(len(hours), np.nan)
        flags[name] = np.full(len(hours), Flag.GOOD, np.uint8)
        flag = flag_column(name)
        # Where a row number comes twice, what is assigned last stays.
        if name in frame.columns:
            values[name][rows] = frame[name].cast(pl.Float64).to_numpy()[inside]
        if flag in frame.columns:
            given = frame[flag].cast(pl.UInt8).fill_null(Flag.GOOD)
            flags[name][rows] = given.to_numpy()[inside]
        values[name][np.isinf(values[name])] = np.nan
    return values, flags


def _kept(flags: np.ndarray) -> np.ndarray:
    kept: np.ndarray = (flags == Flag.GOOD) | (flags == Flag.ACCUMULATED)
    return kept


def _flags(
    name: str, raw: np.ndarray, given: np.ndarray, plausible: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Flags of one quantity, from the last rule to the first, so that the first one counts."""
    quantity, value = QUANTITIES[name], plausible[name]
    known = np.isfinite(value)
    flags = np.where(known & (given == Flag.ACCUMULATED), given, np.uint8(Flag.GOOD))
    if quantity.stuck_hours is not None:
        flags[_run(value) >= quantity.stuck_hours] = Flag.STUCK
    if quantity.step_per_hour is not None:
        flags[_distance(value) > quantity.step_per_hour] = Flag.STEP
    if name == schema.DEW_POINT:
        excess = value - plausible[schema.AIR_TEMPERATURE]
        flags[excess > DEW_POINT_EXCESS_C] = Flag.INCONSISTENT
    flags[~known] = np.where(np.isnan(raw[~known]), np.uint8(Flag.MISSING), np.uint8(Flag.RANGE))
    return np.where(_kept(given), flags, given)


def _run(value: np.ndarray) -> np.ndarray:
    """How many equal values in a row end at each hour; NaN equals nothing."""
    row = np.arange(len(value))
    begins = np.ones(len(value), np.bool_)
    begins[1:] = value[1:] != value[:-1]
    run: np.ndarray = row - np.maximum.accumulate(np.where(begins, row, 0)) + 1
    return run


def _distance(value: np.ndarray) -> np.ndarray:
    """To the nearest of the `STEP_HOURS` values before; NaN where none of them is known."""
    nearest = np.full(len(value), np.nan)
    for hours in range(1, STEP_HOURS + 1):
        distance = np.abs(value[hours:] - value[:-hours])
        nearest[hours:] = np.fmin(nearest[hours:], distance)
    return nearest
