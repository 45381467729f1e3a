"""Rules Q1 to Q5 of `contract.quality`, one by one."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import polars as pl
import pytest

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    DEW_POINT,
    OBSERVED,
    QUANTITIES,
    RAIN,
    RELATIVE_HUMIDITY,
    TIME,
    Flag,
    flag_column,
)
from tests.fakes.weather import FIRST, hourly

G, M, R, S, U, I = Flag.GOOD, Flag.MISSING, Flag.RANGE, Flag.STEP, Flag.STUCK, Flag.INCONSISTENT  # noqa: E741 - reads as a table


def flags(values: list[float | None], name: str = AIR_TEMPERATURE) -> list[int]:
    """Flags of one quantity."""
    return clean(hourly(values, name))[flag_column(name)].to_list()


def test_columns_types_and_other_quantities() -> None:
    """Every quantity and flag is there, in order and type; what was not given is MISSING."""
    cleaned = clean(hourly([1.0, 2.0]))
    assert cleaned.columns == [TIME, *OBSERVED, *(flag_column(n) for n in OBSERVED)]
    assert cleaned.schema[TIME] == schema.TIME_DTYPE
    assert {cleaned.schema[name] for name in OBSERVED} == {pl.Float64()}
    assert {cleaned.schema[flag_column(name)] for name in OBSERVED} == {pl.UInt8()}
    assert cleaned[flag_column(RAIN)].to_list() == [M, M]
    assert cleaned[AIR_TEMPERATURE].to_list() == [1.0, 2.0]


def test_q1_missing_hours_nulls_and_nan() -> None:
    """No row, null, NaN and infinity are all null, with MISSING."""
    frame = hourly([1.0, None, math.nan, 2.0, math.inf, 2.0])
    frame = frame.filter(pl.col(TIME) != FIRST + timedelta(hours=3))
    cleaned = clean(frame)
    assert cleaned[AIR_TEMPERATURE].to_list() == [1.0, None, None, None, None, 2.0]
    assert cleaned[flag_column(AIR_TEMPERATURE)].to_list() == [G, M, M, M, M, G]


@pytest.mark.parametrize("name", OBSERVED)
def test_q2_range_is_inclusive(name: str) -> None:
    """The limits themselves pass, a hair beyond them fails."""
    quantity = QUANTITIES[name]
    for edge, outside in ((quantity.low, -math.inf), (quantity.high, math.inf)):
        assert flags([edge], name) == [G]
        assert flags([math.nextafter(edge, outside)], name) == [R]


@pytest.mark.parametrize(
    ("dew_point", "expected"), [(20.0, G), (20.29, G), (20.31, I), (19.0, G), (None, M)]
)
def test_q3_dew_point_above_temperature(dew_point: float | None, expected: Flag) -> None:
    """Dew point may pass the air temperature by rounding only; the temperature is not blamed."""
    frame = hourly([20.0]).with_columns(pl.lit(dew_point, pl.Float64).alias(DEW_POINT))
    cleaned = clean(frame)
    assert cleaned[flag_column(DEW_POINT)].to_list() == [expected]
    assert cleaned[flag_column(AIR_TEMPERATURE)].to_list() == [G]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # A lone spike fails, what follows agrees with what came before.
        ([10, 10.1, 23, 10.2, 10.3], [G, G, S, G, G]),
        # A front: its first hour waits for the second to confirm it.
        ([10, 10.1, 23, 23.2, 23.1], [G, G, S, G, G]),
        # Exactly the limit passes.
        ([10, 22, 34, 22], [G, G, G, G]),
        # Hours without a value neither vouch nor accuse.
        ([10, None, None, 23], [G, M, M, S]),
        ([10, None, None, None, 23], [G, M, M, M, G]),
        # A value out of range vouches for nothing.
        ([10, 60, 40], [G, R, S]),
    ],
)
def test_q4_step(values: list[float | None], expected: list[Flag]) -> None:
    """A value must be near one of the three hours before it, where there is one."""
    assert flags(values) == expected


def test_q4_has_no_limit_where_jumps_are_natural() -> None:
    """Rain may come from nothing."""
    assert flags([0.0, 80.0, 0.0], RAIN) == [G, G, G]


@pytest.mark.parametrize("name", [n for n in OBSERVED if QUANTITIES[n].stuck_hours])
def test_q5_stuck(name: str) -> None:
    """The run fails from its `stuck_hours`-th hour on, and ends with the first other value."""
    quantity = QUANTITIES[name]
    assert quantity.stuck_hours is not None
    value = (quantity.low + quantity.high) / 2
    run = quantity.stuck_hours
    assert flags([*[value] * (run + 2), value + 0.1], name) == [*[G] * (run - 1), U, U, U, G]


def test_q5_a_gap_breaks_a_run() -> None:
    """Eleven equal hours, one missing, eleven more: nothing is stuck."""
    assert U not in flags([5.0] * 11 + [None] + [5.0] * 11)


def test_q5_spares_quantities_with_long_runs() -> None:
    """Dry weather is not a stuck gauge."""
    assert set(flags([0.0] * 500, RAIN)) == {G}


@pytest.mark.parametrize("flag", [Flag.SOURCE, Flag.NEIGHBOURS, Flag.RANGE, Flag.MISSING])
def test_the_verdict_of_the_source_stands(flag: Flag) -> None:
    """What the source rejected is null under its flag, and vouches for no step after it."""
    given = hourly([10.0, 30.0, 31.0]).with_columns(
        pl.Series(flag_column(AIR_TEMPERATURE), [0, flag, None], pl.UInt8)
    )
    cleaned = clean(given)
    assert cleaned[AIR_TEMPERATURE].to_list() == [10.0, None, None]
    assert cleaned[flag_column(AIR_TEMPERATURE)].to_list() == [G, flag, S]


def test_a_good_flag_of_the_source_is_checked_all_the_same() -> None:
    """GOOD or ACCUMULATED from the source does not pass an impossible or missing value."""
    given = hourly([500.0, 4.0, None], RAIN).with_columns(
        pl.Series(flag_column(RAIN), [Flag.GOOD, Flag.ACCUMULATED, Flag.ACCUMULATED], pl.UInt8)
    )
    cleaned = clean(given)
    assert cleaned[RAIN].to_list() == [None, 4.0, None]
    assert cleaned[flag_column(RAIN)].to_list() == [R, Flag.ACCUMULATED, M]


def test_of_rows_with_the_same_time_the_last_counts() -> None:
    """Whole rows are replaced; values are not mixed, even where the last one is blank."""
    first = hourly([1.0, 2.0]).with_columns(pl.lit(50.0).alias(RELATIVE_HUMIDITY))
    again = hourly([9.0])[:1].with_columns(pl.lit(None, pl.Float64).alias(RELATIVE_HUMIDITY))
    cleaned = clean(pl.concat([first, again]))
    assert cleaned[AIR_TEMPERATURE].to_list() == [9.0, 2.0]
    assert cleaned[RELATIVE_HUMIDITY].to_list() == [None, 50.0]


def test_grid_reaches_from_start_to_end() -> None:
    """Hours asked for are there though nothing was reported; rows outside are left out."""
    end = FIRST + timedelta(hours=4)
    cleaned = clean(hourly([1.0, 2.0, 3.0]), start=FIRST + timedelta(hours=1), end=end)
    assert cleaned[AIR_TEMPERATURE].to_list() == [2.0, 3.0, None, None]
    assert cleaned[TIME][-1] == end


def test_empty_in_empty_out() -> None:
    """No rows give no rows, with all columns; with both ends given, hours without values."""
    nothing = clean(schema.empty_frame())
    assert nothing.height == 0
    assert nothing.columns == clean(hourly([1.0])).columns
    hours = clean(schema.empty_frame(), start=FIRST, end=FIRST + timedelta(hours=2))
    assert hours[flag_column(AIR_TEMPERATURE)].to_list() == [M, M, M]


@pytest.mark.parametrize("time", [None, FIRST + timedelta(minutes=30)])
def test_times_must_be_full_hours(time: datetime | None) -> None:
    """A missing time or one beside the hour is refused, and the text says what to give."""
    frame = hourly([1.0]).with_columns(pl.Series(TIME, [time], schema.TIME_DTYPE))
    with pytest.raises(BadData, match="full hour; give hourly values"):
        clean(frame)


def test_other_units_of_time_and_integers_are_taken() -> None:
    """Milliseconds and whole numbers become what the schema says."""
    frame = hourly([1.0]).cast({TIME: pl.Datetime("ms", "UTC"), AIR_TEMPERATURE: pl.Int32})
    assert clean(frame)[AIR_TEMPERATURE].to_list() == [1.0]
