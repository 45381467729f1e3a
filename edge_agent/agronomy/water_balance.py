"""Water in the root zone, FAO-56 chapter 8. Pure; millimetres, fractions of soil volume.

Depletion is what is missing from field capacity: 0 after a soaking rain, the total available water
at the wilting point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Soil:
    """Water content at field capacity and at the wilting point, m3/m3."""

    field_capacity: float
    wilting_point: float


SOILS: Final = {
    "sand": Soil(0.12, 0.045),
    "loamy_sand": Soil(0.15, 0.065),
    "sandy_loam": Soil(0.23, 0.11),
    "loam": Soil(0.25, 0.12),
    "silt_loam": Soil(0.29, 0.15),
    "clay_loam": Soil(0.335, 0.205),
    "clay": Soil(0.36, 0.22),
}
"""Midpoints of the ranges of FAO-56 table 19, which has no clay loam: silty clay loam stands in."""


def total_available_mm(soil: Soil, root_depth_m: float) -> float:
    """Water between field capacity and the wilting point (equation 82)."""
    return 1000.0 * (soil.field_capacity - soil.wilting_point) * root_depth_m


def depletion_fraction(table: float, demand_mm: float) -> float:
    """Share that can be used without stress, adjusted to the day's demand (table 22, note 2)."""
    return min(max(table + 0.04 * (5.0 - demand_mm), 0.1), 0.8)


def stress(depletion_mm: float, total_mm: float, fraction: float) -> float:
    """Share of the demand that the crop still takes up, 0..1 (equation 84)."""
    if depletion_mm <= fraction * total_mm:
        return 1.0
    return max((total_mm - depletion_mm) / ((1.0 - fraction) * total_mm), 0.0)


def step(
    depletion_mm: float,
    *,
    total_mm: float,
    fraction: float,
    demand_mm: float,
    rain_mm: float,
) -> float:
    """Depletion at the end of a period (equation 85); what the soil cannot hold drains away.

    Args:
        depletion_mm: At its start.
        total_mm: Total available water.
        fraction: Share that can be used without stress.
        demand_mm: Crop evapotranspiration without stress over the period.
        rain_mm: Rain that reaches the soil.
    """
    used = stress(depletion_mm, total_mm, fraction) * demand_mm
    return min(max(depletion_mm - rain_mm + used, 0.0), total_mm)
