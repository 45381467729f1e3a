"""Watering advice: how much and when, or the reason why there is none. Pure.

W1  What is missing now is the state of `soil_water`, which the agent keeps from hour to hour. Water
    that was advised counts when it is reported as given, and rain when it was measured.
W2  Water is needed where more than the readily available water would be missing at the end of the
    next 24 hours. The need is what is missing now: the soil holds no more (FAO-56, chapter 8), and
    the use of the next day is missing tomorrow. Of it comes off what likely rain, by KMA's
    forecast, brings beyond the use of the day; under a roof no rain counts. Without that forecast
    the advice says so.
W3  Likely rain puts watering off only while no more than the readily available water and the use of
    one day (1 mm at least) are missing. Beyond that at least what is missing beyond the readily
    available water is needed, whatever rain is promised. So no promise holds for ever.
W4  The best hours are those of `watering_hours`.
W5  There is no advice when the newest observation is older than the limit, when a quarter of the
    hours before it is missing, or without a forecast. Normals are no forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.agronomy import crops, field_hours, water_balance
from edge_agent.agronomy.demand import hourly_et0
from edge_agent.agronomy.watering_hours import DURATION, MIN_KNOWN, best_hours, rain_ahead
from edge_agent.contract.forecast import Forecast, NoForecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE, RAIN, RELATIVE_HUMIDITY, TIME, TIME_DTYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.agronomy.field_hours import Field
    from edge_agent.agronomy.soil_water import SoilWater
    from edge_agent.agronomy.watering_hours import Shower
    from edge_agent.contract.schema import Site

HISTORY_DAYS: Final = 14
"""Days before now of which most hours must be known (W5)."""
_LEAST_PUT_OFF_MM: Final = 1.0
_HOUR: Final = timedelta(hours=1)
_DAY: Final = 24


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do with water.

    Attributes:
        need_mm: Water to give, over the area; 0 = nothing.
        volume_l: The same in litres; None without an area.
        start: First hour of the best ones, None when nothing is needed or no hour is good.
        end: End of the best hours.
        water: What is missing in the root zone now, and the sums that led to it.
        readily_mm: What may be missing without stress.
        demand_mm: Use of the crop in the next 24 hours.
        measured: Whether a soil moisture reading stands behind the depletion.
        rain_mm: Likely rain of the next 24 hours, 0 under a roof; None = not known.
    """

    need_mm: float
    volume_l: float | None
    start: datetime | None
    end: datetime | None
    water: SoilWater
    readily_mm: float
    demand_mm: float
    measured: bool
    rain_mm: float | None


@dataclass(frozen=True, slots=True)
class NoAdvice:
    """There is none; the reason is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class FieldConditions:
    """What is known about the weather and the soil of a field.

    Attributes:
        site: Where it is.
        observations: Checked hourly grid of the last `HISTORY_DAYS` days.
        forecast: Of temperature and humidity.
        showers: Forecast of rain by hour; hours that are not known are left out.
        water: State of the root zone now.
        measured: Whether a plausible soil moisture reading is in it.
    """

    site: Site
    observations: pl.DataFrame
    forecast: Forecast | NoForecast
    showers: Mapping[datetime, Shower]
    water: SoilWater
    measured: bool


def advise(
    field: Field, conditions: FieldConditions, now: datetime, max_age: timedelta
) -> Advice | NoAdvice:
    """Advice for the next 24 hours.

    Args:
        field: The field and its crop.
        conditions: Observations end at or before `now`.
        now: Time of the decision, UTC.
        max_age: Largest age of the newest observation.
    """
    refusal = _refusal(field, conditions, now, max_age)
    forecast = conditions.forecast
    if refusal or isinstance(forecast, NoForecast):
        return NoAdvice(refusal)
    et0 = float(np.nansum(hourly_et0(_ahead(forecast, now), conditions.site)))
    demand = et0 * field_hours.coefficient(field, now.date())
    fraction = water_balance.depletion_fraction(crops.CROPS[field.crop].depletion, demand)
    readily = fraction * field_hours.total_mm(field)
    rain = 0.0 if field.covered else rain_ahead(conditions.showers, now)
    need = _need(field, conditions.water.depletion_mm, demand, fraction, rain or 0.0)
    showers = {} if field.covered else conditions.showers
    start = best_hours(forecast, conditions.site, now, showers) if need else None
    return Advice(
        need_mm=need,
        volume_l=need * field.area_m2 if field.area_m2 else None,
        start=start,
        end=start + DURATION if start else None,
        water=conditions.water,
        readily_mm=readily,
        demand_mm=demand,
        measured=conditions.measured,
        rain_mm=rain,
    )


def _need(
    field: Field, depletion_mm: float, demand_mm: float, fraction: float, rain_mm: float
) -> float:
    """Water to give in mm, with what is lost on the way (W2, W3)."""
    total = field_hours.total_mm(field)
    readily = fraction * total
    later = water_balance.step(
        depletion_mm, total_mm=total, fraction=fraction, demand_mm=demand_mm, rain_mm=rain_mm
    )
    need = min(depletion_mm, later) if later > readily else 0.0
    if depletion_mm > readily + max(demand_mm, _LEAST_PUT_OFF_MM):
        need = max(need, depletion_mm - readily)
    return need / field.efficiency


def _refusal(field: Field, conditions: FieldConditions, now: datetime, max_age: timedelta) -> str:
    """Why there is no advice (W5); empty where there may be one."""
    forecast = conditions.forecast
    if isinstance(forecast, NoForecast):
        return forecast.reason
    if forecast.source is Source.CLIMATOLOGY:
        return "there is no forecast, only normals"
    needs_rain = not field.covered and not conditions.measured
    return _refused_by(conditions.observations, now, max_age, needs_rain=needs_rain)


def _refused_by(
    observations: pl.DataFrame, now: datetime, max_age: timedelta, *, needs_rain: bool
) -> str:
    complete = observations.drop_nulls([AIR_TEMPERATURE, RELATIVE_HUMIDITY])
    if complete.height == 0:
        return "there is no observation"
    age, hours = now - complete[TIME][-1], observations.height
    if age > max_age:
        return f"the newest observation is {age / _HOUR:.0f} h old, more than {max_age / _HOUR:g} h"
    if complete.height < MIN_KNOWN * hours:
        return f"of the last {hours} hours only {complete.height} were observed"
    rain = hours - observations[RAIN].null_count()
    if needs_rain and rain < MIN_KNOWN * hours:
        return f"rain is known for only {rain} of the last {hours} hours"
    return ""


def _ahead(forecast: Forecast, now: datetime) -> pl.DataFrame:
    rows = [i for i, at in enumerate(forecast.valid_at) if at > now][:_DAY]
    return pl.DataFrame(
        {
            TIME: [forecast.valid_at[i] for i in rows],
            **{
                name: forecast.targets[name].values[rows]
                for name in (AIR_TEMPERATURE, RELATIVE_HUMIDITY)
            },
        },
        schema_overrides={TIME: TIME_DTYPE},
    )
