"""Spatial check: a value that differs from all neighbouring stations is suspect. Pure.

Method: the value minus the median of up to `MOST` neighbours; from that difference the station's
own habit (median of the difference at this hour of the day) is taken, so that a valley or a coast
is no fault. What is left beyond the limit is flagged where at least `FEWEST` neighbours speak.
The kind of check is WMO-No. 488's comparison with neighbouring stations; the limits are this
project's: in a week of all 95 stations (August 2022) no value departs by more than 7 C, 33 % or
4 hPa, so each limit leaves some room above what weather does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.schema import MEASURED, TIME
from edge_agent.contract.stations import distance_km

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.schema import Site

LIMITS: Final = {
    name: quantity.neighbour_limit
    for name, quantity in MEASURED.items()
    if quantity.neighbour_limit is not None
}
"""Quantity -> largest plausible departure, in its unit."""

RADIUS_KM: Final = 120.0
RISE_M: Final = 300.0
MOST: Final = 8
FEWEST: Final = 3


def disagreeing(
    frames: Mapping[int, pl.DataFrame], sites: Mapping[int, Site]
) -> dict[int, pl.DataFrame]:
    """Which values differ from the neighbours.

    Args:
        frames: Checked hourly rows by station (`contract.quality.clean`).
        sites: Where each station is.

    Returns:
        By station, a Boolean column for each quantity of `LIMITS`, row by row as its frame; false
        where too few neighbours have a value.
    """
    near = {number: _near(number, frames, sites) for number in frames}
    return {
        number: frames[number].select(
            _departs(frames[number], [frames[other] for other in near[number]], name).alias(name)
            for name in LIMITS
        )
        for number in frames
    }


def _departs(rows: pl.DataFrame, others: list[pl.DataFrame], name: str) -> pl.Series:
    if len(others) < FEWEST:
        return pl.Series([False]).new_from_index(0, rows.height)
    table = rows.select(TIME, pl.col(name).alias("own"))
    for index, other in enumerate(others):
        column = other.select(TIME, pl.col(name).alias(f"n{index}"))
        table = table.join(column, on=TIME, how="left", maintain_order="left")
    neighbours = [f"n{index}" for index in range(len(others))]
    table = table.with_columns(
        pl.concat_list(neighbours).list.drop_nulls().alias("around"),
    ).with_columns((pl.col("own") - pl.col("around").list.median()).alias("difference"))
    habit = pl.col("difference").median().over(pl.col(TIME).dt.hour())
    departs = (pl.col("difference") - habit).abs() > LIMITS[name]
    enough = pl.col("around").list.len() >= FEWEST
    return table.select((departs & enough).fill_null(value=False)).to_series()


def _near(number: int, frames: Mapping[int, pl.DataFrame], sites: Mapping[int, Site]) -> list[int]:
    here = sites[number]
    neighbours = [
        (distance, other)
        for other in frames
        if other != number
        and abs(sites[other].elevation_m - here.elevation_m) <= RISE_M
        and (distance := distance_km(here, sites[other])) <= RADIUS_KM
    ]
    return [other for _, other in sorted(neighbours)[:MOST]]
