"""Reference evapotranspiration of a series of hours, with a stated fallback for what is missing.

D1  Temperature and humidity must be there: without them the hour has no value.
D2  Wind missing: 2 m/s at 2 m (FAO-56, chapter 4).
D3  Radiation missing: from the hour's sunshine, else from the temperature range of the 24 h up to
it, or around it where those before are not known (Hargreaves), each scaled by the sun above the
atmosphere in that hour. So an hour's value does not change with the hours after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.agronomy import evapotranspiration as et
from edge_agent.agronomy import radiation
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RELATIVE_HUMIDITY,
    SOLAR,
    SUNSHINE,
    TIME,
    WIND_SPEED,
    Site,
)

if TYPE_CHECKING:
    from edge_agent.agronomy.psychrometrics import Array

WIND_HEIGHT_M: Final = 10.0
"""KMA's anemometers stand at 10 m."""
_INLAND: Final = 0.16


def hourly_et0(frame: pl.DataFrame, site: Site) -> Array:
    """Millimetres of each hour; NaN where temperature or humidity is missing (D1).

    Args:
        frame: Hourly, gapless, ascending: `time` (end of the hour, UTC), air temperature and
            relative humidity; wind speed, solar radiation and sunshine where they are known.
        site: Where.
    """
    middle = frame.select(pl.col(TIME).dt.offset_by("-30m")).to_series()
    day = middle.dt.ordinal_day().to_numpy().astype(np.float64)
    hour = middle.dt.hour().to_numpy() + middle.dt.minute().to_numpy() / 60.0
    temperature = _column(frame, AIR_TEMPERATURE)
    wind = et.wind_at_2m(_column(frame, WIND_SPEED), WIND_HEIGHT_M)
    hourly = et.hourly(
        temperature,
        _column(frame, RELATIVE_HUMIDITY),
        np.where(np.isnan(wind), et.FALLBACK_WIND_MS, wind),
        _solar(frame, site, day, hour),
        latitude_deg=site.latitude,
        longitude_deg=site.longitude,
        elevation_m=site.elevation_m,
        day_of_year=day,
        utc_hour=hour,
    )
    return hourly.et0


def _solar(frame: pl.DataFrame, site: Site, day: Array, hour: Array) -> Array:
    angle = radiation.hour_angle(site.longitude, day, hour)
    above = radiation.extraterrestrial_hour(site.latitude, day, angle)
    spread = frame.select(
        pl.coalesce(_range_of_day(center=False), _range_of_day(center=True))
    ).to_series().cast(pl.Float64).to_numpy()  # fmt: skip
    guess = _INLAND * np.sqrt(np.maximum(spread, 0.0)) * above
    bright = radiation.from_sunshine(above, _column(frame, SUNSHINE), 1.0)
    measured = _column(frame, SOLAR)
    solar = np.where(np.isnan(measured), np.where(np.isnan(bright), guess, bright), measured)
    # At night there is none, whatever the column says or lacks.
    return np.asarray(np.where(above > 0, solar, 0.0))


def _range_of_day(*, center: bool) -> pl.Expr:
    """Range of the temperature in the 24 h up to the hour, nearly all of them known, or around."""
    temperature, least = pl.col(AIR_TEMPERATURE), 12 if center else 20
    return temperature.rolling_max(24, min_samples=least, center=center) - (
        temperature.rolling_min(24, min_samples=least, center=center)
    )


def _column(frame: pl.DataFrame, name: str) -> Array:
    if name not in frame.columns:
        return np.full(frame.height, np.nan)
    return frame[name].cast(pl.Float64).to_numpy()
