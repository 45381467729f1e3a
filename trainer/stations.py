"""KMA's surface stations: number, names and place. Facts published by KMA (stn_inf, META)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from edge_agent.contract.schema import Site
from edge_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Station:
    """One ASOS station.

    Attributes:
        number: KMA's station number (108 = Seoul).
        name_ko: Korean name, as in KMA's answers.
        name_en: Revised romanization.
        site: Latitude and longitude in degrees, elevation of the ground in metres.
    """

    number: int
    name_ko: str
    name_en: str
    site: Site


@cache
def stations() -> Mapping[int, Station]:
    """Every station by number, ascending; the packaged list of 97."""
    text = files("trainer").joinpath("stations.csv").read_text("utf-8")
    return MappingProxyType(
        {
            int(row["station"]): Station(
                number=int(row["station"]),
                name_ko=row["name_ko"],
                name_en=row["name_en"],
                site=Site(float(row["lat"]), float(row["lon"]), float(row["elevation_m"])),
            )
            for row in csv.DictReader(text.splitlines())
        }
    )


def station(number: int) -> Station:
    """One station.

    Raises:
        UsageError: No such station; the text names the range and where to look.
    """
    found = stations().get(number)
    if found is None:
        raise UsageError(
            f"station {number} is not one of KMA's {len(stations())} ASOS stations "
            "(Seoul is 108); see trainer/stations.csv for the list"
        )
    return found
