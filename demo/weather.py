"""Weather of one place from the systems that pass over it: continuous values, not rounded."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from demo import normals, sky

if TYPE_CHECKING:
    from demo.drivers import Series, Spectrum, Synthesis
    from demo.places import Place

_HOURS_PER_DEGREE: Final = 2.0  # a system that moves 12 m/s crosses 88 km of longitude in 2 h
_REFERENCE_LATITUDE: Final = 37.57
_REFERENCE_LONGITUDE: Final = 126.97
_LAPSE_C_PER_M: Final = 0.0065
SHARED: Final = ("pressure", "air_mass", "season", "moisture")
"""Systems that all stations see."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Hourly axis in Korean time; each array has one value an hour, labelled at its end."""

    year_share: Series
    day_of_year: Series
    hour: Series


@dataclass(frozen=True, slots=True)
class Weather:
    """Hourly series of one place: C, C, m/s, m/s, hPa, hPa, mm, 0-1, MJ/m2, bool, C."""

    temperature: Series
    dew_point: Series
    wind_east: Series
    wind_north: Series
    sea_pressure: Series
    station_pressure: Series
    rain: Series
    cloud: Series
    energy: Series
    sun_up: Series
    ground: Series


class Systems:
    """Weather systems as they reach one place.

    Args:
        place: Where; its longitude sets the delay, its latitude the mixture of two tracks.
        synthesis: The hourly axis.
        shared: Noise (southern track, northern track) of each of `SHARED`.
        rng: Local detail.
    """

    def __init__(
        self,
        place: Place,
        synthesis: Synthesis,
        shared: dict[str, tuple[Spectrum, Spectrum]],
        rng: np.random.Generator,
    ) -> None:
        self._synthesis, self._shared, self._rng = synthesis, shared, rng
        self._lag = (place.longitude - _REFERENCE_LONGITUDE) * _HOURS_PER_DEGREE
        northness = np.clip((place.latitude - 33.0) / 5.5, 0.0, 1.0)
        self._track = np.radians(60.0 * northness)
        beat = synthesis.passing_systems(5.2, 0.7)
        pressure = self._noise("pressure", 0.12)
        tendency = 1j * synthesis.omega * beat / (1 + 1j * synthesis.omega * 3 / 24)
        self.high = synthesis.series(pressure, beat, self._lag)
        """Pressure anomaly in standard deviations."""
        self.falling = synthesis.series(pressure, -tendency, self._lag)
        """How fast the pressure falls, in standard deviations."""
        self.air_mass = self._passing("air_mass", 0.2, 2.8, 4.0)
        self.season = self._passing("season", 0.1, 12.0, 24.0)
        # Moist air masses follow each other at an irregular period of their own. Lows are humid,
        # most of all ahead of their centre.
        tongues = synthesis.passing_systems(4.2, 0.4)
        humid = synthesis.series(self._noise("moisture", 0.35), tongues, self._lag)
        self.moisture = -0.50 * self.high + 0.34 * self.falling + 0.80 * humid

    def local(self, days: float, smooth_hours: float = 0.0) -> Series:
        """Detail that no other place shares, with a memory of `days`."""
        return self._synthesis.series(
            self._synthesis.noise(self._rng), self._synthesis.relaxing(days, smooth_hours)
        )

    def _passing(self, name: str, own: float, days: float, smooth_hours: float) -> Series:
        transfer = self._synthesis.relaxing(days, smooth_hours)
        return self._synthesis.series(self._noise(name, own), transfer, self._lag)

    def _noise(self, name: str, own: float) -> Spectrum:
        south, north = self._shared[name]
        common = np.cos(self._track) * south + np.sin(self._track) * north
        mixed = np.sqrt(1 - own**2) * common + own * self._synthesis.noise(self._rng)
        return np.asarray(mixed)


def weather_at(place: Place, calendar: Calendar, systems: Systems) -> Weather:
    """Weather of `place`, hour by hour."""

    def monthly(table: tuple[float, ...]) -> Series:
        return normals.at(table, calendar.year_share)

    cloudiness = 0.95 * systems.moisture + 0.6 * systems.local(0.2) + monthly(normals.CLOUD_SHIFT)
    cloud = 1 / (1 + np.exp(-2.4 * cloudiness))
    sun = (place.latitude, place.longitude, calendar.day_of_year, calendar.hour)
    energy = sky.radiation(*sun, cloud)
    rain = _rain(systems, calendar)

    swing, daily_energy = _heating(energy)
    swing *= monthly(normals.HEATING)
    slow = (
        monthly(normals.TEMPERATURE_C)
        + monthly(normals.LATITUDE_TREND_C) * (place.latitude - _REFERENCE_LATITUDE)
        - _LAPSE_C_PER_M * (place.elevation_m - 86.0)
        + monthly(normals.SYNOPTIC_C)
        * (0.52 * systems.falling + 0.76 * systems.air_mass + 0.39 * systems.season)
    )
    temperature = slow + swing + 0.65 * systems.local(0.12) - 0.6 * np.minimum(rain, 3.0)
    depression = monthly(normals.DEPRESSION_C) - monthly(normals.DEPRESSION_SPREAD_C) * (
        0.90 * systems.moisture + 0.45 * systems.local(0.12)
    )
    depression = np.where(rain > 0, 0.55, 1.0) * _at_least(depression, 0.8)
    dew_point = np.minimum(slow - depression + 0.1 * swing, temperature - 0.1)

    sea_pressure = (
        monthly(normals.SEA_PRESSURE_HPA)
        + monthly(normals.PRESSURE_SPREAD_HPA) * systems.high
        + 0.15 * systems.local(0.08)
        + 0.7 * np.cos(2 * np.pi * (calendar.hour - 6) / 24)
        + 0.6 * np.cos(2 * np.pi * (calendar.hour - 9.5) / 12)
    )
    mean_kelvin = temperature + _LAPSE_C_PER_M * place.elevation_m / 2 + 273.15
    station_pressure = sea_pressure * np.exp(-0.0341632 * place.elevation_m / mean_kelvin)

    strength = monthly(normals.WIND_MS) / 2.1 * np.exp(0.22 * systems.local(0.15) - 0.024)
    strength *= 1 + 0.27 * np.cos(2 * np.pi * (calendar.hour - 16) / 24)
    winter = np.cos(2 * np.pi * calendar.year_share)
    breeze = 0.5 * np.cos(2 * np.pi * (calendar.hour - 15) / 24)
    return Weather(
        temperature=temperature,
        dew_point=dew_point,
        wind_east=strength
        * (0.6 + 0.5 * winter - 1.2 * systems.falling + breeze + systems.local(0.3)),
        wind_north=strength * (-0.2 - 0.5 * winter + 0.7 * systems.falling + systems.local(0.3)),
        sea_pressure=sea_pressure,
        station_pressure=station_pressure,
        rain=rain,
        cloud=cloud,
        energy=energy,
        sun_up=sky.daylight(*sun),
        ground=slow + 2.0 * swing + 4.0 * daily_energy - 0.5,
    )


def _rain(systems: Systems, calendar: Calendar) -> Series:
    """Rain in mm each hour: the humid tail of the season, exponential-like amounts."""
    limits = tuple(NormalDist().inv_cdf(1 - share) for share in normals.WET_SHARE)
    limit = normals.at(limits, calendar.year_share)
    wetness = 0.88 * systems.moisture + 0.475 * systems.local(0.15)
    excess = np.maximum(wetness - limit, 0.0) * limit
    # The mean of x**1.6 over an exponential tail is gamma(2.6) = 1.43.
    return np.asarray(
        normals.at(normals.RAIN_MM_PER_WET_HOUR, calendar.year_share) * excess**1.6 / 1.43
    )


def _heating(energy: Series) -> tuple[Series, Series]:
    """Diurnal swing that the sun drives (mean 0 over a day), and the day's mean energy.

    Air over ground gains with the sun and relaxes with a time constant of 5 h.
    """
    memory = np.exp(-np.arange(36) / 5.0)
    padded = np.concatenate([energy[:48], energy, energy[-48:]])
    warmed = np.convolve(padded, memory)[: len(padded)]
    day = np.full(25, 1 / 24)
    day[[0, -1]] /= 2
    inside = slice(48, len(padded) - 48)
    mean_energy = np.convolve(padded, day, mode="same")[inside]
    return (warmed - np.convolve(warmed, day, mode="same"))[inside], mean_energy


def _at_least(values: Series, low: float) -> Series:
    """Values above `low`, bent smoothly where they would pass below it."""
    return np.asarray(low + np.logaddexp(0.0, 1.2 * (values - low)) / 1.2)
