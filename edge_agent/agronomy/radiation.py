"""Solar geometry and radiation balance of grass after FAO-56 (Allen et al. 1998). Pure.

Float64 arrays that broadcast together; NaN in, NaN out.
Energy in MJ/m2 over the period, angles in radians unless named in degrees.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from edge_agent.agronomy.psychrometrics import Array

_SOLAR_CONSTANT: Final = 0.0820
"""MJ/m2 per minute."""
ALBEDO: Final = 0.23
_STEFAN_BOLTZMANN_DAY: Final = 4.903e-9
"""MJ/K4/m2 per day."""


def _sun(day_of_year: npt.ArrayLike) -> tuple[Array, Array]:
    """Inverse relative distance (equation 23) and declination (equation 24)."""
    j = np.asarray(day_of_year, dtype=np.float64)
    return (
        np.asarray(1.0 + 0.033 * np.cos(2 * math.pi * j / 365)),
        np.asarray(0.409 * np.sin(2 * math.pi * j / 365 - 1.39)),
    )


def sunset_angle(latitude_deg: npt.ArrayLike, day_of_year: npt.ArrayLike) -> Array:
    """Hour angle of sunset (equation 25); 0 in polar night, pi in polar day."""
    _, declination = _sun(day_of_year)
    latitude = np.radians(np.asarray(latitude_deg, dtype=np.float64))
    return np.asarray(np.arccos(np.clip(-np.tan(latitude) * np.tan(declination), -1.0, 1.0)))


def daylight_h(latitude_deg: npt.ArrayLike, day_of_year: npt.ArrayLike) -> Array:
    """Hours from sunrise to sunset (equation 34)."""
    return np.asarray(24.0 / math.pi * sunset_angle(latitude_deg, day_of_year))


def extraterrestrial_day(latitude_deg: npt.ArrayLike, day_of_year: npt.ArrayLike) -> Array:
    """Radiation above the atmosphere over a day (equation 21)."""
    distance, declination = _sun(day_of_year)
    latitude = np.radians(np.asarray(latitude_deg, dtype=np.float64))
    sunset = sunset_angle(latitude_deg, day_of_year)
    return np.asarray(
        24 * 60 / math.pi * _SOLAR_CONSTANT * distance
        * (
            sunset * np.sin(latitude) * np.sin(declination)
            + np.cos(latitude) * np.cos(declination) * np.sin(sunset)
        )
    )  # fmt: skip


def hour_angle(
    longitude_deg: npt.ArrayLike, day_of_year: npt.ArrayLike, utc_hour: npt.ArrayLike
) -> Array:
    """Solar hour angle (equations 31 to 33), 0 at solar noon, within -pi to pi.

    Args:
        longitude_deg: Degrees east.
        day_of_year: Of the UTC date.
        utc_hour: Midpoint of the period, UTC, 0..24.
    """
    b = 2 * math.pi * (np.asarray(day_of_year, dtype=np.float64) - 81) / 364
    correction = 0.1645 * np.sin(2 * b) - 0.1255 * np.cos(b) - 0.025 * np.sin(b)
    solar = np.asarray(utc_hour) + np.asarray(longitude_deg) / 15.0 + correction
    return np.asarray((math.pi / 12 * (solar - 12) + math.pi) % (2 * math.pi) - math.pi)


def elevation_deg(
    latitude_deg: float, longitude_deg: float, day_of_year: float, utc_hour: float
) -> Array:
    """Height of the sun above the horizon, negative at night."""
    _, declination = _sun(day_of_year)
    latitude = math.radians(latitude_deg)
    angle = hour_angle(longitude_deg, day_of_year, utc_hour)
    sine = math.sin(latitude) * np.sin(declination) + math.cos(latitude) * np.cos(
        declination
    ) * np.cos(angle)
    return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))))


def extraterrestrial_hour(
    latitude_deg: npt.ArrayLike, day_of_year: npt.ArrayLike, angle: npt.ArrayLike
) -> Array:
    """Radiation above the atmosphere over an hour (equation 28); 0 at night.

    Args:
        latitude_deg: Degrees north.
        day_of_year: Day of the year.
        angle: `hour_angle` at the midpoint of the hour.
    """
    distance, declination = _sun(day_of_year)
    latitude = np.radians(np.asarray(latitude_deg, dtype=np.float64))
    sunset = sunset_angle(latitude_deg, day_of_year)
    middle = np.asarray(angle, dtype=np.float64)
    first = np.clip(middle - math.pi / 24, -sunset, sunset)
    last = np.clip(middle + math.pi / 24, -sunset, sunset)
    energy = 12 * 60 / math.pi * _SOLAR_CONSTANT * distance * (
        (last - first) * np.sin(latitude) * np.sin(declination)
        + np.cos(latitude) * np.cos(declination) * (np.sin(last) - np.sin(first))
    )  # fmt: skip
    return np.asarray(np.maximum(energy, 0.0))


def clear_sky(extraterrestrial: npt.ArrayLike, elevation_m: npt.ArrayLike) -> Array:
    """Solar radiation under a clear sky (equation 37)."""
    return np.asarray((0.75 + 2e-5 * np.asarray(elevation_m)) * np.asarray(extraterrestrial))


def from_sunshine(
    extraterrestrial: npt.ArrayLike, sunshine_h: npt.ArrayLike, daylight: npt.ArrayLike
) -> Array:
    """Solar radiation from hours of sunshine (equation 35, a = 0.25, b = 0.50)."""
    share = np.clip(np.asarray(sunshine_h) / np.asarray(daylight), 0.0, 1.0)
    return np.asarray((0.25 + 0.50 * share) * np.asarray(extraterrestrial))


def from_temperature_range(
    extraterrestrial: npt.ArrayLike, high_c: npt.ArrayLike, low_c: npt.ArrayLike, *, coast: bool
) -> Array:
    """Solar radiation of a day from its temperature range (equation 50, Hargreaves).

    Args:
        extraterrestrial: Of the day.
        high_c: Highest temperature.
        low_c: Lowest temperature.
        coast: Near a large water (coefficient 0.19 instead of 0.16).
    """
    spread = np.sqrt(np.maximum(np.asarray(high_c) - np.asarray(low_c), 0.0))
    return np.asarray((0.19 if coast else 0.16) * spread * np.asarray(extraterrestrial))


def net_shortwave(solar: npt.ArrayLike) -> Array:
    """Absorbed solar radiation (equation 38)."""
    return np.asarray((1.0 - ALBEDO) * np.asarray(solar, dtype=np.float64))


def net_longwave(
    kelvin4: npt.ArrayLike, vapour_kpa: npt.ArrayLike, clearness: npt.ArrayLike, *, hours: float
) -> Array:
    """Outgoing long-wave radiation (equation 39), for a day or for one hour.

    Args:
        kelvin4: Absolute temperature to the fourth power; over a day the mean of the fourth powers
            of the highest and the lowest.
        vapour_kpa: Actual vapour pressure.
        clearness: Solar over clear-sky radiation; limited to 0.3..1.
        hours: Length of the period, 24 or 1.
    """
    share = np.clip(np.asarray(clearness, dtype=np.float64), 0.3, 1.0)
    return np.asarray(
        _STEFAN_BOLTZMANN_DAY * hours / 24.0
        * np.asarray(kelvin4)
        * (0.34 - 0.14 * np.sqrt(np.asarray(vapour_kpa)))
        * (1.35 * share - 0.35)
    )  # fmt: skip
