"""Full hours since 1970, and the days of Korea."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract import hours

MOMENTS = st.datetimes(
    datetime(1989, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(MOMENTS)
def test_an_hour_holds_the_moments_from_its_start_on(moment: datetime) -> None:
    """Counting hours and cutting a time to its hour agree."""
    start = hours.time_of(hours.hour_of(moment))
    assert start == hours.start_of_hour(moment)
    assert start <= moment < start + timedelta(hours=1)
    assert hours.hour_of(start) == hours.hour_of(moment)


@given(MOMENTS)
def test_days_of_korea_are_those_of_the_time_zone_database(moment: datetime) -> None:
    """Since 1989 Korea has been nine hours ahead of UTC."""
    local = moment.astimezone(ZoneInfo("Asia/Seoul"))
    assert hours.korean_date(moment) == local.date()
    midnight = hours.korean_midnight(local.date())
    assert midnight <= moment < midnight + timedelta(days=1)
    clock = hours.korean_clock(pl.Series([moment]))
    assert (clock.dt.date()[0], clock.dt.hour()[0]) == (local.date(), local.hour)


def test_a_day_begins_at_15_utc_of_the_day_before() -> None:
    """A day's first hour, and an hour before 1970."""
    assert hours.korean_midnight(date(2026, 3, 1)) == datetime(2026, 2, 28, 15, tzinfo=UTC)
    assert hours.hour_of(datetime(1969, 12, 31, 23, 30, tzinfo=UTC)) == -1
