"""Units that a sensor may report in, and how they become the units of `contract.schema`. Pure."""

from __future__ import annotations

from typing import Final

from edge_agent.contract import schema

_TEMPERATURE: Final = {"C": (1.0, 0.0), "F": (5 / 9, -160 / 9), "K": (1.0, -273.15)}
_PRESSURE: Final = {
    "hPa": (1.0, 0.0),
    "kPa": (10.0, 0.0),
    "Pa": (0.01, 0.0),
    "mmHg": (1.333224, 0.0),
    "inHg": (33.86389, 0.0),
}
_SPEED: Final = {
    "m/s": (1.0, 0.0),
    "km/h": (1 / 3.6, 0.0),
    "mph": (0.44704, 0.0),
    "kn": (1852 / 3600, 0.0),
}
_PERCENT: Final = {"%": (1.0, 0.0), "fraction": (100.0, 0.0)}

UNITS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    schema.AIR_TEMPERATURE: _TEMPERATURE,
    schema.DEW_POINT: _TEMPERATURE,
    schema.GROUND_TEMPERATURE: _TEMPERATURE,
    schema.RELATIVE_HUMIDITY: _PERCENT,
    schema.SOIL_MOISTURE: _PERCENT,
    schema.STATION_PRESSURE: _PRESSURE,
    schema.SEA_LEVEL_PRESSURE: _PRESSURE,
    schema.VAPOUR_PRESSURE: _PRESSURE,
    schema.WIND_SPEED: _SPEED,
    schema.WIND_FROM_DIRECTION: {"deg": (1.0, 0.0)},
    schema.RAIN: {"mm": (1.0, 0.0), "in": (25.4, 0.0)},
    schema.SOLAR: {"W/m2": (0.0036, 0.0), "MJ/m2": (1.0, 0.0)},
    schema.VISIBILITY: {"m": (1.0, 0.0), "km": (1000.0, 0.0)},
}
"""Unit -> (scale, offset) by quantity: value in the schema's unit = reported * scale + offset.

Solar radiation in W/m2 becomes the energy of a whole hour at that power, so that the mean of an
hour's readings is the hour's energy. Inches and millimetres of mercury at 0 C (NIST SP 811).
"""


def convert(value: float, quantity: str, unit: str) -> float:
    """`value` of `quantity`, reported in `unit`, in the schema's unit.

    Raises:
        KeyError: The quantity is no sensor's, or the unit is not one of its own.
    """
    scale, offset = UNITS[quantity][unit]
    return value * scale + offset
