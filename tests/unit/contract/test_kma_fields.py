"""Rules K1 to K9 of `edge_agent.contract.kma_fields`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from edge_agent.contract import kma_fields, schema
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import Flag, flag_column
from edge_agent.contract.stations import station

SEOUL = station(108).site


def row(tm: str, **fields: str) -> dict[str, str]:
    """One row as the service sends it: every field as text, blank unless given."""
    blank = dict.fromkeys((*kma_fields.NAMES, *kma_fields.QC_FIELDS.values()), "")
    return {"tm": tm, **blank, **fields}


def tidy(*rows: dict[str, Any]) -> pl.DataFrame:
    """Tidy frame of rows in Seoul."""
    return kma_fields.tidy(pl.DataFrame(list(rows)), SEOUL)


def value_and_flag(frame: pl.DataFrame, name: str, at: int = 0) -> tuple[float | None, int]:
    """One cell and its flag."""
    return frame[name][at], frame[flag_column(name)][at]


def test_columns_are_those_of_the_contract() -> None:
    """Every observed quantity comes with a flag, in the contract's order and types."""
    frame = tidy(row("2023-03-13 08:00"))
    assert tuple(frame.columns) == kma_fields.COLUMNS
    assert frame.schema["time"] == schema.TIME_DTYPE
    assert {frame.schema[name] for name in schema.OBSERVED} == {pl.Float64()}
    assert {frame.schema[flag_column(name)] for name in schema.OBSERVED} == {pl.UInt8()}


@pytest.mark.parametrize("text", ["2023-03-13 08:00", "2023-03-13 08", " 2023-03-13 08:00 "])
def test_k1_korean_time_becomes_utc(text: str) -> None:
    """08 h in Korea is 23 h UTC of the day before, in both forms KMA documents."""
    assert tidy(row(text))["time"][0] == datetime(2023, 3, 12, 23, tzinfo=UTC)


def test_k1_naive_datetimes_are_korean_too() -> None:
    """Parquet in KMA's names carries naive times, which are Korean."""
    frame = pl.DataFrame({"tm": [datetime(2023, 3, 13, 8)], "ta": [1.5]})  # noqa: DTZ001 - KST
    assert kma_fields.tidy(frame, SEOUL)["time"][0] == datetime(2023, 3, 12, 23, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "2023-03-13 08:30", "2023-02-30 08:00", "nonsense", "24:00"])
def test_k1_a_time_that_is_no_full_hour_is_refused(text: str) -> None:
    """A row that cannot be placed in time makes the whole frame unusable, by name."""
    with pytest.raises(BadData, match="not a full hour like"):
        tidy(row(text))


@pytest.mark.parametrize(
    ("given", "verdict", "value", "flag"),
    [
        ("3.6", "", 3.6, Flag.GOOD),
        ("3.6", "0", 3.6, Flag.GOOD),
        ("-9.0", "", -9.0, Flag.GOOD),
        ("", "", None, Flag.MISSING),
        ("", "9", None, Flag.MISSING),
        ("3.6", "9", None, Flag.MISSING),
        ("3.6", "1", None, Flag.SOURCE),
        ("", "1", None, Flag.SOURCE),
        ("3.6", "x", None, Flag.SOURCE),
        ("abc", "", None, Flag.SOURCE),
        ("nan", "", None, Flag.SOURCE),
        ("inf", "", None, Flag.SOURCE),
    ],
)
def test_k2_k3_values_and_verdicts(
    given: str, verdict: str, value: float | None, flag: Flag
) -> None:
    """The QC flag rules over the value; what is no number is dropped and said so."""
    frame = tidy(row("2023-03-13 08:00", ta=given, taQcflg=verdict))
    assert value_and_flag(frame, schema.AIR_TEMPERATURE) == (value, flag)


@pytest.mark.parametrize(
    ("given", "verdict", "value", "flag"),
    [
        ("", "", 0.0, Flag.GOOD),
        ("", "9", None, Flag.MISSING),
        ("", "1", None, Flag.SOURCE),
        ("0.0", "", 0.0, Flag.GOOD),
        ("4.5", "", 4.5, Flag.GOOD),
    ],
)
def test_k4_rain_in_summer(given: str, verdict: str, value: float | None, flag: Flag) -> None:
    """Blank is dry unless KMA says that the amount is missing; trace is 0.0."""
    frame = tidy(row("2023-07-13 08:00", ta="20.0", rn=given, rnQcflg=verdict))
    assert value_and_flag(frame, schema.RAIN) == (value, flag)


def test_k4_a_row_without_any_value_is_an_outage_not_a_dry_hour() -> None:
    """Missing is never zero."""
    frame = tidy(row("2023-07-13 08:00"))
    assert value_and_flag(frame, schema.RAIN) == (None, Flag.MISSING)


def test_a_field_that_is_not_there_is_missing() -> None:
    """A file without rain or radiation says nothing of either, by day or by night."""
    frame = kma_fields.tidy(pl.DataFrame({"tm": ["2023-07-13 02:00"], "ta": [20.0]}), SEOUL)
    for name in (schema.RAIN, schema.SOLAR, schema.SUNSHINE, schema.VISIBILITY):
        assert value_and_flag(frame, name) == (None, Flag.MISSING)


@pytest.mark.parametrize(
    ("tm", "flag"),
    [
        ("2023-03-08 12:00", Flag.ACCUMULATED),
        ("2023-03-08 11:00", Flag.GOOD),
        ("2023-04-01 00:00", Flag.ACCUMULATED),
        ("2023-04-01 03:00", Flag.GOOD),
        ("2023-11-01 00:00", Flag.GOOD),
        ("2023-11-01 03:00", Flag.ACCUMULATED),
        ("2023-07-08 12:00", Flag.GOOD),
    ],
)
def test_k5_winter_amounts_are_sums_of_three_hours(tm: str, flag: Flag) -> None:
    """November to March at 3, 6, ... h; the row of midnight belongs to the day it closes."""
    frame = tidy(row(tm, ta="1.0", rn="2.5"))
    assert value_and_flag(frame, schema.RAIN) == (2.5, flag)


def _unflagged(amounts: dict[int, float | None]) -> list[float | None]:
    rows = pl.DataFrame(
        {
            "tm": [f"2023-01-05 {hour:02d}:00" for hour in amounts],
            "ta": [1.0] * len(amounts),
            "rn": list(amounts.values()),
        },
        schema_overrides={"rn": pl.Float64},
    )
    return kma_fields.tidy(rows, SEOUL)[schema.RAIN].to_list()


def test_k6_dry_winter_hours_need_their_sum() -> None:
    """Without flags, a blank before an amount is part of it; a blank before a blank is dry."""
    hours = {4: None, 5: None, 6: None, 7: None, 8: None, 9: 1.2, 10: None, 11: None}
    assert _unflagged(hours) == [0.0, 0.0, 0.0, None, None, 1.2, None, None]


def test_k6_a_gap_before_the_sum_leaves_hours_unknown() -> None:
    """The row of the sum must be there; the next row that happens to be is not taken for it."""
    assert _unflagged({4: None, 5: None, 9: None}) == [None, None, 0.0]


def test_k7_night_is_dark_and_day_is_missing() -> None:
    """Blank sunshine is zero at midnight and unknown at noon, whatever its flag."""
    frame = tidy(
        row("2023-03-13 00:00", ta="1.0", ssQcflg="9"),
        row("2023-03-13 12:00", ta="1.0", ssQcflg="9"),
        row("2023-03-13 13:00", ta="1.0", ss="0.4", icsr="1.23"),
    )
    for name, at_noon in ((schema.SUNSHINE, 0.4), (schema.SOLAR, 1.23)):
        assert frame[name].to_list() == [0.0, None, at_noon]
        assert frame[flag_column(name)].to_list() == [Flag.GOOD, Flag.MISSING, Flag.GOOD]


def test_k8_units_and_pressures() -> None:
    """Visibility comes in tens of metres; pa is at the station, ps at sea level."""
    frame = tidy(row("2023-03-13 08:00", vs="2000", pa="1007.8", ps="1018.4"))
    assert frame[schema.VISIBILITY][0] == 20_000.0
    assert frame[schema.STATION_PRESSURE][0] == 1007.8
    assert frame[schema.SEA_LEVEL_PRESSURE][0] == 1018.4


def test_k9_the_last_of_doubled_rows_counts_and_order_is_restored() -> None:
    """Rows may come twice and in any order."""
    frame = tidy(
        row("2023-03-13 09:00", ta="2.0"),
        row("2023-03-13 08:00", ta="1.0"),
        row("2023-03-13 09:00", ta="3.0"),
    )
    assert frame[schema.AIR_TEMPERATURE].to_list() == [1.0, 3.0]
    assert frame["time"].diff()[1] == timedelta(hours=1)


def test_no_rows_give_no_rows() -> None:
    """An empty answer is an empty frame with the right columns."""
    frame = kma_fields.tidy(pl.DataFrame(schema={"tm": pl.String, "ta": pl.String}), SEOUL)
    assert frame.height == 0
    assert tuple(frame.columns) == kma_fields.COLUMNS
