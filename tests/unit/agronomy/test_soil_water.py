"""The soil water's state (rules S1 to S7), on hours made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.agronomy import field_hours, soil_water
from edge_agent.agronomy.field_hours import FieldHour, hours_of
from edge_agent.agronomy.soil_water import Gift, SoilWater, advance, begin, corrected
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import TIME, TIME_DTYPE, Site
from edge_agent.settings import Irrigation
from tests.fakes.examples import examples
from tests.fakes.forecasts import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = timedelta(hours=1)
FIELD = Irrigation(crop="tomato", efficiency=0.8)
ROOF = Irrigation(crop="tomato", efficiency=0.8, covered=True)
TOTAL = field_hours.total_mm(FIELD)


def hour(back: int, demand: float = 0.3, rain: float = 0.0, *, observed: bool = True) -> FieldHour:
    """The hour that ended so many hours before now."""
    return FieldHour(NOW - back * HOUR, demand, 0.4, rain, observed)


def hours(count: int, demand: float = 0.3) -> list[FieldHour]:
    """The newest hours, without rain."""
    return [hour(back, demand) for back in range(count - 1, -1, -1)]


def misses(state: SoilWater) -> float:
    """By how many mm the sums miss the depletion (S1)."""
    sums = state.start_mm + state.demand_mm - state.rain_mm - state.given_mm
    return abs(sums + state.drained_mm + state.corrected_mm - state.depletion_mm)


def test_demand_adds_and_rain_takes_off() -> None:
    """Each hour by what it used and what fell; what the soil cannot hold drains (S1)."""
    start = begin(NOW - 10 * HOUR)
    booked, now = advance(start, FIELD, hours(10), (), NOW)
    assert booked == now
    assert now.depletion_mm == pytest.approx(3.0)
    wet = [*hours(11)[1:-1], hour(0, 0.0, 5.0)]
    now = advance(start, FIELD, wet, (), NOW)[1]
    assert now.depletion_mm == 0.0
    assert now.rain_mm == 5.0
    assert now.drained_mm == pytest.approx(5.0 - 2.7)
    assert misses(now) < 1e-9


def test_the_crop_coefficient_comes_before_the_rain() -> None:
    """Three days of 4 mm ET0 by a coefficient of 0.5, then 6 mm of rain: nothing is missing."""
    days = [*hours(72, 4.0 * 0.5 / 24)[:-1], hour(0, 4.0 * 0.5 / 24, 6.0)]
    now = advance(begin(NOW - 72 * HOUR), FIELD, days, (), NOW)[1]
    assert now.depletion_mm == pytest.approx(0.0, abs=1e-9)
    assert now.drained_mm == pytest.approx(0.0, abs=1e-9)


def test_depletion_stays_within_the_root_zone() -> None:
    """Months without water: never more than the total, since the crop takes up no more."""
    start = begin(NOW - 5000 * HOUR)
    now = advance(start, FIELD, hours(5000, 1.0), (), NOW)[1]
    assert TOTAL - 1.0 < now.depletion_mm <= TOTAL
    assert misses(now) < 1e-6


def test_water_counts_in_its_hour_and_what_is_lost_drains() -> None:
    """Eight of ten mm reach the roots (S6), in the hour in which they were given."""
    start = begin(NOW - 3 * HOUR, 20.0)
    gift = Gift(1, NOW - 90 * timedelta(minutes=1), 10.0)
    booked, now = advance(start, FIELD, hours(3, 0.0), [gift], NOW)
    assert booked == now
    assert now.depletion_mm == pytest.approx(12.0)
    assert now.given_mm == 10.0
    assert now.drained_mm == pytest.approx(2.0)
    assert (now.last_given_at, now.last_given_mm) == (gift.at, 10.0)
    flood = advance(begin(NOW), FIELD, (), [Gift(1, NOW, 50.0)], NOW)[1]
    assert (flood.depletion_mm, flood.drained_mm) == (0.0, 50.0)


def test_water_of_the_running_hour_is_told_and_not_booked() -> None:
    """It is booked with its hour; one that was reported late is booked at once."""
    start = begin(NOW, 20.0)
    soon, late = Gift(1, NOW + timedelta(minutes=5), 5.0), Gift(2, NOW - 9 * HOUR, 5.0)
    booked, now = advance(start, FIELD, (), [soon, late], NOW)
    assert (booked.given_mm, now.given_mm) == (5.0, 10.0)
    assert (now.last_given_at, booked.last_given_at) == (soon.at, late.at)
    again, _ = advance(booked, FIELD, [hour(-1, 0.0)], [soon], NOW + HOUR)
    assert again.given_mm == 10.0


def test_an_hour_that_is_not_known_is_waited_for() -> None:
    """It counts as filled meanwhile; once it is there, as if it had never been late (S2)."""
    start = begin(NOW - 6 * HOUR)
    late = [*hours(6)[:3], replace(hour(2), observed=False), *hours(2)]
    booked, now = advance(start, FIELD, late, (), NOW)
    assert booked.through == NOW - 3 * HOUR
    assert (now.through, now.filled_hours) == (NOW, 1)
    whole = advance(booked, FIELD, hours(6), (), NOW)[0]
    assert whole == advance(start, FIELD, hours(6), (), NOW)[0]
    assert whole.filled_hours == 0


def test_rain_that_comes_late_counts() -> None:
    """An hour of unknown rain is waited for outdoors (S2)."""
    start = begin(NOW - 2 * HOUR, 30.0)
    unknown = [hour(1), hour(0, rain=math.nan)]
    booked, now = advance(start, FIELD, unknown, (), NOW)
    assert (booked.through, now.rainless_hours) == (NOW - HOUR, 1)
    fallen, _ = advance(booked, FIELD, [hour(1), hour(0, rain=7.0)], (), NOW)
    assert (fallen.rain_mm, fallen.rainless_hours) == (7.0, 0)


def test_an_hour_that_never_comes_is_filled_and_counted() -> None:
    """After a day (S2, S3), but nothing after the newest observation is ever booked."""
    start = begin(NOW - 30 * HOUR)
    gone = [replace(one, observed=one.at != NOW - 26 * HOUR) for one in hours(30)]
    booked, _ = advance(start, FIELD, gone, (), NOW)
    assert (booked.through, booked.filled_hours) == (NOW, 1)
    silent = [replace(one, observed=one.at < NOW - 26 * HOUR) for one in hours(30)]
    booked, now = advance(start, FIELD, silent, (), NOW)
    assert (booked.through, booked.filled_hours) == (NOW - 27 * HOUR, 0)
    assert (now.through, now.filled_hours) == (NOW, 27)


def test_a_start_is_assumed_and_told() -> None:
    """Outdoors at the first known hour; under a roof now, since water was given before (S4)."""
    known = [replace(one, observed=one.at > NOW - 5 * HOUR) for one in hours(10)]
    outdoors = soil_water.first_start(FIELD, known, NOW)
    assert outdoors == begin(NOW - 5 * HOUR)
    assert outdoors.start_assumed
    assert soil_water.first_start(ROOF, known, NOW) == begin(NOW)
    assert soil_water.first_start(FIELD, [], NOW) == begin(NOW)


def test_another_field_keeps_what_is_missing() -> None:
    """In mm; where the new root zone holds less, the rest is a correction (S5)."""
    start = begin(NOW, 60.0)
    deep = replace_field(root_depth_m=2.0)
    assert advance(start, deep, (), (), NOW)[1] == start
    sand = replace_field(soil="sand", root_depth_m=0.3)
    now = advance(start, sand, (), (), NOW)[1]
    assert now.depletion_mm == pytest.approx(22.5)
    assert now.corrected_mm == pytest.approx(-37.5)
    assert misses(now) < 1e-9


def replace_field(**keys: object) -> Irrigation:
    """Tomatoes on another field."""
    return Irrigation(crop="tomato", **keys)  # type: ignore[arg-type]


def test_a_gap_longer_than_the_hours_at_hand_is_counted() -> None:
    """Its hours have no demand, and are told as filled (S7)."""
    now = advance(begin(NOW - 100 * HOUR), FIELD, hours(10), (), NOW)[1]
    assert (now.filled_hours, now.rainless_hours) == (90, 90)
    assert now.demand_mm == pytest.approx(3.0)
    assert advance(begin(NOW - 100 * HOUR), ROOF, hours(10), (), NOW)[1].rainless_hours == 0


@pytest.mark.parametrize(
    ("pct", "missing"),
    [(25.0, 0.0), (30.0, 0.0), (46.3, 0.0), (15.0, 70.0), (6.0, TOTAL), (12.0, TOTAL)],
)
def test_a_plausible_reading_is_a_depletion(pct: float, missing: float) -> None:
    """Within 0 and the total, from half the wilting point to saturation."""
    assert field_hours.depletion_of(FIELD, pct) == pytest.approx(missing)


@pytest.mark.parametrize("pct", [0.0, -3.0, 5.9, 46.5, 100.0, math.nan])
def test_a_reading_that_cannot_be_is_none(pct: float) -> None:
    """An unplugged probe, one in the air, one that floats."""
    assert field_hours.depletion_of(FIELD, pct) is None


def frame(values: Sequence[float | None]) -> pl.DataFrame:
    """Hours from ten days before now with these temperatures."""
    times = [NOW + (i - 240) * HOUR for i in range(len(values))]
    made = pl.DataFrame(
        {TIME: times, "air_temperature_c": values, "relative_humidity_pct": 60.0},
        schema_overrides={TIME: TIME_DTYPE, "air_temperature_c": pl.Float64},
    )
    return clean(made)


def warm(count: int) -> list[float | None]:
    """Days of a summer, each a little warmer."""
    return [22 + 6 * math.sin(i / 24 * 2 * math.pi) + i / 100 for i in range(count)]


def test_a_missing_hour_is_like_that_hour_of_the_days_before() -> None:
    """Not of the days after, so that it stays what it was (S3)."""
    site = Site(37.5, 127.0, 40.0)
    values = warm(10 * 24)
    whole = hours_of(FIELD, frame(values), site)
    values[-25] = None
    gap = hours_of(FIELD, frame(values), site)
    at = len(values) - 25
    assert not gap[at].observed
    before = [whole[at - 24 * day].demand_mm for day in range(1, 8)]
    assert gap[at].demand_mm == pytest.approx(np.mean(before))
    shorter = hours_of(FIELD, frame(values[:-24]), site)[-1]
    assert shorter.demand_mm == pytest.approx(gap[at].demand_mm)


def test_an_hour_does_not_change_with_the_hours_after_it() -> None:
    """What is booked at once is what would be booked later (D3 of `demand`)."""
    site = Site(37.5, 127.0, 40.0)
    values = warm(6 * 24)
    whole = hours_of(FIELD, frame(values), site)
    for cut in range(24, 72):
        part = hours_of(FIELD, frame(values[: len(values) - cut]), site)
        at = len(part) - 1
        assert part[-1].demand_mm == pytest.approx(whole[at].demand_mm, abs=1e-9)


a_hour = st.tuples(
    st.floats(0.0, 1.2),
    st.one_of(st.just(0.0), st.floats(0.0, 80.0), st.just(math.nan)),
    st.booleans(),
)


@settings(max_examples=examples(150))
@given(
    st.lists(a_hour, min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.floats(0.1, 200.0)), max_size=6),
    st.lists(st.integers(0, 60), max_size=5),
    st.lists(st.floats(0.0, 200.0), max_size=3),
    st.booleans(),
    st.floats(0.0, TOTAL),
)
def test_sums_close_whatever_comes(
    raw: list[tuple[float, float, bool]],
    water: list[tuple[int, float]],
    stops: list[int],
    readings: list[float],
    covered: bool,
    start_mm: float,
) -> None:
    """Random hours, water, probes and cycles at any time: sums close, 0 to total, no hour twice."""
    field, count = (ROOF if covered else FIELD), len(raw)
    every = [
        FieldHour(NOW - (count - 1 - i) * HOUR, demand, 0.4, 0.0 if covered else rain, observed)
        for i, (demand, rain, observed) in enumerate(raw)
    ]
    pending = [Gift(i, NOW - back * HOUR, mm) for i, (back, mm) in enumerate(water)]
    state = begin(NOW - count * HOUR, start_mm)
    given_mm = 0.0
    for stop in [*sorted((min(s, count) for s in stops), reverse=True), 0, 0]:
        end = NOW - stop * HOUR
        now = [one for one in every if one.at <= end]
        ready = [gift for gift in pending if gift.at <= end]
        booked, told = advance(state, field, now, ready, end)
        for by_mm in readings:
            booked = corrected(booked, by_mm - told.depletion_mm, TOTAL)
            told = corrected(told, by_mm - told.depletion_mm, TOTAL)
        for one in (booked, told):
            assert misses(one) < 1e-6
            assert 0.0 <= one.depletion_mm <= TOTAL
            assert one.drained_mm >= 0.0
            assert one.rain_mm == 0.0 or not covered
        assert state.through <= booked.through <= told.through
        given_mm += sum(gift.mm for gift in ready if gift.at <= booked.through)
        assert booked.given_mm == pytest.approx(given_mm)
        pending = [gift for gift in pending if gift not in ready or gift.at > booked.through]
        state = booked
    rain = [one.rain_mm for one in every if one.at <= state.through and one.rain_mm > 0]
    assert state.rain_mm == pytest.approx(sum(rain))


@settings(max_examples=examples(60))
@given(st.lists(a_hour, min_size=2, max_size=60), st.data())
def test_where_cycles_fall_changes_nothing(
    raw: list[tuple[float, float, bool]], data: st.DataObject
) -> None:
    """Worked each hour, twice in an hour or after a day: the same state in the end (S2)."""
    count = len(raw)
    every = [
        FieldHour(
            NOW - (count - 1 - i) * HOUR,
            demand,
            0.4,
            0.0 if math.isnan(rain) else rain,
            observed=True,
        )
        for i, (demand, rain, _) in enumerate(raw)
    ]
    at_once = advance(begin(NOW - count * HOUR), FIELD, every, (), NOW)[0]
    state = begin(NOW - count * HOUR)
    for stop in sorted(data.draw(st.lists(st.integers(0, count), max_size=8)), reverse=True):
        end = NOW - stop * HOUR
        state = advance(state, FIELD, [one for one in every if one.at <= end], (), end)[0]
    assert advance(state, FIELD, every, (), NOW)[0] == at_once
