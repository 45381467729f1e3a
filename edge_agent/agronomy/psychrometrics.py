"""Moist air: saturation, vapour pressure, its deficit, wet bulb. Pure, element by element.

Temperatures in degrees Celsius, humidity in percent, pressures in kilopascal. NaN in, NaN out.
Every function takes numbers or arrays that broadcast together and returns a float64 array.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

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


def dew_point_c(temperature_c: npt.ArrayLike, humidity_pct: npt.ArrayLike) -> Array:
    """Temperature at which the air is saturated: the inverse of `saturation_kpa`.

    NaN where humidity is not above zero.
    """
    vapour = vapour_pressure_kpa(temperature_c, humidity_pct)
    logarithm = np.log(np.where(vapour > 0.0, vapour, np.nan) / 0.6108)
    return np.asarray(237.3 * logarithm / (17.27 - logarithm))


def deficit_kpa(temperature_c: npt.ArrayLike, humidity_pct: npt.ArrayLike) -> Array:
    """Vapour pressure deficit of the air, never below zero."""
    humidity = np.asarray(humidity_pct, dtype=np.float64)
    return np.maximum(saturation_kpa(temperature_c) * (1.0 - humidity / 100.0), 0.0)


def wet_bulb_c(
    temperature_c: npt.ArrayLike,
    humidity_pct: npt.ArrayLike,
    pressure_kpa: npt.ArrayLike = STANDARD_PRESSURE_KPA,
) -> Array:
    """Wet-bulb temperature from the psychrometer equation (FAO-56 equation 15), by Newton's method.

    Stull's closed form is off by up to 0.7 degrees in the cold, where frost is decided.
    """
    t, humidity, pressure = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (temperature_c, humidity_pct, pressure_kpa))
    )
    vapour = vapour_pressure_kpa(t, humidity)
    wet, factor = t.copy(), _PSYCHROMETER * pressure
    for _ in range(12):  # from above, where the equation is convex: it overshoots nowhere
        saturation = saturation_kpa(wet)
        slope = saturation * 17.27 * 237.3 / (wet + 237.3) ** 2 + factor
        wet = np.minimum(wet - (saturation - factor * (t - wet) - vapour) / slope, t)
    return np.asarray(wet)
