"""Every quantity with its name, unit, labels and limits: written here and nowhere else.

Names follow CF standard names with the unit appended. Ranges are the limits outside which a value
is an instrument or transmission fault anywhere in Korea: KMA's national records (air temperature
41.0 C at Hongcheon 2018, -32.6 C at Yangpyeong 1981; hourly rain 145 mm at Suncheon 1998), each
widened so that a new record passes, and physical limits elsewhere.

Where a sensor hangs indoors or in the soil they do not hold: a closed house in the sun passes 50 C.
There `sensor_limits` are those of the instrument. For temperatures they leave out what a DS18B20
reports without a measurement, 85 C after power-on and -127 C without contact. `overshoot` is what
working sensors are known to read beyond: humidity up to 105 % in fog, radiation down to -30 W/m2 at
night (ISO 9060, zero offset of class C) and to 1,600 W/m2 at the edge of a cloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import polars as pl

from edge_agent.contract import units
from edge_agent.contract.quantity import HourMethod, Label, Limits, Quantity, TargetLimits

TIME: Final = "time"
"""Column of every observation frame: Datetime[us, UTC], the end of the hour it describes."""

TIME_DTYPE: Final = pl.Datetime("us", "UTC")


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

VPD: Final = "vapour_pressure_deficit_kpa"
WET_BULB: Final = "wet_bulb_c"

RAIN_CHANCE: Final = "rain_probability_pct"
"""KMA's chance of rain in the hour, in percent; `rain_mm` is the amount if it rains."""
SKY: Final = "sky_code"
"""KMA's sky: 1 clear, 3 mostly cloudy, 4 cloudy (2, partly cloudy, until June 2019)."""
PRECIPITATION: Final = "precipitation_code"
"""Kind: 0 none, 1 rain, 2 rain or snow, 3 snow, 4 shower; 5 to 7 the same as drops or flurries."""
NEW_SNOW: Final = "new_snow_cm"
"""New snow of the hour that ends at the valid hour, as `rain_mm` is its rain."""

ROLES: Final = ("outdoor", "indoor", "soil")
"""Where a farm's own sensor may hang."""


def _sheltered(low: float, high: float) -> dict[str, Limits]:
    return {"indoor": (low, high), "soil": (low, high)}


_MEASURED: Final = (
    Quantity(
        name=AIR_TEMPERATURE, short_name="temperature", unit="°C", low=-40.0, high=45.0,
        ko=Label.of("기온"), en=Label.of("air temperature", "Temperature"), step_per_hour=12.0,
        stuck_hours=12, neighbour_limit=8.0, sensor_units=units.TEMPERATURE,
        device_class="temperature",
        sensor_limits=_sheltered(-40.0, 80.0),
        target=TargetLimits(
            bias=(0.3, 1.0), bias_slack=0.1, leak_rmse=2.3, leak_share=0.70, correction=5.0,
            metric="temp",
        ),
    ),
    Quantity(
        name=RELATIVE_HUMIDITY, short_name="humidity", unit="%", low=1.0, high=100.0,
        ko=Label.of("상대습도", short="습도"),
        en=Label.of("relative humidity", "Relative humidity", "Humidity"), step_per_hour=65.0,
        stuck_hours=48, neighbour_limit=45.0, sensor_units=units.PERCENT, physical=(0.0, 100.0),
        digits=0, chart=(0.0, 100.0), device_class="humidity",
        overshoot=(0.0, 5.0),
        target=TargetLimits(
            bias=(2.0, 5.0), bias_slack=0.5, leak_rmse=13.0, leak_share=0.65, correction=20.0,
            metric="humid",
        ),
    ),
    Quantity(
        name=WIND_SPEED, short_name="wind_speed", unit="m/s", low=0.0, high=75.0,
        ko=Label.of("풍속"), en=Label.of("wind speed", "Wind speed"), step_per_hour=30.0,
        device_class="wind_speed", sensor_units=units.SPEED, overshoot=(1.0, 0.0),
        hourly=HourMethod.MEAN,
        chart=(0.0, None),
        target=TargetLimits(
            bias=(0.15, 0.4), bias_slack=0.05, leak_rmse=0.85, leak_share=0.70, correction=0.0,
            metric="wind", optional=True,
        ),
    ),
    Quantity(
        name=WIND_FROM_DIRECTION, short_name="wind_direction", unit="°", low=0.0, high=360.0,
        ko=Label.of("풍향"), en=Label.of("wind from direction", "Wind from"), chart=(0.0, 360.0),
        sensor_units=units.DIRECTION,
        overshoot=(180.0, 180.0), turn=360.0, hourly=HourMethod.DIRECTION,
    ),
    Quantity(
        name=STATION_PRESSURE, short_name="pressure", unit="hPa", low=850.0, high=1060.0,
        ko=Label.of("현지기압"), en=Label.of("station pressure"), step_per_hour=10.0,
        stuck_hours=12, sensor_units=units.PRESSURE,
    ),
    Quantity(
        name=SEA_LEVEL_PRESSURE, short_name="sea_level_pressure", unit="hPa", low=930.0,
        high=1060.0, ko=Label.of("해면기압"), en=Label.of("sea level pressure"),
        step_per_hour=10.0, stuck_hours=12, neighbour_limit=6.0, sensor_units=units.PRESSURE,
    ),
    Quantity(
        name=DEW_POINT, short_name="dew_point", unit="°C", low=-50.0, high=35.0,
        ko=Label.of("이슬점"), en=Label.of("dew point", "Dew point"), step_per_hour=26.0,
        device_class="temperature",
        stuck_hours=12, sensor_units=units.TEMPERATURE, sensor_limits=_sheltered(-50.0, 80.0),
    ),
    Quantity(
        name=VAPOUR_PRESSURE, short_name="vapour_pressure", unit="hPa", low=0.0, high=60.0,
        ko=Label.of("수증기압"), en=Label.of("vapour pressure"), step_per_hour=15.0,
        stuck_hours=24, sensor_units=units.PRESSURE, sensor_limits=_sheltered(0.0, 480.0),
    ),
    Quantity(
        name=RAIN, short_name="rain", unit="mm", low=0.0, high=200.0,
        ko=Label.of("강수량"), en=Label.of("rain", "Rain"), device_class="precipitation",
        sensor_units=units.RAIN,
        sensor_limits=dict.fromkeys(ROLES, (0.0, 100_000.0)), hourly=HourMethod.COUNTER, noise=0.5,
    ),
    Quantity(
        name=SUNSHINE, short_name="sunshine", unit="h", low=0.0, high=1.0,
        ko=Label.of("일조시간"), en=Label.of("sunshine"),
    ),
    Quantity(
        name=SOLAR, short_name="solar", unit="MJ/m²", low=0.0, high=4.6,
        ko=Label.of("일사량"), en=Label.of("solar radiation"), sensor_units=units.SOLAR,
        overshoot=(0.108, 1.16), hourly=HourMethod.POWER,
    ),
    Quantity(
        name=VISIBILITY, short_name="visibility", unit="m", low=0.0, high=100_000.0,
        ko=Label.of("시정"), en=Label.of("visibility"), sensor_units=units.DISTANCE,
    ),
    Quantity(
        name=GROUND_TEMPERATURE, short_name="ground_temperature", unit="°C", low=-50.0, high=80.0,
        ko=Label.of("지면온도"), en=Label.of("ground temperature"), step_per_hour=40.0,
        sensor_units=units.TEMPERATURE,
    ),
    Quantity(
        name=CLOUD, short_name="cloud", unit="tenths", low=0.0, high=10.0,
        ko=Label.of("운량"), en=Label.of("cloud"),
    ),
    Quantity(
        name=SOIL_MOISTURE, short_name="soil_moisture", unit="%", low=0.0, high=100.0,
        ko=Label.of("토양수분"), en=Label.of("soil moisture"), weather=False,
        sensor_units=units.PERCENT, digits=0, overshoot=(5.0, 5.0),
    ),
)  # fmt: skip
_DERIVED: Final = (
    Quantity(
        name=VPD, short_name="vpd", unit="kPa", low=0.0, high=10.0,
        ko=Label.of("수증기압차(VPD)", "VPD"), en=Label.of("vapour pressure deficit", "VPD"),
        digits=2,
    ),
    Quantity(
        name=WET_BULB, short_name="wet_bulb", unit="°C", low=-50.0, high=40.0,
        ko=Label.of("습구온도"), en=Label.of("wet-bulb temperature", "Wet bulb"),
        device_class="temperature",
    ),
)  # fmt: skip
_GUIDED: Final = (
    Quantity(
        name=RAIN_CHANCE, short_name="rain_probability", unit="%", low=0.0, high=100.0,
        ko=Label.of("강수확률"), en=Label.of("chance of rain", "Chance of rain"), weather=False,
        digits=0, chart=(0.0, 100.0),
    ),
    Quantity(
        name=PRECIPITATION, short_name="precipitation", unit="", low=0.0, high=7.0,
        ko=Label.of("강수 형태"), en=Label.of("kind of precipitation", "Precipitation"),
        weather=False, digits=0, code=True,
    ),
    Quantity(
        name=NEW_SNOW, short_name="new_snow", unit="cm", low=0.0, high=100.0,
        ko=Label.of("새로 쌓이는 눈", short="적설"), en=Label.of("new snow", "New snow"),
        weather=False, hourly=HourMethod.COUNTER,
    ),
    Quantity(
        name=SKY, short_name="sky", unit="", low=1.0, high=4.0,
        ko=Label.of("하늘 상태"), en=Label.of("sky", "Sky"), weather=False, digits=0, code=True,
    ),
)  # fmt: skip

MEASURED: Final = {quantity.name: quantity for quantity in _MEASURED}
"""What instruments measure, by name: the columns of every store of observations."""

DERIVED: Final = {quantity.name: quantity for quantity in _DERIVED}
"""What follows from air temperature and relative humidity: see `agronomy.derived`."""

GUIDED_ONLY: Final = {quantity.name: quantity for quantity in _GUIDED}
"""What KMA's forecast has and no instrument of a farm measures."""

QUANTITIES: Final = MEASURED | DERIVED | GUIDED_ONLY
"""Every quantity by name."""

SENSED: Final = tuple(name for name, quantity in MEASURED.items() if quantity.sensor_units)
"""What a farm's own sensor may measure."""

_LIMITS: Final = {q.name: q.target for q in _MEASURED if q.target}

TARGETS: Final = tuple(name for name, limits in _LIMITS.items() if not limits.optional)
"""What every release forecasts, in the order used everywhere."""

OPTIONAL_TARGETS: Final = tuple(name for name, limits in _LIMITS.items() if limits.optional)
"""What a release forecasts where stations measure it; see `contract.optional_targets`."""

POINTS: Final = (
    WIND_SPEED, WIND_FROM_DIRECTION, RAIN, RAIN_CHANCE, PRECIPITATION, NEW_SNOW, SKY,
)  # fmt: skip
"""What KMA's forecast gives as values without a spread: `Forecast.points`."""

FORECAST: Final = tuple(dict.fromkeys((*TARGETS, *POINTS, DEW_POINT, *DERIVED)))
"""Everything that a forecast may have: targets, points, and what follows from the targets."""

LEADS: Final = tuple(range(1, 49))
"""Hours ahead that a release covers."""

OBSERVED: Final = tuple(name for name, quantity in MEASURED.items() if quantity.weather)
"""Weather quantities of an observation frame, in column order."""


def target_limits(target: str) -> TargetLimits:
    """Limits of one of `TARGETS` or `OPTIONAL_TARGETS`.

    Raises:
        KeyError: The quantity is not forecast.
    """
    limits = QUANTITIES[target].target
    if limits is None:
        raise KeyError(target)
    return limits


def neighbour_limit(target: str) -> float:
    """Largest plausible departure of one of `TARGETS` from the stations around.

    Raises:
        KeyError: Stations around say little of it.
    """
    limit = QUANTITIES[target].neighbour_limit
    if limit is None:
        raise KeyError(target)
    return limit


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
