"""Crops: their use of water and the limits of the air for them. Pure.

Coefficients (table 12), lengths of stages (table 11), rooting depths and depletion fractions (table
22) are those of FAO-56; tables 12 and 22 were held against two other transcriptions. Of a range of
depths the smaller one is taken, which is the one for irrigation; of a range of coefficients the
middle. Trees are those with active ground cover and killing frost, in high latitudes; chilli is
sweet pepper.
Limits of the air are for where the plant stands (a house, an orchard), not for a weather station;
each names its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True, slots=True)
class Crop:
    """One crop.

    Attributes:
        kc: Crop coefficients at the start, in mid-season, at the end.
        stages_d: Days of start, growth, mid-season and end; None where FAO-56 has none, and the
            mid-season coefficient is used.
        root_depth_m: Depth of the effective roots.
        depletion: Share of the available water used without stress, at 5 mm a day.
        low_c: Below it the crop is harmed or does not grow.
        high_c: Above it the crop is harmed or does not grow.
        base_c: Below it no degree days are counted: 10 C for crops of warm seasons, 5 C for those
            of cool ones and for trees, as is usual.
        source: Where the two limits are from.
    """

    kc: tuple[float, float, float]
    stages_d: tuple[int, int, int, int] | None
    root_depth_m: float
    depletion: float
    low_c: float
    high_c: float
    base_c: float
    source: str


_HOUSE: Final = "houses kept at or below 30 C: Chungbuk weekly farm guide, 2020"
CROPS: Final = {
    "strawberry": Crop(
        (0.40, 0.85, 0.75), None, 0.2, 0.20, 5.0, 30.0, 5.0,
        f"never below 5 C at night: Chungnam ARES; {_HOUSE}",
    ),
    "tomato": Crop(
        (0.60, 1.15, 0.80), (30, 40, 45, 30), 0.7, 0.40, 16.0, 30.0, 10.0,
        "deficiency signs below 16 C, poor colour above 30 C: Bayer crop guide",
    ),
    "paprika": Crop(
        (0.60, 1.05, 0.90), (30, 35, 40, 20), 0.5, 0.30, 18.0, 30.0, 10.0,
        "nights 18 to 20 C, growth falls above 30 C: Jeonbuk ARES",
    ),
    "chilli": Crop(
        (0.60, 1.05, 0.90), (30, 35, 40, 20), 0.5, 0.30, 15.0, 30.0, 10.0,
        f"as sweet pepper with cooler nights (this project's choice); {_HOUSE}",
    ),
    "cucumber": Crop(
        (0.60, 1.00, 0.75), (20, 30, 40, 15), 0.7, 0.50, 10.0, 35.0, 10.0,
        "energy-saving nights 10 to 14 C, growth stops at 35 C: farmnmarket guide",
    ),
    "lettuce": Crop(
        (0.70, 1.00, 0.95), (20, 30, 15, 10), 0.3, 0.30, 5.0, 25.0, 5.0,
        "best at 15 to 20 C, bitter in heat: Chungbuk weekly farm guide, 2013; 5 C of margin",
    ),
    "melon": Crop(
        (0.50, 1.05, 0.75), (25, 35, 40, 20), 0.8, 0.40, 15.0, 35.0, 10.0,
        "as cucumber with warmer nights (this project's choice)",
    ),
    "apple": Crop(
        (0.50, 1.20, 0.95), (20, 70, 90, 30), 1.0, 0.50, 0.0, 35.0, 5.0,
        "flowers freeze near 0 C at the station: frost study of Naju pears; 35 C: sunburn",
    ),
    "pear": Crop(
        (0.50, 1.20, 0.95), (20, 70, 90, 30), 1.0, 0.50, 0.0, 35.0, 5.0,
        "flowers freeze near 0 C at the station: frost study of Naju pears; 35 C: sunburn",
    ),
}  # fmt: skip
"""By the name used in `[irrigation] crop`."""


def coefficient(crop: Crop, planted: date | None, today: date) -> float:
    """Crop coefficient of a day, linear between the stages (FAO-56, equation 66).

    Args:
        crop: The crop.
        planted: Day of planting, for trees of bud break; None: mid-season.
        today: The day.
    """
    if planted is None or crop.stages_d is None:
        return crop.kc[1]
    start, growth, middle, end = crop.stages_d
    knots = np.cumsum([start, growth, middle, end])
    days = (today - planted).days
    low, high, last = crop.kc
    return float(np.interp(days, knots, [low, high, high, last]))
