"""KMA's forecasts by issue and hour: what is taken from where, and what lies between values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.guidance_course import (
    AFTER_H,
    BEFORE_H,
    INTERPOLATED,
    SPAN_H,
    WIDEST_GAP_H,
    WIND_EAST,
    WIND_NORTH,
    GuidanceCourse,
)
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RAIN_CHANCE,
    RELATIVE_HUMIDITY,
    SKY,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
)
from tests.fakes.examples import examples
from tests.fakes.guidance import HOUR, forecasts

if TYPE_CHECKING:
    from collections.abc import Mapping

START = datetime(2026, 3, 1, 2, tzinfo=UTC)
BASE = int(START.timestamp()) // 3600


def issue(number: int, values: Mapping[int, float], name: str = AIR_TEMPERATURE) -> pl.DataFrame:
    """An issue three hours after the one before, with values by lead."""
    issued = START + 3 * number * HOUR
    rows = [{ISSUED: issued, VALID: issued + lead * HOUR, name: v} for lead, v in values.items()]
    return pl.DataFrame(rows, schema=GUIDANCE)


def at(course: GuidanceCourse, name: str, row: int, *leads: int) -> list[float]:
    """Values of one issue by lead."""
    hours = course.issues[row] + np.array(leads)
    return [float(value) for value in course.at(name, np.full(len(leads), row), hours)]


def test_values_that_are_there_stay_as_they_are() -> None:
    """Whatever the order of the rows."""
    given = forecasts(START, 2)
    course = GuidanceCourse.of(given.sample(fraction=1.0, shuffle=True, seed=1))
    assert course.issues.tolist() == [BASE + 3 * number for number in range(16)]
    for number in (0, 7, 15):
        rows = given.filter(pl.col(ISSUED) == START + 3 * number * HOUR)
        for name in (AIR_TEMPERATURE, RELATIVE_HUMIDITY, WIND_SPEED, SKY, RAIN_CHANCE):
            assert at(course, name, number, *range(1, 67)) == rows[name].to_list()


def test_what_an_issue_does_not_reach_is_of_the_newest_that_does() -> None:
    """Before its first hour and after its last; never of a later one."""
    course = GuidanceCourse.of(
        pl.concat(
            [
                issue(0, {1: 1.0, 2: 2.0, 3: 3.0, 20: 20.0}),
                issue(1, {1: 11.0, 17: 37.0}),
                issue(2, {4: 24.0}),
            ]
        )
    )
    assert at(course, AIR_TEMPERATURE, 2, -5, -4, -3, -2, 4, 14) == [
        1.0,
        2.0,
        3.0,
        11.0,
        24.0,
        37.0,
    ]
    assert at(course, AIR_TEMPERATURE, 0, 20) == [20.0]
    assert np.isnan(at(course, AIR_TEMPERATURE, 0, 4)).all(), "that hour is of later issues"


def test_a_decision_reads_the_newest_issue_an_hour_after_its_base_time() -> None:
    """Not in the hour itself: KMA publishes some ten minutes after it."""
    course = GuidanceCourse.of(forecasts(START, 1))
    hours = BASE + np.array([-1, 0, 1, 2, 3, 4, 99])
    assert course.newest(hours).tolist() == [-1, -1, 0, 0, 0, 1, 7]


def test_temperature_follows_a_curve_between_values_three_hours_apart() -> None:
    """A parabola through four values is met exactly; at the ends the slope goes on."""
    course = GuidanceCourse.of(issue(0, {lead: (lead - 10.0) ** 2 for lead in (4, 7, 10, 13, 16)}))
    assert np.allclose(at(course, AIR_TEMPERATURE, 0, 8, 9, 11, 12), [4.0, 1.0, 1.0, 4.0])
    assert at(course, AIR_TEMPERATURE, 0, 4, 7, 10) == [36.0, 9.0, 0.0]
    first, second = at(course, AIR_TEMPERATURE, 0, 5, 6)
    assert 25.0 < first < 27.0
    assert 16.0 < second < 18.0
    assert np.isnan(at(course, AIR_TEMPERATURE, 0, 3, 17)).all()


def test_everything_else_follows_a_straight_line() -> None:
    """Humidity stays between its neighbours, as a curve would not."""
    course = GuidanceCourse.of(issue(0, {4: 100.0, 7: 100.0, 10: 40.0}, RELATIVE_HUMIDITY))
    assert at(course, RELATIVE_HUMIDITY, 0, 5, 6, 8, 9) == [100.0, 100.0, 80.0, 60.0]


def test_wind_is_interpolated_by_its_components() -> None:
    """From 350 to 10 degrees it passes north, not south."""
    speed = issue(0, {4: 2.0, 6: 2.0}, WIND_SPEED)
    course = GuidanceCourse.of(speed.with_columns(pl.Series(WIND_FROM_DIRECTION, [350.0, 10.0])))
    (east,), (north,) = (at(course, name, 0, 5) for name in (WIND_EAST, WIND_NORTH))
    assert abs(east) < 1e-12
    assert north == pytest.approx(-2.0 * np.cos(np.radians(10.0)))


def test_only_gaps_that_kma_leaves_are_filled() -> None:
    """Six hours at most."""
    course = GuidanceCourse.of(issue(0, {4: 1.0, 4 + WIDEST_GAP_H: 7.0, 11 + WIDEST_GAP_H: 14.0}))
    assert at(course, AIR_TEMPERATURE, 0, *range(4, 11)) == pytest.approx(list(range(1, 8)))
    assert np.isnan(at(course, AIR_TEMPERATURE, 0, *range(11, 17))).all()


def test_what_is_not_given_is_missing() -> None:
    """No issue, no column, an hour beyond the table, no row at all: NaN, never 0."""
    course = GuidanceCourse.of(issue(0, {1: 1.0}).select(ISSUED, VALID, AIR_TEMPERATURE))
    assert np.isnan(at(course, SKY, 0, 1)).all()
    assert np.isnan(at(course, AIR_TEMPERATURE, 0, 2, AFTER_H + 1, -BEFORE_H - 1)).all()
    assert np.isnan(course.at(AIR_TEMPERATURE, np.array([-1]), np.array([BASE + 1]))).all()
    empty = GuidanceCourse.of(GUIDANCE.to_frame())
    hours = BASE + np.arange(5)
    assert empty.newest(hours).tolist() == [-1] * 5
    for name in INTERPOLATED:
        assert np.isnan(empty.at(name, empty.newest(hours), hours)).all()


def test_an_issue_is_interpolated_before_an_older_one_fills_it() -> None:
    """No zigzag between an issue of three-hourly values and the hourly one before it."""
    older = issue(0, dict.fromkeys(range(1, 67), 20.0))
    for name in (AIR_TEMPERATURE, RELATIVE_HUMIDITY):
        newer = issue(1, {lead: 10.0 + lead for lead in (4, 7, 10, 11, 12, 15, 21)}, name)
        before = older.rename({AIR_TEMPERATURE: name, name: AIR_TEMPERATURE})
        course = GuidanceCourse.of(pl.concat([before.select(GUIDANCE.names()), newer]))
        found = at(course, name, 1, *range(1, 25))
        assert found[3:21] == pytest.approx([10.0 + lead for lead in range(4, 22)])
        assert found[:3] + found[21:] == [20.0] * 6


def test_hours_that_neither_issue_has_are_between_both() -> None:
    """The newer begins five hours after the last value of the older."""
    course = GuidanceCourse.of(
        pl.concat([issue(0, {4: 4.0, 7: 7.0}), issue(1, {9: 12.0, 12: 15.0})])
    )
    assert at(course, AIR_TEMPERATURE, 1, 4, 5, 8, 9) == pytest.approx([7.0, 8.0, 11.0, 12.0])


@given(
    every=st.lists(st.sampled_from([1, 3]), min_size=60, max_size=60),
    absent=st.tuples(st.integers(0, 59), st.integers(0, 45)),
    first=st.integers(0, 60),
    oldest=st.integers(0, 60),
)
@settings(max_examples=examples(60))
def test_a_renewed_course_is_that_of_all_issues(
    every: list[int], absent: tuple[int, int], first: int, oldest: int
) -> None:
    """Whatever time has no issue: what is left out beyond `SPAN_H` fills nothing."""
    whole = pl.concat(
        [
            forecasts(START + 3 * number * HOUR, 0.125, every=step, first_lead=4, seed=number)
            for number, step in enumerate(every)
            if not absent[0] <= number < sum(absent)
        ]
        or [GUIDANCE.to_frame()]
    )
    border = START + 3 * first * HOUR
    known = GuidanceCourse.of(whole.filter(pl.col(ISSUED) < border))
    newer = GuidanceCourse.of(whole.filter(pl.col(ISSUED) >= border - SPAN_H * HOUR))
    renewed = known.renewed(newer, BASE + 3 * first, BASE + 3 * oldest)
    all_at_once = GuidanceCourse.of(whole)
    recent = all_at_once.issues >= min(BASE + 3 * oldest, BASE + 3 * first)
    assert renewed.issues.tolist() == all_at_once.issues[recent].tolist()
    for name in INTERPOLATED:
        assert np.array_equal(
            renewed.values[name], all_at_once.values[name][recent], equal_nan=True
        )
