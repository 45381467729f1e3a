"""What values of files of past village forecasts mean."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import TIME_DTYPE
from tests.fakes.portal_village import utc
from trainer.ingest.sources import past_forecasts
from trainer.ingest.sources.past_forecasts import LIMITS
from trainer.ingest.sources.village_table import COLUMNS, ISSUED, VALID

AIR, HIGHEST, LOWEST = "air_temperature_c", "air_temperature_max_c", "air_temperature_min_c"
TIMES = {ISSUED: TIME_DTYPE, VALID: TIME_DTYPE}


def rows(*given: tuple[datetime, int, object]) -> pl.DataFrame:
    """Issue, hours ahead and value."""
    return pl.DataFrame(
        {
            ISSUED: [issued for issued, _, _ in given],
            VALID: [issued + timedelta(hours=lead) for issued, lead, _ in given],
            "value": [value for _, _, value in given],
        },
        schema_overrides=TIMES,
    )


ISSUE = utc(2018, 3, 1, 2)


def test_every_column_has_limits() -> None:
    """A category that is added cannot be forgotten."""
    assert set(LIMITS) == set(COLUMNS[2:])


@pytest.mark.parametrize("value", ["20.200001", "20.2", "20.200000", 20.2, 20.200000762939453])
def test_single_precision_is_what_the_service_gave(value: object) -> None:
    """Text and numbers of all forms become the same bits (P1)."""
    table, notes = past_forecasts.tidy(rows((ISSUE, 4, value)), AIR, "value")
    assert (table[AIR].to_list(), notes) == ([20.2], [])


@pytest.mark.parametrize(
    ("column", "good", "none"),
    [
        (AIR, (-49.0, 50.0, -0.5), (-99.0, 99.0, -50.0, 900.0, -900.0, 50.1)),
        ("relative_humidity_pct", (0.0, 99.0, 100.0), (-99.0, -1.0, 100.5)),
        ("rain_probability_pct", (99.0,), (-1.0, 101.0)),
        ("wind_speed_ms", (0.0, 60.0), (99.0, -99.0, -1.0)),
        ("wind_from_direction_deg", (99.0, 360.0), (-99.0, 361.0)),
        ("sky_code", (1.0, 4.0), (0.0, 99.0, -1.0)),
        ("precipitation_code", (0.0, 4.0), (99.0, -1.0)),
        ("rain_6h_mm", (0.0, 100.0), (-99.0, -1.0)),
        ("new_snow_6h_cm", (0.0, 20.0), (99.0, -99.0)),
    ],
)
def test_codes_for_missing_values_and_others_beyond_limits_are_none(
    column: str, good: tuple[float, ...], none: tuple[float, ...]
) -> None:
    """99 can be a humidity and no temperature; what is left out is told (P2)."""
    given = rows(*((ISSUE, 4 + at, value) for at, value in enumerate((*good, *none))))
    table, notes = past_forecasts.tidy(given, column, "value")
    assert table[column].to_list() == list(good)
    assert len(notes) == 1
    assert notes[0].startswith(f"{len(none)} of {len(given)} values of {column} are codes")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "", "cold", "1e39"])
def test_what_is_no_number_is_none(value: str) -> None:
    """One such value harms none beside it."""
    table, notes = past_forecasts.tidy(rows((ISSUE, 4, value), (ISSUE, 7, "1.5")), AIR, "value")
    assert (table[AIR].to_list(), len(notes)) == ([1.5], 1)


@pytest.mark.parametrize(
    ("column", "hour", "days"),
    [
        # By hour of issue, the days after it (UTC) of 06 h and of 21 h.
        *((HIGHEST, hour, (0, 1, 2)) for hour in (2,)),
        *((HIGHEST, hour, (1, 2)) for hour in (5, 8, 11, 14, 17)),
        *((HIGHEST, hour, (1, 2, 3)) for hour in (20, 23)),
        *((LOWEST, hour, (0, 1)) for hour in (2, 5, 8, 11, 14, 17)),
        *((LOWEST, hour, (1, 2)) for hour in (20, 23)),
    ],
)
def test_daily_extremes_stand_at_their_hour(column: str, hour: int, days: tuple[int, ...]) -> None:
    """4, 7 and 10 hours ahead are the first, second and third day that is 4 hours ahead (P3)."""
    issued = utc(2018, 3, 1, hour)
    # Two issues: an issue of 02 UTC alone could have its 4 hours ahead taken for the hour itself.
    given = rows(*((issued, 4 + 3 * at, 10.0 + at) for at in range(len(days))))
    table, _ = past_forecasts.tidy(given, column, "value")
    wanted = 6 if column == HIGHEST else 21
    assert table[VALID].to_list() == [utc(2018, 3, 1 + day, wanted) for day in days]
    assert table[column].to_list() == [10.0 + at for at in range(len(days))]


def test_a_day_that_an_issue_lacks_moves_no_other() -> None:
    """The place counts, not the order (P3)."""
    table, _ = past_forecasts.tidy(rows((utc(2018, 3, 1, 2), 7, 12.0)), HIGHEST, "value")
    assert table[VALID].to_list() == [utc(2018, 3, 2, 6)]


def test_daily_extremes_at_their_hour_stay() -> None:
    """As the service gives them (P3)."""
    given = rows((ISSUE, 4, 10.0), (ISSUE, 28, 11.0), (utc(2018, 3, 1, 20), 10, 11.0))
    table, _ = past_forecasts.tidy(given, HIGHEST, "value")
    assert table.select(ISSUED, VALID).rows() == given.select(ISSUED, VALID).rows()


def test_daily_extremes_of_an_unknown_day_are_refused() -> None:
    """Neither the hour of the service nor a place in the list (P3)."""
    with pytest.raises(BadData, match="its day is not known"):
        past_forecasts.tidy(rows((ISSUE, 6, 10.0)), HIGHEST, "value")


def test_the_last_of_doubled_rows_counts() -> None:
    """A row that is there twice is told only where its values differ (P4)."""
    given = rows((ISSUE, 4, 1.0), (ISSUE, 7, 2.0), (ISSUE, 7, 2.0), (ISSUE, 4, 3.0))
    table, notes = past_forecasts.tidy(given, AIR, "value")
    assert sorted(table[AIR].to_list()) == [2.0, 3.0]
    assert notes == [f"a row stands twice with another {AIR}, of which the last counts"]


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        (AIR, [65.0] * 150 + [20.0] * 500, r"150 of 650 values of .* \(the first: 65\): another"),
        (AIR, [293.15] * 650, "650 of 650 values of .* another category, or another unit"),
    ],
)
def test_values_of_another_category_are_refused(
    column: str, values: list[float], words: str
) -> None:
    """Humidity that was named temperature, Kelvin: what fits by chance is as wrong (P2)."""
    given = rows(*((ISSUE + timedelta(hours=3 * at), 4, value) for at, value in enumerate(values)))
    with pytest.raises(BadData, match=words):
        past_forecasts.tidy(given, column, "value")
    codes = given.with_columns(value=pl.when(pl.col("value") > 50.0).then(-99.0).otherwise(20.0))
    assert past_forecasts.tidy(codes, "wind_speed_ms", "value")[1]


def test_two_months_under_one_name_are_refused() -> None:
    """The line of the second month was lost: every hour stands twice (P4)."""
    once = [(ISSUE + timedelta(hours=3 * at), 4, 20.0 + at % 2) for at in range(240)]
    other = [(issued, lead, value + 1.0) for issued, lead, value in once]
    with pytest.raises(BadData, match="240 of 240 rows stand twice with another"):
        past_forecasts.tidy(rows(*once, *other), "wind_speed_ms", "value")


def test_sums_of_six_hours_have_a_column_of_their_own() -> None:
    """They are never read as the rain of an hour."""
    assert past_forecasts.FIELDS["r06"] == "rain_6h_mm"
    assert past_forecasts.FIELDS["s06"] == "new_snow_6h_cm"


def test_the_day_of_classes_is_left_out() -> None:
    """A 3 three days ahead hides a gale (P5)."""
    late = utc(2024, 12, 1, 2)
    table, _ = past_forecasts.tidy(rows((late, 24, 3.0), (late, 70, 3.0)), "wind_speed_ms", "value")
    assert table[VALID].to_list() == [utc(2024, 12, 2, 2)]


@pytest.mark.parametrize("shift", [0, 9])
def test_temperatures_in_korean_time_are_refused(shift: int) -> None:
    """Twelve days that are warmest at 06 UTC are good; the same nine hours later are not (P6)."""
    given = rows(
        *(
            (utc(2018, 3, day, 23), 4 + 3 * at, 10.0 - abs((23 + 4 + 3 * at - shift) % 24 - 6))
            for day in range(1, 13)
            for at in range(8)
        )
    )
    if shift:
        with pytest.raises(BadData, match="its times are Korean"):
            past_forecasts.tidy(given, AIR, "value")
    else:
        assert past_forecasts.tidy(given, AIR, "value")[0].height == given.height


@pytest.mark.parametrize(
    ("issued", "valid", "words"),
    [
        (datetime(2018, 3, 1, 2), datetime(2018, 3, 1, 6), "with a time zone"),  # noqa: DTZ001 - meant
        (
            utc(2018, 3, 1, 2),
            utc(2018, 3, 1, 1),
            "line 2, header counted: .*no full hours of a forecast",
        ),
        (
            utc(2018, 3, 1, 2),
            utc(2018, 4, 1, 1),
            "line 2, header counted: .*no full hours of a forecast",
        ),
        (
            utc(2018, 3, 1, 2).replace(minute=30),
            utc(2018, 3, 1, 6),
            "line 2, header counted: .*no full hours",
        ),
        (utc(2018, 3, 1, 2), None, "line 2, header counted: .*no full hours"),
    ],
)
def test_times_that_are_of_no_forecast_are_refused(
    issued: datetime, valid: datetime | None, words: str
) -> None:
    """Naive times could be Korean or UTC."""
    zone = issued.tzinfo and "UTC"
    frame = pl.DataFrame(
        {ISSUED: [issued], VALID: [valid]},
        schema=dict.fromkeys((ISSUED, VALID), pl.Datetime("ms", zone)),
    )
    with pytest.raises(BadData, match=words):
        past_forecasts.times(frame)
