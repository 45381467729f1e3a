"""A field that is watered, and its hours: demand of the crop and rain. Pure.

A missing hour has the mean demand of the same hour of the `FILL_DAYS` days before it, filled hours
among them. So what an hour counts does not change with the hours after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from edge_agent.agronomy import crops, water_balance
from edge_agent.agronomy.demand import hourly_et0
from edge_agent.contract.schema import RAIN, TIME

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.agronomy.psychrometrics import Array
    from edge_agent.contract.schema import Site

FILL_DAYS: Final = 7
_DAY: Final = 24


class Field(Protocol):
    """A field that is watered: `settings.Irrigation`, with a crop."""

    @property
    def crop(self) -> str:
        """Name in `crops.CROPS`."""

    @property
    def soil(self) -> str:
        """Name in `water_balance.SOILS`."""

    @property
    def root_depth_m(self) -> float:
        """0: the crop's own."""

    @property
    def covered(self) -> bool:
        """Under a roof: rain does not count."""

    @property
    def area_m2(self) -> float:
        """0: advice without litres."""

    @property
    def planted_on(self) -> str:
        """Date; empty: the crop's middle stage."""

    @property
    def efficiency(self) -> float:
        """Share of the water given that reaches the roots."""


@dataclass(frozen=True, slots=True)
class FieldHour:
    """One hour of a field.

    Attributes:
        at: Its end, UTC.
        demand_mm: Demand of the crop without stress; filled where it was not known.
        fraction: Share of the available water that can be used without stress.
        rain_mm: NaN where it is not known; 0 under a roof.
        observed: Whether temperature and humidity were known.
    """

    at: datetime
    demand_mm: float
    fraction: float
    rain_mm: float
    observed: bool

    @property
    def known(self) -> bool:
        """Whether nothing of it is missing."""
        return self.observed and not math.isnan(self.rain_mm)


def soil_of(field: Field) -> water_balance.Soil:
    """The field's soil."""
    return water_balance.SOILS[field.soil]


def depth_of(field: Field) -> float:
    """Depth of the roots in m."""
    return field.root_depth_m or crops.CROPS[field.crop].root_depth_m


def total_mm(field: Field) -> float:
    """Total available water of the root zone."""
    return water_balance.total_available_mm(soil_of(field), depth_of(field))


def coefficient(field: Field, day: date) -> float:
    """Crop coefficient of a day."""
    planted = date.fromisoformat(field.planted_on) if field.planted_on else None
    return crops.coefficient(crops.CROPS[field.crop], planted, day)


def depletion_of(field: Field, moisture_pct: float) -> float | None:
    """Depletion by a soil moisture reading; None where the reading is not plausible for the soil.

    Args:
        field: The field.
        moisture_pct: Volumetric water content in percent.
    """
    content = moisture_pct / 100.0
    if not soil_of(field).allows(content):
        return None
    missing = 1000.0 * (soil_of(field).field_capacity - content) * depth_of(field)
    return min(max(missing, 0.0), total_mm(field))


def hours_of(
    field: Field, frame: pl.DataFrame, site: Site, after: datetime | None = None
) -> list[FieldHour]:
    """Hours of a field from observations.

    Args:
        field: The field.
        frame: Checked hourly grid, see `quality.clean`.
        site: Where it is.
        after: Only the hours after this time, UTC; the others fill what is missing.
    """
    times = frame[TIME].to_list()
    et0 = hourly_et0(frame, site)
    factor = {day: coefficient(field, day) for day in {at.date() for at in times}}
    factors = np.array([factor[at.date()] for at in times])
    demand = np.maximum(_filled(et0), 0.0) * factors
    rain = np.zeros(len(times)) if field.covered else frame[RAIN].cast(float).to_numpy()
    table = crops.CROPS[field.crop].depletion
    days = _last_day(demand)
    return [
        FieldHour(
            at=at,
            demand_mm=float(demand[i]),
            fraction=water_balance.depletion_fraction(table, float(days[i])),
            rain_mm=float(rain[i]),
            observed=bool(np.isfinite(et0[i])),
        )
        for i, at in enumerate(times)
        if after is None or at > after
    ]


def _last_day(demand: Array) -> Array:
    """Demand of the 24 hours up to each; of fewer, scaled, at the start."""
    sums = np.concatenate([np.zeros(1), np.cumsum(demand)])
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - _DAY, 0)
    return np.asarray(_DAY * (sums[ends] - sums[starts]) / (ends - starts))


def _filled(used: Array) -> Array:
    """Missing hours as the mean of that hour of the `FILL_DAYS` days before; 0 where none is."""
    filled = used.copy()
    for i in np.flatnonzero(np.isnan(used)):
        same = filled[max(i - FILL_DAYS * _DAY, i % _DAY) : i : _DAY]
        filled[i] = np.nanmean(same) if np.isfinite(same).any() else np.nan
    return np.nan_to_num(filled)
