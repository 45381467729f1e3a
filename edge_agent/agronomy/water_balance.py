"""Water in the root zone, FAO-56 chapter 8. Pure; millimetres, fractions of soil volume.

Depletion is what is missing from field capacity: 0 after a soaking rain, the total available water
at the wilting point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Soil:
    """Water content at field capacity, at the wilting point and at saturation, m3/m3."""

    field_capacity: float
    wilting_point: float
    saturation: float

    def allows(self, content: float) -> bool:
        """Whether a reading in m3/m3 is plausible in a root zone.

        Less than half the wilting point is air-dry soil, more than saturation cannot be.
        """
        return 0.5 * self.wilting_point <= content <= self.saturation


SOILS: Final = {
    "sand": Soil(0.12, 0.045, 0.437),
    "loamy_sand": Soil(0.15, 0.065, 0.437),
    "sandy_loam": Soil(0.23, 0.11, 0.453),
    "loam": Soil(0.25, 0.12, 0.463),
    "silt_loam": Soil(0.29, 0.15, 0.501),
    "clay_loam": Soil(0.335, 0.205, 0.471),
    "clay": Soil(0.36, 0.22, 0.475),
}
"""Midpoints of the ranges of FAO-56 table 19, which has no clay loam: silty clay loam stands in.
Saturation: total porosity by texture, Rawls, Brakensiek and Saxton (1982), table 2."""


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


@dataclass(frozen=True, slots=True)
class Flows:
    """Water of a period in mm.

    Attributes:
        used_mm: Taken up by the crop.
        drained_mm: Drained below the roots.
        depletion_mm: Missing at its end.
    """

    used_mm: float
    drained_mm: float
    depletion_mm: float


def flows(
    depletion_mm: float,
    *,
    total_mm: float,
    fraction: float,
    demand_mm: float,
    supply_mm: float,
) -> Flows:
    """What leaves the root zone in a period (equation 85).

    The crop takes up no more than there is above the wilting point; what the soil cannot hold
    drains away.

    Args:
        depletion_mm: At the start of the period, 0 to `total_mm`.
        total_mm: Total available water.
        fraction: Share that can be used without stress.
        demand_mm: Crop evapotranspiration without stress over the period.
        supply_mm: Rain and irrigation that reach the soil.
    """
    stressed_mm = stress(depletion_mm, total_mm, fraction) * demand_mm
    used = min(stressed_mm, max(total_mm - depletion_mm + supply_mm, 0.0))
    drained = max(supply_mm - depletion_mm - used, 0.0)
    depletion = min(max(depletion_mm - supply_mm + used + drained, 0.0), total_mm)
    return Flows(used, drained, depletion)


def step(
    depletion_mm: float,
    *,
    total_mm: float,
    fraction: float,
    demand_mm: float,
    rain_mm: float,
) -> float:
    """Depletion at the end of a period; arguments as of `flows`."""
    return flows(
        depletion_mm,
        total_mm=total_mm,
        fraction=fraction,
        demand_mm=demand_mm,
        supply_mm=rain_mm,
    ).depletion_mm
