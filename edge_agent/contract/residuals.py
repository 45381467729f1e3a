"""Prediction intervals: quantiles of past errors by season, part of the day and lead.

A split-conformal forecast (Lei et al. 2018, doi 10.1080/01621459.2017.1307116): errors on data that
the model never saw are added to the point forecast. Season and part of the day are those of the
target hour in Korean time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract.errors import BadData
from edge_agent.contract.hours import KOREA_OFFSET_H
from edge_agent.contract.manifest import ResidualTable
from edge_agent.contract.schema import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edge_agent.contract.forecast import TargetForecast

SEASONS: Final = 4
BLOCKS: Final = 8
LEVELS: Final = (
    0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99,
)  # fmt: skip
NOMINAL: Final = (0.1, 0.9)
"""Levels of the interval that is calibrated: it must hold 80 % of the observations."""

KNOTS: Final = (1, 2, 3, 4, 6, 9, 12, 15, 18, 21, 24, 30, 36, 42, 48)
GUIDED_KNOTS: Final = (*KNOTS, 54, 60, 66)
"""Leads of the table of models that correct KMA's forecasts."""
FEWEST: Final = 50
"""A cell with fewer errors than this takes the quantiles of its season over the whole day."""


def cells(times: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Season (0 = DJF .. 3 = SON) and block of three hours (0..7) of UTC hours, Korean time."""
    local = times.to_numpy() + np.timedelta64(KOREA_OFFSET_H, "h")
    season = (local.astype("datetime64[M]").astype(np.intp) + 1) % 12 // 3
    block = local.astype("datetime64[h]").astype(np.intp) % 24 // 3
    return season, block


def fit(
    times: pl.Series,
    leads: np.ndarray,
    errors: np.ndarray,
    *,
    whole_year: bool = False,
    knots: tuple[int, ...] = KNOTS,
) -> ResidualTable:
    """Table from errors (observed - forecast) of unseen hours.

    Args:
        times: Target hours, UTC, length N.
        leads: Hours ahead, shape (N,); each knot takes the errors of the leads nearest to it.
        errors: Shape (N,), NaN = no truth.
        whole_year: A season with fewer than `FEWEST` errors at a knot takes those of all seasons.
        knots: Leads of the table, ascending.

    Raises:
        BadData: A season, or with `whole_year` the year, has fewer than `FEWEST` at some knot.
    """
    season, block = cells(times)
    nearest = nearest_knot(leads, knots)
    known = np.isfinite(errors)
    table = np.empty((SEASONS, BLOCKS, len(knots), len(LEVELS)))
    for s in range(SEASONS):
        for k in range(len(knots)):
            here = known & (season == s) & (nearest == k)
            if whole_year and int(here.sum()) < FEWEST:
                here = known & (nearest == k)
            if int(here.sum()) < FEWEST:
                raise BadData(
                    f"residuals: {int(here.sum())} errors in season {s} at lead {knots[k]} h, "
                    f"at least {FEWEST} are needed; calibrate on a whole year"
                )
            all_day = np.quantile(errors[here], LEVELS)
            for b in range(BLOCKS):
                cell = errors[here & (block == b)]
                table[s, b, k] = np.quantile(cell, LEVELS) if len(cell) >= FEWEST else all_day
    return _struct(np.round(table, 3), knots)


def spread(table: ResidualTable, times: pl.Series, leads: np.ndarray) -> np.ndarray:
    """Quantiles of the error at each target hour, float64 (N, Q), ascending along the second axis.

    Args:
        table: Of the target.
        times: Target hours, UTC, length N.
        leads: Hours ahead, shape (N,); linear between knots, held beyond the last.
    """
    season, block = cells(times)
    quantiles = np.array(table.quantiles)
    knots = np.array(table.leads, dtype=np.float64)
    upper = np.clip(np.searchsorted(knots, leads), 1, len(knots) - 1)
    weight = np.clip((leads - knots[upper - 1]) / (knots[upper] - knots[upper - 1]), 0.0, 1.0)
    between = (1.0 - weight)[:, None] * quantiles[season, block, upper - 1]
    between += weight[:, None] * quantiles[season, block, upper]
    return np.sort(between, axis=1)


def scaled(table: ResidualTable, factors: np.ndarray) -> ResidualTable:
    """The table with the quantiles of each knot multiplied by its factor, shape (L,)."""
    return _struct(
        np.round(np.array(table.quantiles) * factors[None, None, :, None], 3), table.leads
    )


def averaged(first: ResidualTable, second: ResidualTable) -> ResidualTable:
    """Table with the mean of each quantile; both have the same leads."""
    both = (np.array(first.quantiles) + np.array(second.quantiles)) / 2.0
    return _struct(np.round(both, 3), first.leads)


def reach(around: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Factor by which the 80 % interval just reaches each error, shape (N,).

    Infinite where the limit lies on the wrong side of zero, NaN where there is no truth.

    Args:
        around: Output of `spread`, shape (N, Q).
        errors: Observed minus forecast, shape (N,).
    """
    low, high = (around[:, LEVELS.index(level)] for level in NOMINAL)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(errors < 0, errors / low, errors / high)
    return np.where(factor < 0, np.inf, factor)


def nearest_knot(leads: np.ndarray, knots: tuple[int, ...] = KNOTS) -> np.ndarray:
    """Position of the knot nearest to each lead."""
    nearest: np.ndarray = np.abs(leads[:, None] - np.array(knots)[None, :]).argmin(axis=1)
    return nearest


def apply(
    table: ResidualTable,
    target: str,
    points: np.ndarray,
    times: Sequence[datetime],
    leads: np.ndarray,
    *,
    widened: np.ndarray | float = 1.0,
) -> TargetForecast:
    """Distribution around point forecasts.

    Args:
        table: Of this target.
        target: Quantity; bounds like 0..100 % hold for every quantile.
        points: Point forecasts, shape (N,), finite.
        times: Target hours, UTC, aware datetimes, length N.
        leads: Hours ahead, shape (N,); linear between knots, held beyond the last.
        widened: Factor of the spread, one for all or shape (N,).
    """
    from edge_agent.contract.forecast import TargetForecast

    # Through numpy: polars takes a third of a millisecond to read aware datetimes.
    hours = np.array([at.timestamp() for at in times]).astype("datetime64[s]")
    around = spread(table, pl.Series(hours.astype("datetime64[us]")), leads)
    around *= np.reshape(widened, (-1, 1))
    quantity = QUANTITIES[target]
    low, high = quantity.bounds
    return TargetForecast(
        unit=quantity.unit,
        values=np.clip(points.astype(np.float64), low, high),
        levels=np.array(table.levels),
        quantiles=np.clip(points[:, None] + around, low, high),
    )


def _struct(table: np.ndarray, knots: tuple[int, ...]) -> ResidualTable:
    nested = tuple(
        tuple(tuple(tuple(float(q) for q in knot) for knot in block) for block in season)
        for season in table
    )
    return ResidualTable(levels=LEVELS, leads=knots, quantiles=nested)
