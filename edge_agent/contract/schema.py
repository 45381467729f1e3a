"""Names, units, types and plausible ranges of every quantity: written here and nowhere else.

Names follow CF standard names with the unit appended. Ranges are the limits outside which a value
is an instrument or transmission fault anywhere in Korea: KMA's national records (air temperature
41.0 C at Hongcheon 2018, -32.6 C at Yangpyeong 1981; hourly rain 145 mm at Suncheon 1998), each
widened so that a new record passes, and physical limits elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import polars as pl

TIME: Final = "time"
"""Column of every observation frame: Datetime[us, UTC], the end of the hour it describes."""

TIME_DTYPE: Final = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured quantity.

    Attributes:
        name: Column name, unit included.
        unit: Unit as shown to people.
        low: Smallest plausible value, in the unit.
        high: Largest plausible value, in the unit.
        step_per_hour: Largest plausible change from one hour to the next, or None where jumps are
            natural.
        stuck_hours: Number of equal hourly values in a row that mean a stuck sensor, or None where
            long runs of one value are natural (dry weather, night, calm).
    """

    name: str
    unit: str
    low: float
    high: float
    step_per_hour: float | None
    stuck_hours: int | None


class Flag(IntEnum):
    """Quality of one value, kept beside it in the column `<name>_flag` (UInt8).

    A value with a flag other than GOOD or ACCUMULATED is null where models look; what was
    reported stays in the raw store.
    """

    GOOD = 0
    MISSING = 1
    RANGE = 2
    STEP = 3
    STUCK = 4
    INCONSISTENT = 5
    SOURCE = 6
    """The source itself says that the value is wrong."""
    NEIGHBOURS = 7
    """Stations around it disagree (trainer's side only)."""
    ACCUMULATED = 8
    """Rain of several hours reported at the last of them (KMA, November to March)."""


def flag_column(name: str) -> str:
    """Column that holds the flag of quantity `name`."""
    return f"{name}_flag"


AIR_TEMPERATURE: Final = "air_temperature_c"
RELATIVE_HUMIDITY: Final = "relative_humidity_pct"
WIND_SPEED: Final = "wind_speed_ms"
WIND_FROM_DIRECTION: Final = "wind_from_direction_deg"
STATION_PRESSURE: Final = "station_pressure_hpa"
SEA_LEVEL_PRESSURE: Final = "sea_level_pressure_hpa"
DEW_POINT: Final = "dew_point_c"
VAPOUR_PRESSURE: Final = "vapour_pressure_hpa"
RAIN: Final = "rain_mm"
SUNSHINE: Final = "sunshine_h"
SOLAR: Final = "solar_mj_m2"
VISIBILITY: Final = "visibility_m"
GROUND_TEMPERATURE: Final = "ground_temperature_c"
CLOUD: Final = "cloud_tenths"
SOIL_MOISTURE: Final = "soil_moisture_pct"

_ALL: Final = (
    Quantity(AIR_TEMPERATURE, "°C", -40.0, 45.0, 12.0, 12),
    Quantity(RELATIVE_HUMIDITY, "%", 1.0, 100.0, 65.0, 48),
    Quantity(WIND_SPEED, "m/s", 0.0, 75.0, 30.0, None),
    Quantity(WIND_FROM_DIRECTION, "°", 0.0, 360.0, None, None),
    Quantity(STATION_PRESSURE, "hPa", 850.0, 1060.0, 10.0, 12),
    Quantity(SEA_LEVEL_PRESSURE, "hPa", 930.0, 1060.0, 10.0, 12),
    Quantity(DEW_POINT, "°C", -50.0, 35.0, 26.0, 12),
    Quantity(VAPOUR_PRESSURE, "hPa", 0.0, 60.0, 15.0, 24),
    Quantity(RAIN, "mm", 0.0, 200.0, None, None),
    Quantity(SUNSHINE, "h", 0.0, 1.0, None, None),
    Quantity(SOLAR, "MJ/m²", 0.0, 4.6, None, None),
    Quantity(VISIBILITY, "m", 0.0, 100_000.0, None, None),
    Quantity(GROUND_TEMPERATURE, "°C", -50.0, 80.0, 40.0, None),
    Quantity(CLOUD, "tenths", 0.0, 10.0, None, None),
    Quantity(SOIL_MOISTURE, "%", 0.0, 100.0, None, None),
)

QUANTITIES: Final = {quantity.name: quantity for quantity in _ALL}
"""Every quantity by name."""

TARGETS: Final = (AIR_TEMPERATURE, RELATIVE_HUMIDITY)
"""What is forecast, in the order used everywhere."""

LEADS: Final = tuple(range(1, 49))
"""Hours ahead that a release covers."""

OBSERVED: Final = tuple(q.name for q in _ALL if q.name != SOIL_MOISTURE)
"""Weather quantities of an observation frame, in column order."""


def empty_frame() -> pl.DataFrame:
    """Observation frame without rows: `time` and every weather quantity as Float64."""
    return pl.DataFrame(
        schema={TIME: TIME_DTYPE} | dict.fromkeys(OBSERVED, pl.Float64),
    )


@dataclass(frozen=True, slots=True)
class Site:
    """A place. Latitude and longitude in degrees north and east, elevation in metres."""

    latitude: float
    longitude: float
    elevation_m: float
