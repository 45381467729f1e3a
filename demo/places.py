"""Where the demo's stations stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_agent.contract.stations import station


@dataclass(frozen=True, slots=True)
class Place:
    """An ASOS station: number, degrees north and east, metres above sea level, KMA's name."""

    station: int
    latitude: float
    longitude: float
    elevation_m: float
    name: str = ""


def place_of(number: int) -> Place:
    """A station of KMA's list.

    Raises:
        UsageError: No such station.
    """
    known = station(number)
    site = known.site
    return Place(number, site.latitude, site.longitude, site.elevation_m, known.name_ko)


SEOUL: Final = place_of(108)
