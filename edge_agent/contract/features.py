"""Features: one function for the trainer's full series and the agent's last window.

`compute` turns a clean hourly frame into a table with one row an hour (Float32), continued for the
hours ahead by what the calendar knows. `matrix` gathers from that table the row of each pair
(origin, lead). The agent calls both on its last `LOOKBACK_HOURS` hours, the trainer on everything;
equal hours give equal bits, because

- every window is bounded by `LOOKBACK_HOURS`;
- inputs are put on a grid of 2^-10 before anything is summed. Sums of such numbers are exact, so a
  running sum does not remember where it began;
- normals and sun come from tables that are always computed whole;
- the one cast to Float32 comes last.

A null becomes NaN: missing is never zero. A window with fewer than half of its hours gives NaN.
Hours and days of people (weekday, hour of the seed recipe) are Korean time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from edge_agent.contract import climatology, feature_table, rolling, solar
from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import (
    AHEAD,
    AT_ORIGIN,
    AT_TARGET,
    ORIGIN_WINDOWS,
    SAME_HOUR,
    Window,
)
from edge_agent.contract.hours import KOREA_OFFSET_H, korean_clock
from edge_agent.contract.quality import LOOKBACK_HOURS as QUALITY_HOURS
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    CLOUD,
    LEADS,
    MEASURED,
    OBSERVED,
    QUANTITIES,
    RAIN,
    RELATIVE_HUMIDITY,
    SOIL_MOISTURE,
    SOLAR,
    STATION_PRESSURE,
    TARGETS,
    TIME,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
    Site,
)

FEATURE_HOURS: Final = 24 * 7 + 24
"""Longest window (7 days) of the oldest same-hour value (up to 23 h back), rounded up."""

LOOKBACK_HOURS: Final = FEATURE_HOURS + QUALITY_HOURS
"""Hours of observations the agent needs for bit-equal features; fewer work and give nulls."""

REVISION: Final = 1
"""Raise whenever the numbers change though the tables below do not."""

FEATURES: Final = feature_table.NAMES
"""Ordered column names of the matrix."""

_CHECKED: Final = (*OBSERVED, SOIL_MOISTURE)
"""Quantities whose checks the digest covers; soil moisture is there since the first release."""

NOW_LEADS: Final = 6
"""Up to this lead the reference of a forecast is the present value, beyond it the value of the
newest same hour of the day: the better of the two on Seoul 2013-2018 at each lead."""


@dataclass(frozen=True, slots=True)
class Place:
    """A site with its normals.

    Attributes:
        site: Coordinates.
        normals: Per target, `climatology.COEFFICIENTS` numbers.
    """

    site: Site
    normals: dict[str, tuple[float, ...]]


def digest() -> str:
    """SHA-256 of the meaning of the matrix: names, windows, limits of the checks, revision."""
    meaning = {
        "revision": REVISION,
        "features": FEATURES,
        "windows": [[w.series, w.kind, w.hours] for w in ORIGIN_WINDOWS],
        "lookback": LOOKBACK_HOURS,
        "now_leads": NOW_LEADS,
        "quality": [
            [q.name, q.low, q.high, q.step_per_hour, q.stuck_hours]
            for q in map(MEASURED.__getitem__, _CHECKED)
        ],
    }
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def compute(frame: pl.DataFrame, place: Place) -> pl.DataFrame:
    """Feature table of one site.

    Args:
        frame: Output of `quality.clean`: hourly, gapless, ascending.
        place: Where, with normals.

    Returns:
        `time`, then one Float32 column for each of `feature_table.COLUMNS`; one row an hour of
        `frame`, then `max(LEADS)` rows ahead in which only the calendar is known; NaN = missing.

    Raises:
        BadData: The frame is empty or not gapless.
    """
    if frame.height == 0:
        raise BadData("features: no observations")
    times = frame[TIME]
    if not times.diff().drop_nulls().eq(timedelta(hours=1)).all():
        raise BadData("features: hours are missing or out of order; clean the frame first")
    last: datetime = times[-1]
    ahead = pl.datetime_range(
        last, last + timedelta(hours=max(LEADS)), "1h", closed="right", time_unit="us", eager=True
    )
    hours = pl.concat(
        [frame.select(TIME, *_INPUTS), pl.DataFrame({TIME: ahead})],
        how="diagonal",
    )
    series = hours.with_columns(_calendar(hours[TIME], place)).with_columns(_inputs())
    series = series.with_columns(_derived(place.site)).with_columns(
        _snap(pl.col(name) - pl.col(normal)).alias(f"{name}_anomaly") for name, normal in AHEAD
    )
    table = series.select(
        TIME,
        *(pl.col(name).cast(pl.Float32).fill_null(np.nan) for name in feature_table.SERIES),
        *(pl.lit(value, pl.Float32).alias(name) for name, value in _constants(place.site).items()),
    )
    return table.hstack(_windows(series))


def matrix(table: pl.DataFrame, origins: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Model input for pairs of origin and lead.

    Args:
        table: Output of `compute`.
        origins: Row numbers in `table` of the newest observation, shape (N,), integers.
        leads: Hours ahead, shape (N,), integers in 1..48.

    Returns:
        Float32, shape (N, len(FEATURES)), C order; NaN = missing.

    Raises:
        ValueError: Shapes differ, or a pair reaches outside of the table.
    """
    if origins.shape != leads.shape:
        raise ValueError(f"features: {origins.shape} origins but {leads.shape} leads")
    targets = origins + leads
    if len(origins) and (origins.min() < 0 or targets.max() >= table.height or leads.min() < 1):
        raise ValueError("features: a pair of origin and lead lies outside of the table")
    columns = {name: table[name].to_numpy() for name in table.columns if name != TIME}
    same = _same_hour(origins, leads)
    out = np.empty((len(origins), len(FEATURES)), np.float32)
    position = iter(range(len(FEATURES)))
    for name in AT_ORIGIN:
        out[:, next(position)] = columns[name][origins]
    for name in AT_TARGET:
        out[:, next(position)] = columns[name][targets]
    for name in SAME_HOUR:
        for day in range(feature_table.SAME_HOUR_DAYS):
            out[:, next(position)] = _take(columns[name], same - 24 * day)
    out[:, next(position)] = leads
    for name, normal in AHEAD:
        value, expected = columns[name], columns[normal]
        out[:, next(position)] = expected[targets] - expected[origins]
        # What the models predict a change from; the normal comes last, so it is never NaN.
        out[:, next(position)] = _first_known(
            np.where(leads <= NOW_LEADS, value[origins], np.float32(np.nan)),
            _take(value, same),
            _take(value, same - 24),
            expected[targets],
        )
    return out


def _same_hour(origins: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """Row of the newest hour, not after the origin, with the target's hour of the day."""
    rows: np.ndarray = origins + leads - 24 * ((leads + 23) // 24)
    return rows


def _take(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    taken = values[np.maximum(rows, 0)]
    return np.where(rows >= 0, taken, np.float32(np.nan))


def _first_known(*candidates: np.ndarray) -> np.ndarray:
    """Elementwise the first candidate that is not NaN; the last one is given whole."""
    out = candidates[-1].copy()
    for candidate in reversed(candidates[:-1]):
        known = np.isfinite(candidate)
        out[known] = candidate[known]
    return out


_INPUTS: Final = (
    AIR_TEMPERATURE,
    RELATIVE_HUMIDITY,
    WIND_SPEED,
    WIND_FROM_DIRECTION,
    STATION_PRESSURE,
    RAIN,
    SOLAR,
    CLOUD,
)


def _snap(value: pl.Expr) -> pl.Expr:
    """Nearest of the values that `windows` sums exactly."""
    return (value * rolling.UNITS).round() / rolling.UNITS


def _calendar(times: pl.Series, place: Place) -> list[pl.Series]:
    """Normals and sun by table; clock and season as sine and cosine, by table as well."""
    day = times.dt.ordinal_day().to_numpy().astype(np.intp) - 1
    hour = times.dt.hour().to_numpy().astype(np.intp)
    angle = 2.0 * np.pi * np.arange(24) / 24.0
    season = 2.0 * np.pi * np.arange(366) / 365.2425
    local = (hour + KOREA_OFFSET_H) % 24
    weekday = korean_clock(times).dt.weekday()
    sun = solar.cos_zenith_table(place.site.latitude, place.site.longitude)
    columns = {
        normal: climatology.table(place.normals[target])[day, hour]
        for target, (_, normal) in zip(TARGETS, AHEAD, strict=True)
    } | {
        "sun": sun[day, hour],
        "hour": local.astype(np.float64),
        "weekday": weekday.to_numpy().astype(np.float64),
        "hour_sin": np.sin(angle)[local],
        "hour_cos": np.cos(angle)[local],
        "season_sin": np.sin(season)[day],
        "season_cos": np.cos(season)[day],
    }
    return [pl.Series(name, values, pl.Float64) for name, values in columns.items()]


def _inputs() -> list[pl.Expr]:
    return [
        _snap(pl.col(name)).alias(QUANTITIES[name].short_name)
        for name in _INPUTS
        if name != WIND_FROM_DIRECTION
    ]


def _derived(site: Site) -> list[pl.Expr]:
    temperature, humidity = pl.col("temperature"), pl.col("humidity")
    # Dew point from the Magnus form with the constants of WMO-No. 8, annex 4.B.
    gamma = (humidity.clip(1.0) / 100.0).log() + 17.62 * temperature / (243.12 + temperature)
    bearing = pl.col(WIND_FROM_DIRECTION).radians()
    # Barometric formula with the present temperature: a site's height drops out, so that a model
    # of one station reads another's pressure.
    column = site.elevation_m / (29.27 * (temperature + 273.15))
    sector = (pl.col(WIND_FROM_DIRECTION) / 22.5).round() % 16.0
    return [
        _snap(243.12 * gamma / (17.62 - gamma)).alias("dew_point"),
        _snap(pl.col("pressure") * column.exp()).alias("sea_level_pressure"),
        _snap(-pl.col("wind_speed") * bearing.sin()).alias("wind_east"),
        _snap(-pl.col("wind_speed") * bearing.cos()).alias("wind_north"),
        # KMA reports 16 sectors and calm as 0; 16 stands for north.
        pl.when(pl.col("wind_speed") < 0.5)
        .then(0.0)
        .otherwise(pl.when(sector == 0.0).then(16.0).otherwise(sector))
        .alias("wind_sector"),
    ]


def _constants(site: Site) -> dict[str, float]:
    return {
        "latitude": site.latitude,
        "longitude": site.longitude,
        "elevation": site.elevation_m,
    }


def _windows(series: pl.DataFrame) -> list[pl.Series]:
    """Columns of `ORIGIN_WINDOWS`, in order."""
    columns: dict[Window, np.ndarray] = {}
    for name in dict.fromkeys(window.series for window in ORIGIN_WINDOWS):
        windows = [window for window in ORIGIN_WINDOWS if window.series == name]
        columns |= zip(windows, rolling.statistics(series[name].to_numpy(), windows), strict=True)
    return [pl.Series(window.name, columns[window]) for window in ORIGIN_WINDOWS]
