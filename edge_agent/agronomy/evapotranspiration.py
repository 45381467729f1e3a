"""Reference evapotranspiration of well-watered grass, FAO-56 Penman-Monteith (Allen et al. 1998).

Millimetres over the period. Float64 arrays that broadcast together; NaN in, NaN out. The hourly
form is FAO-56 equation 53 with 0.34 day and night, as printed there, not the revision of Allen et
al. (2006) with 0.24 and 0.96: where the two were compared they differ by 2 to 5 % of a summer hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_agent.agronomy import radiation
from edge_agent.agronomy.psychrometrics import Array, saturation_kpa, vapour_pressure_kpa

KELVIN: Final = 273.16
"""Zero Celsius as FAO-56 uses it in its radiation terms."""
FALLBACK_WIND_MS: Final = 2.0
"""Where wind is not measured: mean over more than 2000 stations (FAO-56, chapter 4)."""
NIGHT_CLEARNESS: Final = 0.8
"""Cloudiness of the night where the afternoon's is not known (FAO-56, example 19)."""


@dataclass(frozen=True, slots=True)
class Hourly:
    """Terms of one hour: `rn` and `g` in MJ/m2, `et0` in mm, others in the units of their name."""

    es_kpa: Array
    ea_kpa: Array
    slope_kpa_per_c: Array
    gamma_kpa_per_c: Array
    ra: Array
    rso: Array
    rn: Array
    g: Array
    et0: Array


def slope_kpa_per_c(temperature_c: npt.ArrayLike) -> Array:
    """Slope of the saturation curve (equation 13)."""
    t = np.asarray(temperature_c, dtype=np.float64)
    return np.asarray(4098.0 * saturation_kpa(t) / (t + 237.3) ** 2)


def pressure_kpa(elevation_m: npt.ArrayLike) -> Array:
    """Air pressure of a standard atmosphere at an elevation (equation 7)."""
    z = np.asarray(elevation_m, dtype=np.float64)
    return np.asarray(101.3 * ((293.0 - 0.0065 * z) / 293.0) ** 5.26)


def gamma_kpa_per_c(pressure: npt.ArrayLike) -> Array:
    """Psychrometric constant (equation 8)."""
    return np.asarray(0.665e-3 * np.asarray(pressure, dtype=np.float64))


def wind_at_2m(speed_ms: npt.ArrayLike, height_m: npt.ArrayLike) -> Array:
    """Wind speed at 2 m from that at another height over short grass (equation 47)."""
    z = np.asarray(height_m, dtype=np.float64)
    return np.asarray(np.asarray(speed_ms, dtype=np.float64) * 4.87 / np.log(67.8 * z - 5.42))


def hourly(
    temperature_c: npt.ArrayLike,
    humidity_pct: npt.ArrayLike,
    wind_2m_ms: npt.ArrayLike,
    solar_mj_m2: npt.ArrayLike,
    *,
    latitude_deg: float,
    longitude_deg: float,
    elevation_m: float,
    day_of_year: npt.ArrayLike,
    utc_hour: npt.ArrayLike,
    night_clearness: npt.ArrayLike = NIGHT_CLEARNESS,
) -> Hourly:
    """One hour of evapotranspiration (equation 53).

    Args:
        temperature_c: Mean air temperature of the hour.
        humidity_pct: Mean relative humidity.
        wind_2m_ms: Wind speed at 2 m.
        solar_mj_m2: Solar radiation of the hour, 0 at night.
        latitude_deg: Degrees north.
        longitude_deg: Degrees east.
        elevation_m: Metres above sea level.
        day_of_year: Of the UTC date.
        utc_hour: Midpoint of the hour, UTC.
        night_clearness: Solar over clear-sky radiation 2 to 3 h before sunset, used while the sun
            is down or near the horizon.
    """
    t = np.asarray(temperature_c, dtype=np.float64)
    es, ea = saturation_kpa(t), vapour_pressure_kpa(t, humidity_pct)
    slope = slope_kpa_per_c(t)
    gamma = gamma_kpa_per_c(pressure_kpa(elevation_m))
    angle = radiation.hour_angle(longitude_deg, day_of_year, utc_hour)
    ra = radiation.extraterrestrial_hour(latitude_deg, day_of_year, angle)
    rso = radiation.clear_sky(ra, elevation_m)
    sunset = radiation.sunset_angle(latitude_deg, day_of_year)
    # Near the horizon the ratio of two small numbers says nothing (FAO-56, page 75).
    low = np.abs(angle) > sunset - 0.79
    ratio = np.divide(solar_mj_m2, rso, out=np.ones(np.broadcast(solar_mj_m2, rso).shape),
                      where=rso > 0)  # fmt: skip
    clearness = np.where(low, night_clearness, ratio)
    rn = radiation.net_shortwave(solar_mj_m2) - radiation.net_longwave(
        (t + KELVIN) ** 4, ea, clearness, hours=1.0
    )
    g = np.where(ra > 0, 0.1, 0.5) * rn
    wind = np.asarray(wind_2m_ms, dtype=np.float64)
    et0 = (0.408 * slope * (rn - g) + gamma * 37.0 / (t + 273.0) * wind * (es - ea)) / (
        slope + gamma * (1.0 + 0.34 * wind)
    )
    return Hourly(es, ea, slope, gamma, ra, rso, rn, g, np.asarray(et0))


def daily(
    high_c: npt.ArrayLike,
    low_c: npt.ArrayLike,
    vapour_kpa: npt.ArrayLike,
    wind_2m_ms: npt.ArrayLike,
    solar_mj_m2: npt.ArrayLike,
    *,
    latitude_deg: float,
    elevation_m: float,
    day_of_year: npt.ArrayLike,
    soil_heat: npt.ArrayLike = 0.0,
) -> Array:
    """One day of evapotranspiration (equation 6).

    Args:
        high_c: Highest air temperature.
        low_c: Lowest air temperature.
        vapour_kpa: Actual vapour pressure; `saturation_kpa(low_c)` where humidity is missing.
        wind_2m_ms: Mean wind speed at 2 m; `FALLBACK_WIND_MS` where it is missing.
        solar_mj_m2: Solar radiation; see `radiation` for what to do where it is missing.
        latitude_deg: Degrees north.
        elevation_m: Metres above sea level.
        day_of_year: Day of the year.
        soil_heat: Heat flux into the soil, MJ/m2; 0 over single days.
    """
    high, low = np.asarray(high_c, dtype=np.float64), np.asarray(low_c, dtype=np.float64)
    mean = (high + low) / 2.0
    es = (saturation_kpa(high) + saturation_kpa(low)) / 2.0
    ea = np.asarray(vapour_kpa, dtype=np.float64)
    slope = slope_kpa_per_c(mean)
    gamma = gamma_kpa_per_c(pressure_kpa(elevation_m))
    rso = radiation.clear_sky(
        radiation.extraterrestrial_day(latitude_deg, day_of_year), elevation_m
    )
    kelvin4 = ((high + KELVIN) ** 4 + (low + KELVIN) ** 4) / 2.0
    rn = radiation.net_shortwave(solar_mj_m2) - radiation.net_longwave(
        kelvin4, ea, np.asarray(solar_mj_m2) / rso, hours=24.0
    )
    wind = np.asarray(wind_2m_ms, dtype=np.float64)
    energy = 0.408 * slope * (rn - np.asarray(soil_heat))
    drying = gamma * 900.0 / (mean + 273.0) * wind * (es - ea)
    return np.asarray((energy + drying) / (slope + gamma * (1.0 + 0.34 * wind)))


def hargreaves(
    high_c: npt.ArrayLike,
    low_c: npt.ArrayLike,
    *,
    latitude_deg: npt.ArrayLike,
    day_of_year: npt.ArrayLike,
) -> Array:
    """One day from temperatures alone (equation 52): the last resort."""
    high, low = np.asarray(high_c, dtype=np.float64), np.asarray(low_c, dtype=np.float64)
    ra = radiation.extraterrestrial_day(latitude_deg, day_of_year)
    spread = np.sqrt(np.maximum(high - low, 0.0))
    return np.asarray(0.0023 * ((high + low) / 2.0 + 17.8) * spread * 0.408 * ra)
