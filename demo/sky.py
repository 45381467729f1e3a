"""Solar elevation at a place, and solar energy under a cloud cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from demo.drivers import Series

_HORIZON = -0.0145  # sine of -0.83 degrees: refraction and the radius of the disc


def sine_of_elevation(
    latitude: float, longitude: float, day_of_year: Series, hour_kst: Series
) -> Series:
    """Sine of the sun's elevation (FAO-56 equations 24 and 31 to 33); negative at night.

    Args:
        latitude: Degrees north.
        longitude: Degrees east.
        day_of_year: 1 to 366.
        hour_kst: Moment of the day in hours, Korean time (UTC+9).
    """
    declination = 0.409 * np.sin(2 * np.pi * day_of_year / 365 - 1.39)
    season = 2 * np.pi * (day_of_year - 81) / 364
    equation = 0.1645 * np.sin(2 * season) - 0.1255 * np.cos(season) - 0.025 * np.sin(season)
    angle = np.pi / 12 * (hour_kst - 9 + longitude / 15 + equation - 12)
    phi = np.radians(latitude)
    height = np.sin(phi) * np.sin(declination)
    return np.asarray(height + np.cos(phi) * np.cos(declination) * np.cos(angle))


def daylight(latitude: float, longitude: float, day_of_year: Series, hour_kst: Series) -> Series:
    """True in hours (labelled at their end) in which the sun is up at any moment."""
    end = sine_of_elevation(latitude, longitude, day_of_year, hour_kst)
    begin = sine_of_elevation(latitude, longitude, day_of_year, hour_kst - 1)
    return np.asarray(np.maximum(begin, end) > _HORIZON)


def radiation(
    latitude: float, longitude: float, day_of_year: Series, hour_kst: Series, cloud: Series
) -> Series:
    """Solar energy in the hour that ends at `hour_kst`, MJ/m2, under a cloud cover of 0 to 1.

    Clear sky about 72 % of the extraterrestrial beam; cloud attenuation in the form of Kasten and
    Czeplak (1980), with an exponent that suits hourly mean cover.
    """
    sine = sine_of_elevation(latitude, longitude, day_of_year, hour_kst - 0.5)
    clear = 4.92 * 0.72 * np.maximum(sine, 0.0) ** 1.15
    return np.asarray(clear * (1 - 0.78 * cloud**2.2))
