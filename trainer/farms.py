"""The farms that a lake keeps hours of, and where they are.

    farms/<site>/<device>.json   contract.farm.Identity

Coordinates stay in the lake: no release says where a farm is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, radians
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.farm import Identity
from edge_agent.contract.schema import Site
from edge_agent.errors import BadData, InputMissing, StorageError
from trainer.places import FarmId

if TYPE_CHECKING:
    from trainer.lake import Lake

_FOLDER: Final = "farms"
MOVED_KM: Final = 1.0
MOVED_M: Final = 30.0
"""What moved further, or as much up or down, is another place with other weather."""
_KM_PER_DEGREE: Final = 111.2


@dataclass(frozen=True, slots=True, order=True)
class Farm:
    """A farm and where it is."""

    id: FarmId
    site: Site


def farms(lake: Lake) -> tuple[Farm, ...]:
    """Every farm of a lake, by site and device.

    Raises:
        StorageError: What is kept of one cannot be read.
    """
    names = lake.store.names(_FOLDER)
    return tuple(sorted(_farm(_read(lake, name)) for name in names if name.endswith(".json")))


def farm(lake: Lake, farm_id: FarmId) -> Farm:
    """One farm.

    Raises:
        InputMissing: The lake knows no such farm.
        StorageError: What is kept of it cannot be read.
    """
    name = _name(farm_id)
    if lake.store.read(name) is None:
        raise InputMissing(
            f"farm {farm_id}: the lake has nothing of it: bring its hours in with "
            "`trainer farm import` or `trainer farm collect`"
        )
    return _farm(_read(lake, name))


def enrol(lake: Lake, identity: Identity) -> Farm:
    """Keep what a farm is; the newest saying counts.

    Raises:
        BadData: It was elsewhere so far: hours of two places are no history of one.
        StorageError: The lake cannot be read or written.
    """
    known = _farm(identity)
    name = _name(known.id)
    if lake.store.read(name) is not None:
        _check_place(_farm(_read(lake, name)), known)
    lake.store.write(name, msgspec.json.encode(identity) + b"\n")
    return known


def _check_place(before: Farm, now: Farm) -> None:
    was, here = before.site, now.site
    north = here.latitude - was.latitude
    east = (here.longitude - was.longitude) * cos(radians(was.latitude))
    far = hypot(north, east) * _KM_PER_DEGREE > MOVED_KM
    if far or abs(here.elevation_m - was.elevation_m) > MOVED_M:
        raise BadData(
            f"farm {now.id}: it lies elsewhere than before: give a device that moved another id, "
            f"or correct its place and remove {_name(now.id)} from the lake"
        )


def _name(farm_id: FarmId) -> str:
    return f"{_FOLDER}/{farm_id}.json"


def _farm(identity: Identity) -> Farm:
    site = Site(identity.latitude, identity.longitude, identity.elevation_m)
    return Farm(FarmId(identity.site, identity.device), site)


def _read(lake: Lake, name: str) -> Identity:
    try:
        return msgspec.json.decode(lake.store.read(name) or b"", type=Identity)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise StorageError(
            f"lake: {name} is damaged: remove it and bring the farm's hours in anew"
        ) from fault
