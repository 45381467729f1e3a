"""Files of the depot's observations role: their paths, and the columns of guidance. Pure.

A bundle of observations has `time` and quantities of `contract.schema`, one row an hour. A bundle
of guidance has KMA's own forecasts for a cell of its grid: one row for each issue and valid hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    NEW_SNOW,
    PRECIPITATION,
    QUANTITIES,
    RAIN,
    RAIN_CHANCE,
    RELATIVE_HUMIDITY,
    SKY,
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
_TEMPERATURES: Final = (QUANTITIES[AIR_TEMPERATURE].low, QUANTITIES[AIR_TEMPERATURE].high)
GUIDANCE_RANGES: Final = {
    **{
        name: (QUANTITIES[name].low, QUANTITIES[name].high) for name in GUIDED if name in QUANTITIES
    },
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
