"""Files of the depot's observations role: their paths, and the columns of guidance. Pure.

A bundle of observations has `time` and quantities of `contract.schema`, one row an hour. A bundle
of guidance has KMA's own forecasts for a cell of its grid: one row for each issue and valid hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.schema import AIR_TEMPERATURE, RAIN, RELATIVE_HUMIDITY, TIME_DTYPE

if TYPE_CHECKING:
    from edge_agent.contract.dfs_grid import Cell

ISSUED: Final = "issued"
"""Base time of a forecast (UTC); KMA publishes it some ten minutes later."""
VALID: Final = "valid"
"""The hour (UTC) that the forecast is for."""
RAIN_CHANCE: Final = "rain_probability_pct"
"""KMA's chance of rain in the hour, in percent; `rain_mm` is the amount if it rains."""

GUIDANCE: Final = pl.Schema(
    {
        ISSUED: TIME_DTYPE,
        VALID: TIME_DTYPE,
        AIR_TEMPERATURE: pl.Float64(),
        RELATIVE_HUMIDITY: pl.Float64(),
        RAIN: pl.Float64(),
        RAIN_CHANCE: pl.Float64(),
    }
)
"""Columns of guidance, in order; null where the issue has no value."""


def station_path(station: int) -> str:
    """Target path of the newest observations of an ASOS station."""
    return f"observations/{station}/latest.parquet"


def cell_path(cell: Cell) -> str:
    """Target path of the newest nowcasts of a grid cell, as observations."""
    return f"observations/cell-{cell}/latest.parquet"


def guidance_path(cell: Cell) -> str:
    """Target path of the newest forecasts of a grid cell."""
    return f"observations/cell-{cell}/guidance.parquet"
