"""Watering advice (rules W1 to W5 of irrigation), crops, and the demand of hours (D1 to D3)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, get_args, get_type_hints

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given as given_by_hypothesis
from hypothesis import strategies as st

from edge_agent.agronomy import crops, field_hours, irrigation, soil_water, water_balance
from edge_agent.agronomy.demand import hourly_et0
from edge_agent.agronomy.irrigation import Advice, FieldConditions, NoAdvice
from edge_agent.agronomy.watering_hours import Shower
from edge_agent.contract.forecast import NoForecast, Source
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import TIME, TIME_DTYPE, Site
from edge_agent.settings import Irrigation
from tests.fakes.forecasts import NOW, forecast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.forecast import Forecast

HOUR = timedelta(hours=1)
SITE = Site(37.5714, 126.9658, 86.0)
HOURS = 24 * irrigation.HISTORY_DAYS
MISSING = pl.lit(None, pl.Float64)
TIMES = [NOW - back * HOUR for back in range(HOURS - 1, -1, -1)]


def weather(rain: float = 0.0, days: int = irrigation.HISTORY_DAYS) -> pl.DataFrame:
    """Warm summer days; rain in the last hour, if any."""
    step = np.arange(HOURS)
    # Warmest at 06 UTC, 15 h in Korea.
    warmth = np.cos((step + NOW.hour - HOURS + 1 - 6) / 24 * 2 * np.pi)
    frame = pl.DataFrame(
        {
            TIME: TIMES,
            "air_temperature_c": 24 + 5 * warmth,
            "relative_humidity_pct": np.round(60 - 15 * warmth),
            "rain_mm": np.where(step == HOURS - 1, rain, 0.0),
        },
        schema_overrides={TIME: TIME_DTYPE},
    )
    return clean(frame, start=TIMES[0], end=NOW).tail(24 * days)


def ahead(base: float = 24.0, source: Source = Source.MODEL) -> Forecast:
    """Two days of the same weather to come."""
    hours = [base + 5 * np.cos((NOW.hour + 1 + h - 6) / 24 * 2 * np.pi) for h in range(48)]
    return forecast(hours, source=source)


def advise(
    frame: pl.DataFrame | None = None,
    said: Forecast | NoForecast | None = None,
    now: datetime = NOW,
    moisture: float | None = None,
    showers: Mapping[datetime, Shower] | None = None,
    **keys: object,
) -> Advice | NoAdvice:
    """Advice for tomatoes on loam."""
    settings = msgspec.convert(
        {"crop": "tomato", "area_m2": 1000.0, "efficiency": 1.0} | keys, Irrigation
    )
    frame = weather() if frame is None else frame
    if moisture is None:
        hours = field_hours.hours_of(settings, frame, SITE)
        start = soil_water.begin(TIMES[0] - HOUR)
        state = soil_water.advance(start, settings, hours, (), NOW)[1]
    else:
        missing = field_hours.depletion_of(settings, moisture)
        assert missing is not None
        state = soil_water.begin(NOW, missing, assumed=False)
    conditions = FieldConditions(
        site=SITE,
        observations=frame,
        forecast=ahead() if said is None else said,
        showers=showers or {},
        water=state,
        measured=moisture is not None,
    )
    return irrigation.advise(settings, conditions, now, timedelta(hours=6))


def given(made: Advice | NoAdvice) -> Advice:
    """Advice that must not be refused."""
    assert isinstance(made, Advice)
    return made


def test_dry_soil_needs_what_is_missing_now() -> None:
    """At 15 % in loam of 0.7 m: 70 mm, no more than the soil holds; litres by the area (W2)."""
    made = given(advise(moisture=15.0))
    assert made.measured
    assert made.water.depletion_mm == pytest.approx(1000 * (0.25 - 0.15) * 0.7)
    assert made.need_mm == made.water.depletion_mm
    assert made.volume_l == pytest.approx(1000 * made.need_mm)


def test_wet_soil_needs_nothing() -> None:
    """At field capacity a day's use may be missing without harm (W2)."""
    made = given(advise(moisture=25.0))
    assert (made.need_mm, made.start, made.volume_l) == (0.0, None, 0.0)


def test_losses_are_added() -> None:
    """Half of the water lost on the way: twice as much to give."""
    assert given(advise(moisture=15.0, efficiency=0.5)).need_mm == pytest.approx(
        2 * given(advise(moisture=15.0)).need_mm
    )


def test_rain_is_water_unless_there_is_a_roof() -> None:
    """Ninety millimetres refill the soil outdoors and change nothing indoors (W1)."""
    wet = given(advise(frame=weather(rain=90.0))).water
    assert wet.depletion_mm == pytest.approx(0.0, abs=1e-9)
    assert wet.drained_mm == pytest.approx(90.0 - wet.demand_mm)
    roof = given(advise(frame=weather(rain=90.0), covered=True))
    assert roof.water == given(advise(frame=weather(), covered=True)).water
    assert roof.water.depletion_mm > 0


def test_best_hours_are_neither_hot_nor_frosty_nor_bright() -> None:
    """In a Korean summer the evening comes first; with frost at night no hour is good (W4)."""
    made = given(advise(moisture=15.0))
    assert made.start is not None
    assert made.end == made.start + 3 * HOUR
    korean = (made.start.hour + 9) % 24
    assert 17 <= korean <= 21
    frosty = given(advise(moisture=15.0, said=ahead(base=3.0)))
    assert frosty.need_mm > 0
    assert frosty.start is None


def rain(chance: float | None, amount: float | None, *, at: int = 24) -> dict[datetime, Shower]:
    """Two days without rain but for one hour."""
    hours = {NOW + lead * HOUR: Shower(10.0, 0.0) for lead in range(1, 49)}
    return hours | {NOW + at * HOUR: Shower(chance, amount)}


def test_likely_rain_is_taken_off() -> None:
    """What it brings beyond the day's use; what is less likely is not, nor rain on a roof (W2)."""
    dry = given(advise(moisture=15.0, showers=rain(10.0, 0.0)))
    assert dry.rain_mm == 0.0
    wet = given(advise(moisture=15.0, showers=rain(60.0, 8.0)))
    assert wet.rain_mm == 8.0
    # Under stress the crop uses less than its demand, so more of the rain is left.
    assert 8.0 - dry.demand_mm < dry.need_mm - wet.need_mm < 8.0
    for less in (rain(50.0, 8.0), rain(None, 8.0), rain(90.0, 8.0, at=25)):
        assert given(advise(moisture=15.0, showers=less)).need_mm == dry.need_mm
    roof = given(advise(moisture=15.0, showers=rain(90.0, 8.0), covered=True))
    assert (roof.rain_mm, roof.need_mm) == (0.0, dry.need_mm)


def test_promised_rain_puts_watering_off_once_or_twice() -> None:
    """With a little more missing than is readily available it waits, with more it does not (W3)."""
    readily = given(advise(moisture=25.0)).readily_mm
    day = given(advise(moisture=25.0)).demand_mm
    storm = rain(90.0, 200.0)

    def missing(depletion: float) -> float:
        return 100 * (0.25 - depletion / 700)

    assert given(advise(moisture=missing(readily - 1.0))).need_mm == pytest.approx(readily - 1.0)
    for early in (readily - 1.0, readily + day - 0.1):
        assert given(advise(moisture=missing(early), showers=storm)).need_mm == 0.0
    late = given(advise(moisture=missing(readily + day + 0.1), showers=storm)).need_mm
    assert late == pytest.approx(day + 0.1)


@given_by_hypothesis(
    st.floats(6.0, 46.0), st.one_of(st.none(), st.floats(0.0, 300.0)), st.floats(0.3, 1.0)
)
def test_need_is_within_what_the_soil_holds(
    moisture: float, promised: float | None, efficiency: float
) -> None:
    """Never negative, never more than is missing, whatever is promised (W2, W3)."""
    showers = rain(90.0, promised) if promised is not None else None
    made = given(advise(moisture=moisture, showers=showers, efficiency=efficiency))
    assert 0.0 <= made.need_mm * efficiency <= made.water.depletion_mm + 1e-9 <= 91.0 + 1e-6


def test_rain_that_is_not_known_is_not_none() -> None:
    """Without a forecast of rain for most of the day there is null, not 0 (W3)."""
    assert given(advise(moisture=15.0)).rain_mm is None
    hours = dict(list(rain(10.0, 0.0).items())[:18])
    assert given(advise(moisture=15.0, showers=hours)).rain_mm is None


def test_no_watering_before_likely_rain() -> None:
    """Neither in the hour itself nor in the six hours before it; under a roof at any time (W4)."""
    free = given(advise(moisture=15.0)).start
    assert free is not None
    for late in (0, 3, 6):
        at = int((free - NOW) / HOUR) + 3 + late
        moved = given(advise(moisture=15.0, showers=rain(60.0, 1.0, at=at))).start
        assert moved is None or moved >= NOW + at * HOUR
        roof = given(advise(moisture=15.0, showers=rain(60.0, 1.0, at=at), covered=True))
        assert roof.start == free
    after = int((free - NOW) / HOUR) + 3 + 7
    assert given(advise(moisture=15.0, showers=rain(60.0, 1.0, at=after))).start == free


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (advise(said=NoForecast(NOW, "no release")), "no release"),
        (advise(said=ahead(source=Source.CLIMATOLOGY)), "only normals"),
        (advise(now=NOW + 7 * HOUR), "7 h old"),
        (advise(weather().with_columns(rain_mm=MISSING)), "rain is known"),
        (advise(weather().with_columns(air_temperature_c=MISSING)), "no observation"),
        (
            advise(
                weather().with_columns(
                    relative_humidity_pct=pl.when(pl.col(TIME).dt.hour() % 2 == 1).then(60.0)
                )
            ),
            "only 168 were observed",
        ),
    ],
)
def test_refused_when_the_ground_is_thin(made: Advice | NoAdvice, reason: str) -> None:
    """No advice on old, missing or normal weather, and the reason is said (W5)."""
    assert isinstance(made, NoAdvice)
    assert reason in made.reason


def test_few_missing_hours_change_little() -> None:
    """A gap uses what that hour used on other days, never nothing (W1)."""
    gaps = weather().with_columns(
        air_temperature_c=pl.when(pl.col(TIME).dt.day() != 28).then(pl.col("air_temperature_c"))
    )
    whole, part = given(advise(covered=True)), given(advise(frame=gaps, covered=True))
    assert whole.demand_mm > 4.0, "a day left out would show"
    assert part.water.depletion_mm == pytest.approx(whole.water.depletion_mm, abs=1.0)


def test_demand_of_a_summer_day_is_plausible() -> None:
    """Warm Korean summer days use 3 to 7 mm, at night next to nothing (D2, D3)."""
    et0 = hourly_et0(weather(days=2), SITE)
    assert 3.0 < et0[-24:].sum() < 7.0
    night = [value for value, at in zip(et0, TIMES[-48:], strict=True) if at.hour in {15, 16, 17}]
    assert max(night) < 0.1


def test_missing_temperature_is_missing_demand() -> None:
    """An hour without temperature or humidity has no value (D1)."""
    frame = weather().with_columns(
        air_temperature_c=pl.when(pl.col(TIME) != NOW).then(pl.col("air_temperature_c"))
    )
    et0 = hourly_et0(frame, SITE)
    assert np.isnan(et0[-1])
    assert np.isfinite(et0[:-1]).all()


def test_measured_radiation_counts_before_guesses() -> None:
    """Radiation, then sunshine, then the temperature range; a value at night counts for nothing."""
    base = weather(days=1)
    dark = base.with_columns(solar_mj_m2=pl.lit(0.1))
    cloudy = base.with_columns(sunshine_h=pl.lit(0.0))
    bright = base.with_columns(sunshine_h=pl.lit(1.0))
    sums = [hourly_et0(f, SITE).sum() for f in (dark, cloudy, base, bright)]
    assert sums == sorted(sums)
    assert len(set(sums)) == 4


def test_crop_coefficient_follows_the_stages() -> None:
    """Tomato planted on 1 April: start, growth, mid-season, end, and beyond."""
    tomato = crops.CROPS["tomato"]
    planted = date(2026, 4, 1)
    days = (0, 30, 50, 70, 100, 115, 145, 300)
    found = [crops.coefficient(tomato, planted, planted + timedelta(days=d)) for d in days]
    assert found == pytest.approx([0.6, 0.6, 0.875, 1.15, 1.15, 1.15, 0.8, 0.8])
    assert crops.coefficient(tomato, None, planted) == 1.15


def test_soils_of_the_settings_are_those_of_the_balance() -> None:
    """Whoever adds a soil adds it to both."""
    assert set(get_args(get_type_hints(Irrigation)["soil"])) == set(water_balance.SOILS)


def test_every_crop_is_whole() -> None:
    """Limits in order, shares between 0 and 1, a source for each."""
    for name, crop in crops.CROPS.items():
        assert crop.low_c < crop.high_c, name
        assert 0 < crop.depletion < 1, name
        assert crop.source, name
