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
