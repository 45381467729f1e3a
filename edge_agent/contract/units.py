"""Units that a sensor may report in, and how they become the units of `contract.schema`. Pure.

Each table maps a unit to scale and offset: value in the schema's unit = reported * scale + offset.
Inches, and millimetres of mercury at 0 C, follow NIST SP 811.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Conversions = Mapping[str, tuple[float, float]]

TEMPERATURE: Final = {"C": (1.0, 0.0), "F": (5 / 9, -160 / 9), "K": (1.0, -273.15)}
PERCENT: Final = {"%": (1.0, 0.0), "fraction": (100.0, 0.0)}
PRESSURE: Final = {
    "hPa": (1.0, 0.0),
    "kPa": (10.0, 0.0),
    "Pa": (0.01, 0.0),
    "mmHg": (1.333224, 0.0),
    "inHg": (33.86389, 0.0),
}
SPEED: Final = {
    "m/s": (1.0, 0.0),
    "km/h": (1 / 3.6, 0.0),
    "mph": (0.44704, 0.0),
    "kn": (1852 / 3600, 0.0),
}
DIRECTION: Final = {"deg": (1.0, 0.0)}
RAIN: Final = {"mm": (1.0, 0.0), "in": (25.4, 0.0)}
DISTANCE: Final = {"m": (1.0, 0.0), "km": (1000.0, 0.0)}
SOLAR: Final = {"W/m2": (0.0036, 0.0), "MJ/m2": (1.0, 0.0)}
"""W/m2 becomes the energy of a full hour at that power, so that the mean of an hour's readings is
the hour's energy."""

_WRITTEN: Final[Mapping[str, tuple[str, ...]]] = {
    # "\xa1\xe9" is the sign of degrees Celsius in Korean code page 949, read as Latin-1.
    "C": ("°c", "℃", "º c", "ºc", "degc", "deg c", "celsius", "\xa1\xe9"),
    "F": ("°f", "℉", "ºf", "degf", "deg f", "fahrenheit"),
    "K": ("°k", "kelvin"),
    "%": ("%rh", "% rh", "rh%", "pct", "percent", "\uff05"),
    "hPa": ("mbar", "mb"),
    "m/s": ("ms-1", "m s-1", "mps"),
    "km/h": ("kmh", "kph"),
    "mph": ("mi/h",),
    "kn": ("kt", "kts", "knots"),
    "deg": ("°", "º", "degrees"),
    "in": ("inch", '"'),
    "W/m2": ("w/m²", "w/m^2"),
    "MJ/m2": ("mj/m²", "mj/m^2"),
}
_BY_NAME: Final = {name: unit for unit, names in _WRITTEN.items() for name in names} | {
    unit.lower(): unit
    for table in (TEMPERATURE, PERCENT, PRESSURE, SPEED, DIRECTION, RAIN, DISTANCE, SOLAR)
    for unit in table
}


def named(text: str) -> str | None:
    """The unit that devices write like this, such as "°C"; None: none that is known."""
    return _BY_NAME.get(text.lower())
