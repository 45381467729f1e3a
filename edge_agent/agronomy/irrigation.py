"""Watering advice: how much and when, or the reason why there is none. Pure.

W1  Depletion follows FAO-56 over the hours observed: the crop uses water, rain adds it. It starts
    at field capacity. A soil moisture reading replaces it.
W2  Nobody measures the water that is given. Without a soil moisture reading the soil counts as
    refilled, as advised, each time the readily available water is used up.
W3  The need is what is missing at the end of the next 24 hours, if that is more than what is
    readily available; else nothing is needed. Likely rain, by KMA's forecast, is taken off, except
    under a roof. Without that forecast the advice says so.
W4  The best hours are those of `watering_hours`.
W5  There is no advice when the newest observation is older than the limit, when a quarter of the
    hours before it is missing, or without a forecast. Normals are no forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl

from edge_agent.agronomy import crops, water_balance
from edge_agent.agronomy.demand import hourly_et0
from edge_agent.agronomy.watering_hours import DURATION, MIN_KNOWN, best_hours, rain_ahead
from edge_agent.contract.forecast import Forecast, NoForecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE, RAIN, RELATIVE_HUMIDITY, TIME, TIME_DTYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.agronomy.psychrometrics import Array
    from edge_agent.agronomy.watering_hours import Shower
    from edge_agent.contract.schema import Site

HISTORY_DAYS: Final = 14
_HOUR: Final = timedelta(hours=1)
_DAY: Final = 24


class Field(Protocol):
    """A field that is watered: `settings.Irrigation`, with a crop."""

    @property
    def crop(self) -> str:
        """Name in `crops.CROPS`."""

    @property
    def soil(self) -> str:
        """Name in `water_balance.SOILS`."""

    @property
    def root_depth_m(self) -> float:
        """0: the crop's own."""

    @property
    def covered(self) -> bool:
        """Under a roof: rain does not count."""

    @property
    def area_m2(self) -> float:
        """0: advice without litres."""

    @property
    def planted_on(self) -> str:
        """Date; empty: the crop's middle stage."""

    @property
    def efficiency(self) -> float:
        """Share of the water given that reaches the roots."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do with water.

    Attributes:
        need_mm: Water to give, over the area; 0 = nothing.
        volume_l: The same in litres; None without an area.
        start: First hour of the best ones, None when nothing is needed or no hour is good.
        end: End of the best hours.
        depletion_mm: Missing in the root zone now.
        readily_mm: What may be missing without stress.
        demand_mm: Use of the crop in the next 24 hours.
        measured: Whether depletion is from a soil moisture reading.
        rain_mm: Likely rain of the next 24 hours, 0 under a roof; None = not known.
    """

    need_mm: float
    volume_l: float | None
    start: datetime | None
    end: datetime | None
    depletion_mm: float
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
        soil_moisture_pct: Volumetric water content of the root zone now; None = not measured.
    """

    site: Site
    observations: pl.DataFrame
    forecast: Forecast | NoForecast
    showers: Mapping[datetime, Shower]
    soil_moisture_pct: float | None


@dataclass(frozen=True, slots=True)
class _RootZone:
    """Root zone of the field, and what its crop uses.

    Attributes:
        soil: Of the field.
        depth_m: Depth of the roots.
        factor: Crop coefficient of the day.
        demand_mm: Use of the crop in the next 24 hours.
        fraction: Share of the available water that can be used without stress.
    """

    soil: water_balance.Soil
    depth_m: float
    factor: float
    demand_mm: float
    fraction: float

    @property
    def total_mm(self) -> float:
        return water_balance.total_available_mm(self.soil, self.depth_m)

    @property
    def readily_mm(self) -> float:
        return self.fraction * self.total_mm

    def after(self, depletion_mm: float, demand_mm: float, rain_mm: float) -> float:
        """Depletion after a period with this demand and rain."""
        return water_balance.step(
            depletion_mm,
            total_mm=self.total_mm,
            fraction=self.fraction,
            demand_mm=demand_mm,
            rain_mm=rain_mm,
        )


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
    zone = _root_zone(field, forecast, conditions.site, now)
    depletion = _depletion(zone, conditions, covered=field.covered)
    rain = 0.0 if field.covered else rain_ahead(conditions.showers, now)
    later = zone.after(depletion, zone.demand_mm, rain or 0.0)
    need = later / field.efficiency if later > zone.readily_mm else 0.0
    showers = {} if field.covered else conditions.showers
    start = best_hours(forecast, conditions.site, now, showers) if need else None
    return Advice(
        need_mm=need,
        volume_l=need * field.area_m2 if field.area_m2 else None,
        start=start,
        end=start + DURATION if start else None,
        depletion_mm=depletion,
        readily_mm=zone.readily_mm,
        demand_mm=zone.demand_mm,
        measured=conditions.soil_moisture_pct is not None,
        rain_mm=rain,
    )


def _refusal(field: Field, conditions: FieldConditions, now: datetime, max_age: timedelta) -> str:
    """Why there is no advice (W5); empty where there may be one."""
    forecast = conditions.forecast
    if isinstance(forecast, NoForecast):
        return forecast.reason
    if forecast.source is Source.CLIMATOLOGY:
        return "there is no forecast, only normals"
    needs_rain = not field.covered and conditions.soil_moisture_pct is None
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


def _root_zone(field: Field, forecast: Forecast, site: Site, now: datetime) -> _RootZone:
    crop = crops.CROPS[field.crop]
    planted = date.fromisoformat(field.planted_on) if field.planted_on else None
    factor = crops.coefficient(crop, planted, now.date())
    demand = float(np.nansum(hourly_et0(_ahead(forecast, now), site))) * factor
    return _RootZone(
        soil=water_balance.SOILS[field.soil],
        depth_m=field.root_depth_m or crop.root_depth_m,
        factor=factor,
        demand_mm=demand,
        fraction=water_balance.depletion_fraction(crop.depletion, demand),
    )


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


def _filled(used: Array) -> Array:
    """Missing hours as that hour of the day on the other days; 0 where no day has it."""
    filled = used.copy()
    for i in np.flatnonzero(np.isnan(used)):
        same = used[i % _DAY :: _DAY]
        filled[i] = np.nanmean(same) if np.isfinite(same).any() else 0.0
    return filled


def _depletion(zone: _RootZone, conditions: FieldConditions, *, covered: bool) -> float:
    """Water missing now: by the soil moisture reading, else by the balance of the hours (W1)."""
    if conditions.soil_moisture_pct is not None:
        missing = zone.soil.field_capacity - conditions.soil_moisture_pct / 100.0
        return min(max(1000.0 * missing * zone.depth_m, 0.0), zone.total_mm)
    used = _filled(hourly_et0(conditions.observations, conditions.site) * zone.factor)
    rain = conditions.observations[RAIN].fill_null(0.0).to_numpy() * (not covered)
    depletion = 0.0
    for demand, fallen in zip(used, rain, strict=True):
        depletion = zone.after(depletion, max(float(demand), 0.0), float(fallen))
        if depletion > zone.readily_mm:
            depletion = 0.0  # W2
    return depletion
