"""KMA's surface stations: number, names and place. Facts published by KMA (stn_inf, META).

The distance to the sea is computed from these places and the coastline of Natural Earth 1:10m
(public domain), inlets and estuaries included.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import asin, cos, radians, sin, sqrt
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import UsageError
from edge_agent.contract.schema import Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COAST_KM: Final = 10.0
MOUNTAIN_M: Final = 200.0
_EARTH_KM: Final = 6371.0


@dataclass(frozen=True, slots=True)
class Station:
    """One ASOS station.

    Attributes:
        number: KMA's station number (108 = Seoul).
        name_ko: Korean name, as in KMA's answers.
        name_en: Revised romanization.
        site: Latitude and longitude in degrees, elevation of the ground in metres.
        coast_km: Distance to the sea.
    """

    number: int
    name_ko: str
    name_en: str
    site: Site
    coast_km: float

    @property
    def terrain(self) -> str:
        """Coast up to COAST_KM from the sea, mountain from MOUNTAIN_M up, inland else."""
        if self.coast_km <= COAST_KM:
            return "coast"
        return "mountain" if self.site.elevation_m >= MOUNTAIN_M else "inland"


@cache
def stations() -> Mapping[int, Station]:
    """Every station by number, ascending; the packaged list of 97."""
    text = files("edge_agent.contract").joinpath("stations.csv").read_text("utf-8")
    return MappingProxyType(
        {
            int(row["station"]): Station(
                number=int(row["station"]),
                name_ko=row["name_ko"],
                name_en=row["name_en"],
                site=Site(float(row["lat"]), float(row["lon"]), float(row["elevation_m"])),
                coast_km=float(row["coast_km"]),
            )
            for row in csv.DictReader(text.splitlines())
        }
    )


def station(number: int) -> Station:
    """One station.

    Raises:
        UsageError: No such station; the text names the range and where to look.
    """
    known_station = stations().get(number)
    if known_station is None:
        raise UsageError(f"station {number} is not one of {station_list()}")
    return known_station


def nearest(place: Site) -> tuple[Station, float]:
    """The station nearest to a place, and its distance in km."""
    by_distance = {distance_km(place, known.site): known for known in stations().values()}
    least = min(by_distance)
    return by_distance[least], least


def distance_km(a: Site, b: Site) -> float:
    """Great-circle distance in km (haversine)."""
    lat_a, lat_b = radians(a.latitude), radians(b.latitude)
    half_lat = (lat_b - lat_a) / 2.0
    half_lon = radians(b.longitude - a.longitude) / 2.0
    h = sin(half_lat) ** 2 + cos(lat_a) * cos(lat_b) * sin(half_lon) ** 2
    return 2.0 * _EARTH_KM * asin(sqrt(h))


def station_list() -> str:
    """Where the numbers of all stations stand, for texts about another number."""
    return (
        f"KMA's {len(stations())} ASOS stations (Seoul is 108); their "
        "numbers are listed on data.kma.go.kr"
    )


def by_terrain(numbers: Iterable[int]) -> dict[str, list[int]]:
    """Stations by terrain, ascending; empty for a single station, where it adds nothing."""
    by_kind: dict[str, list[int]] = {}
    for number in sorted(numbers):
        by_kind.setdefault(station(number).terrain, []).append(number)
    return by_kind if sum(map(len, by_kind.values())) > 1 else {}
