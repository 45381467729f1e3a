"""Zones of KMA's warnings on land: code, name, parent, and places that surely lie in one. Pure.

Codes and names: KMA's list of zones (특보구역코드안내) of June 2026. The circles were computed from
KMA's map of its zones (wrnArea.geojson, August 2026), of which only the south-east (Daegu, Busan,
Ulsan, Gyeongsang) was at hand: every circle lies within its zone by 300 m or more. A place in none
of them has no zone here, so a zone is never guessed.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import UsageError
from edge_agent.contract.schema import Site
from edge_agent.contract.stations import distance_km

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNTRY: Final = "L1000000"
"""Zone of the whole country, the only one without a parent."""
_CODE_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class WarningZone:
    """One zone.

    Attributes:
        code: KMA's, such as "L1081400".
        name: Korean, as KMA writes it.
        parent: Code of the zone that it is part of; empty for the country.
        circles: Places (latitude, longitude) with a radius in km, all of which lie in the zone.
    """

    code: str
    name: str
    parent: str
    circles: tuple[tuple[float, float, float], ...] = ()


@cache
def zones() -> Mapping[str, WarningZone]:
    """Every zone by code, ascending; the packaged list of 301."""
    text = files("edge_agent.contract").joinpath("warning_zones.csv").read_text("utf-8")
    return MappingProxyType(
        {
            row["zone"]: WarningZone(
                row["zone"],
                row["name_ko"],
                "" if row["zone"] == COUNTRY else row["parent"],
                tuple(_circle(text) for text in row["circles"].split()),
            )
            for row in csv.DictReader(text.splitlines())
        }
    )


def zone_at(latitude: float, longitude: float) -> WarningZone | None:
    """The zone that surely holds a place, or None where the list does not say."""
    here = Site(latitude, longitude, 0.0)
    for zone in zones().values():
        if any(distance_km(here, Site(lat, lon, 0.0)) <= km for lat, lon, km in zone.circles):
            return zone
    return None


@cache
def zone_of(text: str, latitude: float, longitude: float) -> WarningZone | None:
    """The zone that a configuration names, else the one that surely holds the place, or None.

    Raises:
        UsageError: No such name, or several zones have it.
    """
    return zone_named(text) if text else zone_at(latitude, longitude)


def zone_named(text: str) -> WarningZone:
    """The zone of a code or a Korean name, as people write it.

    Args:
        text: "L1081400", "진주시", or with the name of the parent "경상남도 고성군". A code that
            the list does not have is taken as it is: KMA splits zones from time to time.

    Raises:
        UsageError: No such name, or several zones have it.
    """
    known = zones()
    wanted = " ".join(text.split())
    if _is_code(wanted):
        return known.get(wanted, WarningZone(wanted, wanted, ""))
    found = [zone for zone in known.values() if wanted in {zone.name, _full_name(zone)}]
    # A city of one zone stands twice in the list: as the region, and as the zone below it.
    leaves = [zone for zone in found if not any(each.parent == zone.code for each in found)]
    if len(leaves) == 1:
        return leaves[0]
    if leaves:
        codes = ", ".join(f"{zone.code} ({_full_name(zone)})" for zone in leaves)
        raise UsageError(f"{text!r}: several zones have this name: {codes}")
    near = [zone for zone in known.values() if wanted and wanted in zone.name][:5]
    like = ", ".join(f"{zone.code} ({zone.name})" for zone in near)
    raise UsageError(
        f"{text!r} is no zone of KMA's warnings"
        + (f": is it one of {like}?" if like else ": write its code, such as L1081400, or its name")
    )


def concerns(zone: str, own: str) -> bool:
    """Whether a warning for one zone is one for a farm in another: the same, around it or in it."""
    return zone == own or own in _line(zone) or zone in _line(own)


def name_of(code: str) -> str:
    """Korean name of a zone; the code itself where the list does not have it."""
    zone = zones().get(code)
    return code if zone is None else zone.name


def _line(code: str) -> set[str]:
    """Codes of the zones that a zone is part of."""
    above: set[str] = set()
    zone = zones().get(code)
    while zone is not None and zone.parent:
        above.add(zone.parent)
        zone = zones().get(zone.parent)
    return above


def _full_name(zone: WarningZone) -> str:
    parent = zones().get(zone.parent)
    return zone.name if parent is None else f"{parent.name} {zone.name}"


def _is_code(text: str) -> bool:
    digits = text[1:]
    return len(text) == _CODE_LENGTH and text[0] == "L" and digits.isascii() and digits.isdecimal()


def _circle(text: str) -> tuple[float, float, float]:
    latitude, longitude, radius = map(float, text.split("/"))
    return latitude, longitude, radius
