"""Where the demo's stations stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Place:
    """An ASOS station: number, degrees north and east, metres above sea level, KMA's name."""

    station: int
    latitude: float
    longitude: float
    elevation_m: float
    name: str = ""


SEOUL: Final = Place(108, 37.57142, 126.9658, 85.67, "서울")
