"""Moist air: saturation, vapour pressure deficit, dew point, wet bulb. Pure, element by element.

Temperatures in degrees Celsius, humidity in percent, pressures in kilopascal. NaN in, NaN out.
Every function takes numbers or arrays that broadcast together and returns a float64 array.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

VPD: Final = "vapour_pressure_deficit_kpa"
"""Name of the derived quantity in rules and messages."""

STANDARD_PRESSURE_KPA: Final = 101.325
_PSYCHROMETER: Final = 0.000662
"""Per degree, for a ventilated (Asmann) psychrometer: FAO-56 equation 16."""


def saturation_kpa(temperature_c: npt.ArrayLike) -> Array:
    """Saturation vapour pressure over water (FAO-56 equation 11, Tetens)."""
    t = np.asarray(temperature_c, dtype=np.float64)
    return np.asarray(0.6108 * np.exp(17.27 * t / (t + 237.3)))


def vapour_pressure_kpa(temperature_c: npt.ArrayLike, humidity_pct: npt.ArrayLike) -> Array:
    """Actual vapour pressure from relative humidity (FAO-56 equation 54)."""
    return saturation_kpa(temperature_c) * np.asarray(humidity_pct, dtype=np.float64) / 100.0


def deficit_kpa(temperature_c: npt.ArrayLike, humidity_pct: npt.ArrayLike) -> Array:
    """Vapour pressure deficit of the air, never below zero."""
    humidity = np.asarray(humidity_pct, dtype=np.float64)
    return np.maximum(saturation_kpa(temperature_c) * (1.0 - humidity / 100.0), 0.0)


def dew_point_c(temperature_c: npt.ArrayLike, humidity_pct: npt.ArrayLike) -> Array:
    """Dew point (Magnus form with the constants of WMO-No. 8); humidity above 0."""
    t = np.asarray(temperature_c, dtype=np.float64)
    g = np.log(np.asarray(humidity_pct, dtype=np.float64) / 100.0) + 17.62 * t / (t + 243.12)
    return np.asarray(243.12 * g / (17.62 - g))


def wet_bulb_c(
    temperature_c: npt.ArrayLike,
    humidity_pct: npt.ArrayLike,
    pressure_kpa: npt.ArrayLike = STANDARD_PRESSURE_KPA,
) -> Array:
    """Wet-bulb temperature from the psychrometer equation (FAO-56 equation 15), by bisection.

    Stull's closed form is off by up to 0.7 degrees in the cold, where frost is decided.
    """
    t, humidity, pressure = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (temperature_c, humidity_pct, pressure_kpa))
    )
    vapour = vapour_pressure_kpa(t, humidity)
    low, high = t - 60.0, t.copy()
    for _ in range(50):  # halves 60 degrees to less than the spacing of doubles
        middle = (low + high) / 2.0
        too_wet = saturation_kpa(middle) - _PSYCHROMETER * pressure * (t - middle) > vapour
        high = np.where(too_wet, middle, high)
        low = np.where(too_wet, low, middle)
    return np.where(np.isnan(vapour), np.nan, (low + high) / 2.0)


def heat_index_c(temperature_c: npt.ArrayLike, humidity_pct: npt.ArrayLike) -> Array:
    """Heat index of the US National Weather Service (Rothfusz 1990), for people at work.

    Below 80 F of the simple form the simple form is returned, as the service does.
    """
    f = np.asarray(temperature_c, dtype=np.float64) * 1.8 + 32.0
    r = np.asarray(humidity_pct, dtype=np.float64)
    simple = (0.5 * (f + 61.0 + (f - 68.0) * 1.2 + r * 0.094) + f) / 2.0
    full = (
        -42.379
        + 2.04901523 * f
        + 10.14333127 * r
        - 0.22475541 * f * r
        - 6.83783e-3 * f * f
        - 5.481717e-2 * r * r
        + 1.22874e-3 * f * f * r
        + 8.5282e-4 * f * r * r
        - 1.99e-6 * f * f * r * r
    )
    dry = (r < 13.0) & (f >= 80.0) & (f <= 112.0)
    full = full - np.where(
        dry, (13.0 - r) / 4.0 * np.sqrt(np.maximum(17.0 - np.abs(f - 95.0), 0.0) / 17.0), 0.0
    )
    wet = (r > 85.0) & (f >= 80.0) & (f <= 87.0)
    full = full + np.where(wet, (r - 85.0) / 10.0 * (87.0 - f) / 5.0, 0.0)
    return np.asarray((np.where(simple < 80.0, simple, full) - 32.0) / 1.8)
