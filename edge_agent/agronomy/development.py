"""Development of crops: growing degree days, chill hours, frost limits of buds. Pure.

Degrees Celsius. Sources: McMaster and Wilhelm 1997 (doi 10.1016/S0168-1923(97)00027-0), method 1,
for degree days; Weinberger 1950 for chill hours; for buds the table of Washington State University
(EB0913 and EB0419; degrees Fahrenheit there) after 30 minutes of exposure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract.schema import AIR_TEMPERATURE, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from edge_agent.agronomy.psychrometrics import Array

CHILL_C: Final = 7.2
"""45 F; hours at and below freezing do not count."""
LEAST_HOURS: Final = 18
"""Of a day, for its highest and lowest to be known."""


def _buds(**fahrenheit: float) -> dict[str, float]:
    return {stage: round((f - 32.0) / 1.8, 1) for stage, f in fahrenheit.items()}


BUD_FROST_C: Final[Mapping[str, Mapping[str, float]]] = {
    "apple": _buds(
        silver_tip=15, green_tip=18, half_inch_green=23, tight_cluster=27, first_pink=28,
        full_pink=28, first_bloom=28, full_bloom=28, post_bloom=28,
    ),
    "pear": _buds(
        scales_separating=15, buds_exposed=20, tight_cluster=24, first_white=25, full_white=26,
        first_bloom=27, full_bloom=28, post_bloom=28,
    ),
}  # fmt: skip
"""Temperature that kills a tenth of the buds, by crop and stage (Red Delicious, Bartlett)."""


def degree_days(high_c: npt.ArrayLike, low_c: npt.ArrayLike, base_c: float) -> Array:
    """Growing degree days of single days: mean of highest and lowest over the base, never below 0.

    NaN in, NaN out.
    """
    mean = (np.asarray(high_c, dtype=np.float64) + np.asarray(low_c, dtype=np.float64)) / 2.0
    return np.maximum(mean - base_c, 0.0)


def degree_days_of(hours: pl.DataFrame, base_c: float, zone: str) -> float:
    """Degree days of a record; days with fewer than `LEAST_HOURS` known hours give nothing.

    Args:
        hours: `time` (UTC) and air temperature, any order; null = missing.
        base_c: Below it the crop does not grow.
        zone: Name of the farm's time zone, for the borders of days.
    """
    days = (
        hours.drop_nulls(AIR_TEMPERATURE)
        .group_by(pl.col(TIME).dt.convert_time_zone(zone).dt.date())
        .agg(
            high=pl.col(AIR_TEMPERATURE).max(),
            low=pl.col(AIR_TEMPERATURE).min(),
            known=pl.len(),
        )
        .filter(pl.col("known") >= LEAST_HOURS)
    )
    return float(degree_days(days["high"].to_numpy(), days["low"].to_numpy(), base_c).sum())


def chill_hours(temperature_c: npt.ArrayLike) -> int:
    """Hours above freezing and up to `CHILL_C`; a missing hour (NaN) gives none."""
    t = np.asarray(temperature_c, dtype=np.float64)
    return int(np.sum((t > 0.0) & (t <= CHILL_C)))
