"""Files of the depot's observations role: their paths, and the columns of guidance. Pure.

A bundle of observations has `time` and quantities of `contract.schema`, one row an hour. A bundle
of guidance has KMA's own forecasts for a cell of its grid: one row for each issue and valid hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    MEASURED,
    RAIN,
    RELATIVE_HUMIDITY,
    TIME_DTYPE,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
)

if TYPE_CHECKING:
    from edge_agent.contract.dfs_grid import Cell

ISSUED: Final = "issued"
"""Base time of a forecast (UTC); KMA publishes it some ten minutes later."""
VALID: Final = "valid"
"""The hour (UTC) that the forecast is for."""
RAIN_CHANCE: Final = "rain_probability_pct"
"""KMA's chance of rain in the hour, in percent; `rain_mm` is the amount if it rains."""
SKY: Final = "sky_code"
"""KMA's sky: 1 clear, 3 mostly cloudy, 4 cloudy (2, partly cloudy, until June 2019)."""
PRECIPITATION: Final = "precipitation_code"
"""Kind: 0 none, 1 rain, 2 rain or snow, 3 snow, 4 shower; 5 to 7 the same as drops or flurries."""
NEW_SNOW: Final = "new_snow_cm"
"""New snow of the hour that ends at the valid hour, as `rain_mm` is its rain."""
LOWEST: Final = "air_temperature_min_c"
"""Lowest of the Korean day; given at 6 o'clock (21 UTC) and null at the other hours."""
HIGHEST: Final = "air_temperature_max_c"
"""Highest of the Korean day; given at 15 o'clock (6 UTC) and null at the other hours."""

GUIDANCE: Final = pl.Schema(
    {
        ISSUED: TIME_DTYPE,
        VALID: TIME_DTYPE,
        AIR_TEMPERATURE: pl.Float64(),
        RELATIVE_HUMIDITY: pl.Float64(),
        RAIN: pl.Float64(),
        RAIN_CHANCE: pl.Float64(),
        WIND_SPEED: pl.Float64(),
        WIND_FROM_DIRECTION: pl.Float64(),
        SKY: pl.Float64(),
        PRECIPITATION: pl.Float64(),
        NEW_SNOW: pl.Float64(),
        LOWEST: pl.Float64(),
        HIGHEST: pl.Float64(),
    }
)
"""Columns of guidance, in order; null where the issue has no value.

Add to the end of them: an agent ignores columns that it does not know, and those that a bundle
lacks are null.
"""
GUIDED: Final = tuple(name for name in GUIDANCE if name not in {ISSUED, VALID})
"""Columns with values."""
_TEMPERATURES: Final = (MEASURED[AIR_TEMPERATURE].low, MEASURED[AIR_TEMPERATURE].high)
GUIDANCE_RANGES: Final = {
    **{name: (MEASURED[name].low, MEASURED[name].high) for name in GUIDED if name in MEASURED},
    RAIN_CHANCE: (0.0, 100.0),
    SKY: (1.0, 4.0),
    PRECIPITATION: (0.0, 7.0),
    NEW_SNOW: (0.0, 100.0),
    LOWEST: _TEMPERATURES,
    HIGHEST: _TEMPERATURES,
}
"""Limits of each value of `GUIDED`; beyond them it is no forecast."""


def station_path(station: int) -> str:
    """Target path of the newest observations of an ASOS station."""
    return f"observations/{station}/latest.parquet"


def cell_path(cell: Cell) -> str:
    """Target path of the newest nowcasts of a grid cell, as observations."""
    return f"observations/cell-{cell}/latest.parquet"


def guidance_path(cell: Cell) -> str:
    """Target path of the newest forecasts of a grid cell."""
    return f"observations/cell-{cell}/guidance.parquet"
