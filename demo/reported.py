"""Continuous weather -> what KMA's hourly record says: names, rounding, nulls, gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from demo.drivers import Series
    from demo.weather import Weather

_SECTORS: Final = np.array(
    [360, 20, 50, 70, 90, 110, 140, 160, 180, 200, 230, 250, 270, 290, 320, 340], np.float64
)
_CALM_MS: Final = 0.4
_CLOUD_NOT_OBSERVED: Final = (1, 2, 19, 20, 22, 23)
_LOST_VALUES: Final = {"ta": 1e-4, "hm": 1e-3, "ws": 1e-3, "wd": 2e-3, "td": 6e-4, "pv": 2e-4}
_LOST_VALUES_PRESSURE: Final = 1e-3
_OUTAGES_PER_HOUR: Final = 1.5e-4


def report(
    station: int, axis: pl.Series, weather: Weather, rng: np.random.Generator
) -> pl.DataFrame:
    """Rows as KMA would give them; columns and units as in `demo.climate.generate`."""
    hours = axis.dt.hour().to_numpy()
    months = axis.dt.month().to_numpy()
    vapour = _saturation(weather.dew_point)
    humidity = np.clip(100 * vapour / _saturation(weather.temperature), 3, 100)
    speed: Series = np.hypot(weather.wind_east, weather.wind_north).round(1)
    columns: dict[str, Series] = {
        "ta": np.round(weather.temperature, 1),
        "hm": np.round(humidity),
        "ws": speed,
        "wd": np.where(speed <= _CALM_MS, 0.0, _sector(weather)),
        "ps": np.round(weather.sea_pressure, 1),
        "pa": np.round(weather.station_pressure, 1),
        "td": np.round(weather.dew_point, 1),
        "pv": np.round(vapour, 1),
        "rn": _rain(weather.rain, hours, (months >= 11) | (months <= 3)),
        "ss": np.where(weather.sun_up, _sunshine(weather), np.nan),
        "icsr": np.where(weather.sun_up, np.round(weather.energy, 2), np.nan),
        "vs": _visibility(humidity, weather.rain, rng),
        "ts": np.round(weather.ground, 1),
        "dc10Tca": np.where(
            np.isin(hours, _CLOUD_NOT_OBSERVED), np.nan, np.round(10 * weather.cloud)
        ),
    }
    lost = _LOST_VALUES | {"pa": _LOST_VALUES_PRESSURE, "ps": _LOST_VALUES_PRESSURE}
    for name, share in lost.items():
        columns[name] = np.where(rng.random(len(axis)) < share, np.nan, columns[name])
    positive = {name: values + 0.0 for name, values in columns.items()}  # no negative zero
    frame = pl.DataFrame({"tm": axis} | positive, schema_overrides={"tm": pl.Datetime("us")})
    return (
        frame.with_columns(
            pl.lit(station, pl.Int32).alias("station"),
            pl.col(pl.Float64).fill_nan(None),
        )
        .select("station", "tm", *columns)
        .filter(_present(len(axis), rng))
    )


def _saturation(celsius: Series) -> Series:
    """Vapour pressure over water in hPa (WMO-type Magnus constants)."""
    return np.asarray(6.112 * np.exp(17.62 * celsius / (243.12 + celsius)))


def _sector(weather: Weather) -> Series:
    origin = np.degrees(np.arctan2(-weather.wind_east, -weather.wind_north)) % 360
    return np.asarray(_SECTORS[np.round(origin / 22.5).astype(np.int64) % 16])


def _sunshine(weather: Weather) -> Series:
    low_sun = np.minimum(weather.energy / 0.12, 1.0)
    return np.round(np.clip(1.5 * (1 - weather.cloud), 0.0, 1.0) * low_sun, 1)


def _visibility(humidity: Series, rain: Series, rng: np.random.Generator) -> Series:
    haze = np.exp(0.35 * rng.standard_normal(len(humidity)))
    metres = 30_000 * haze * (1.02 - humidity / 100) ** 0.6 / (1 + rain)
    return np.minimum(np.round(metres / 10), 2000.0)


def _rain(rain: Series, hours: np.ndarray, three_hourly: np.ndarray) -> Series:
    """Null when dry, 0.0 for a trace; from November to March 3-hour sums at 00, 03, ... 21."""
    running = np.convolve(rain, np.ones(3))[: len(rain)]
    amount = np.where(three_hourly, running, rain)
    silent = (amount == 0.0) | (three_hourly & (hours % 3 != 0))
    return np.where(silent, np.nan, np.round(amount, 1))


def _present(hours: int, rng: np.random.Generator) -> pl.Series:
    """False in short outages: a whole row that never came."""
    present = np.ones(hours, np.bool_)
    starts = np.flatnonzero(rng.random(hours) < _OUTAGES_PER_HOUR)
    for start, length in zip(starts, rng.geometric(0.4, len(starts)), strict=True):
        present[start : start + length] = False
    return pl.Series(present)
