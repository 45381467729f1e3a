"""Watering advice: how much, when, and why; or the reason why there is none. Pure.

W1  Depletion follows FAO-56 over the hours observed: demand of the crop takes away, rain
gives. It starts at field capacity. A soil moisture reading replaces it.
W2  Water given is not measured. Where no soil moisture is read, each time the readily
available water is used up it is taken as refilled, as advised.
W3  Need is what is missing at the end of the next 24 hours, when that is more than what is
readily available; else nothing is needed. Rain that is likely then, by KMA's forecast, is
taken off; under a roof it is not. Without that forecast the advice says so.
W4  Best hours: the first three in a row in which it neither freezes nor is rain likely (then or
in the six hours that follow), it is not hotter than 28 C and the sun is below 30 degrees.
W5  Refused when the newest observation is older than the limit, when a quarter of the hours
behind it is missing, or without a forecast. Normals are no forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl

from edge_agent.agronomy import crops, radiation, water_balance
from edge_agent.agronomy.demand import hourly_et0
from edge_agent.contract.forecast import Forecast, NoForecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE, RAIN, RELATIVE_HUMIDITY, TIME, TIME_DTYPE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from edge_agent.agronomy.psychrometrics import Array
    from edge_agent.contract.schema import Site

HISTORY_DAYS: Final = 14
MIN_KNOWN: Final = 0.75
HOT_C: Final = 28.0
FREEZING_C: Final = 2.0
FREEZING_CHANCE: Final = 0.2
HIGH_SUN_DEG: Final = 30.0
LIKELY_RAIN_PCT: Final = 60.0
"""KMA's forecasters call an hour rainy from here on."""
_HOUR: Final = timedelta(hours=1)
_DAY: Final = 24
_RUN: Final = 3
_AFTER: Final = 6


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
class Shower:
    """What KMA says of rain in one hour; None = not said."""

    chance_pct: float | None
    amount_mm: float | None

    @property
    def likely(self) -> bool:
        """Whether it is to be reckoned with."""
        return self.chance_pct is not None and self.chance_pct >= LIKELY_RAIN_PCT


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do with water.

    Attributes:
        need_mm: Water to give, over the area; 0 = nothing.
        volume_l: The same in litres; None without an area.
        start: First hour of the best ones, None when nothing is needed or no hour is good.
        end: End of the best hours.
        depletion_mm: Missing in the root zone now.
        readily_mm: What may be missing without harm.
        demand_mm: Use of the crop in the next 24 hours.
        measured: Whether a soil moisture reading stands behind it.
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


def advise(
    settings: Field,
    observations: pl.DataFrame,
    forecast: Forecast | NoForecast,
    site: Site,
    now: datetime,
    *,
    max_age: timedelta,
    soil_moisture_pct: float | None,
    showers: Mapping[datetime, Shower],
) -> Advice | NoAdvice:
    """Advice for the next 24 hours.

    Args:
        settings: The field and its crop.
        observations: Checked hourly grid of the last `HISTORY_DAYS` days, ends at or before `now`.
        forecast: Of temperature and humidity.
        site: Where.
        now: Time of the decision, UTC.
        max_age: Oldest newest observation to rest on.
        soil_moisture_pct: Volumetric water content of the root zone now; None = not measured.
        showers: What is forecast of rain, by hour; those not known are left out.
    """
    known = observations.filter(
        pl.col(AIR_TEMPERATURE).is_not_null() & pl.col(RELATIVE_HUMIDITY).is_not_null()
    )
    refusal = _refusal(known, observations.height, forecast, now, max_age)
    if not settings.covered and soil_moisture_pct is None and not refusal:
        seen = observations.height - observations[RAIN].null_count()
        if seen < MIN_KNOWN * observations.height:
            refusal = f"rain is known for only {seen} of the last {observations.height} hours"
    if refusal or isinstance(forecast, NoForecast):
        return NoAdvice(refusal)
    crop = crops.CROPS[settings.crop]
    planted = date.fromisoformat(settings.planted_on) if settings.planted_on else None
    factor = crops.coefficient(crop, planted, now.date())
    soil = water_balance.SOILS[settings.soil]
    depth = settings.root_depth_m or crop.root_depth_m
    total = water_balance.total_available_mm(soil, depth)
    ahead = _ahead(forecast, now)
    demand = float(np.nansum(hourly_et0(ahead, site))) * factor
    fraction = water_balance.depletion_fraction(crop.depletion, demand)
    readily = fraction * total
    if soil_moisture_pct is None:
        used = hourly_et0(observations, site) * factor
        rain = observations[RAIN].fill_null(0.0).to_numpy() * (not settings.covered)
        depletion = _depletion(_filled(used), rain, total, fraction)
    else:
        missing = soil.field_capacity - soil_moisture_pct / 100.0
        depletion = min(max(1000.0 * missing * depth, 0.0), total)
    rain_ahead = 0.0 if settings.covered else _rain(showers, now)
    later = water_balance.step(
        depletion,
        total_mm=total,
        fraction=fraction,
        demand_mm=demand,
        rain_mm=rain_ahead or 0.0,
    )
    need = later / settings.efficiency if later > readily else 0.0
    wet = set() if settings.covered else {at for at, one in showers.items() if one.likely}
    start = _best(forecast, site, now, wet) if need else None
    return Advice(
        need_mm=need,
        volume_l=need * settings.area_m2 if settings.area_m2 else None,
        start=start,
        end=start + _RUN * _HOUR if start else None,
        depletion_mm=depletion,
        readily_mm=readily,
        demand_mm=demand,
        measured=soil_moisture_pct is not None,
        rain_mm=rain_ahead,
    )


def _refusal(
    known: pl.DataFrame,
    hours: int,
    forecast: Forecast | NoForecast,
    now: datetime,
    max_age: timedelta,
) -> str:
    if isinstance(forecast, NoForecast):
        return forecast.reason
    if forecast.source is Source.CLIMATOLOGY:
        return "there is no forecast, only normals"
    if known.height == 0:
        return "there is no observation"
    age = now - known[TIME][-1]
    if age > max_age:
        return f"the newest observation is {age / _HOUR:.0f} h old, more than {max_age / _HOUR:g} h"
    if known.height < MIN_KNOWN * hours:
        return f"of the last {hours} hours only {known.height} were observed"
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


def _filled(used: Array) -> Array:
    """Missing hours as that hour of the day on the other days; 0 where no day has it."""
    filled = used.copy()
    for i in np.flatnonzero(np.isnan(used)):
        same = used[i % _DAY :: _DAY]
        filled[i] = np.nanmean(same) if np.isfinite(same).any() else 0.0
    return filled


def _depletion(used: Array, rain: Array, total: float, fraction: float) -> float:
    missing = 0.0
    for demand, fallen in zip(used, rain, strict=True):
        missing = water_balance.step(
            missing,
            total_mm=total,
            fraction=fraction,
            demand_mm=max(float(demand), 0.0),
            rain_mm=float(fallen),
        )
        if missing > fraction * total:
            missing = 0.0  # W2
    return missing


def _rain(showers: Mapping[datetime, Shower], now: datetime) -> float | None:
    """Likely rain of the next 24 hours; None where a quarter of them or more is not known."""
    day = [one for at, one in showers.items() if now < at <= now + _DAY * _HOUR]
    if sum(one.chance_pct is not None for one in day) <= MIN_KNOWN * _DAY:
        return None
    return sum(one.amount_mm or 0.0 for one in day if one.likely)


def _best(
    forecast: Forecast, site: Site, now: datetime, wet: Collection[datetime]
) -> datetime | None:
    target = forecast.targets[AIR_TEMPERATURE]
    freezing = target.probability("<=", FREEZING_C) >= FREEZING_CHANCE
    rows = [i for i, at in enumerate(forecast.valid_at) if at > now][:_DAY]
    good = []
    for i in rows:
        # An hour of rain is named by its start or by its end: neither is dry for certain.
        soon = (forecast.valid_at[i] - _HOUR, *forecast.valid_at[i : i + _AFTER + 1])
        harm = bool(freezing[i : i + _AFTER + 1].any()) or bool(target.values[i] > HOT_C)
        harm = harm or any(at in wet for at in soon)
        good.append(not harm and _sun_deg(forecast.valid_at[i] - _HOUR / 2, site) < HIGH_SUN_DEG)
    for first in range(len(rows) - _RUN + 1):
        if all(good[first : first + _RUN]):
            return forecast.valid_at[rows[first]] - _HOUR
    return None


def _sun_deg(at: datetime, site: Site) -> float:
    day = at.timetuple().tm_yday
    return float(
        radiation.elevation_deg(site.latitude, site.longitude, day, at.hour + at.minute / 60)
    )
