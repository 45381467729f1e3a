"""The farms that a lake keeps hours of, and where they are.

    farms/<site>/<device>.json   contract.farm_identity.Identity

Coordinates stay in the lake: no release says where a farm is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import cos, hypot, radians
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import BadData, InputMissing, StorageError
from edge_agent.contract.farm_identity import decode, encode
from edge_agent.contract.schema import TARGETS, TIME, Site
from trainer.workspace.places import FarmId

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from edge_agent.contract.farm_identity import Identity
    from trainer.workspace.lake import Lake, Merge

_FOLDER: Final = "farms"
MOVED_KM: Final = 1.0
MOVED_M: Final = 30.0
"""A farm that moved further, or so far up or down, is another place with other weather."""
_KM_PER_DEGREE: Final = 111.2
_AHEAD: Final = timedelta(minutes=5)
"""Largest difference of clocks that is accepted."""


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


def farm_ids(lake: Lake) -> tuple[FarmId, ...]:
    """Names of all farms of a lake, ascending; their files are not read."""
    names = lake.store.names(_FOLDER)
    texts = (
        name.removeprefix(f"{_FOLDER}/").removesuffix(".json")
        for name in names
        if name.endswith(".json")
    )
    return tuple(sorted(FarmId.of(text) for text in texts))


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


@dataclass(frozen=True, slots=True)
class Extent:
    """What the lake has of a farm.

    Attributes:
        hours: Rows.
        first: Oldest hour, UTC; None = none.
        last: Newest hour.
        missing: Per target, share of the hours from `first` to `last` without a value.
    """

    hours: int
    first: datetime | None
    last: datetime | None
    missing: dict[str, float]


def extent(lake: Lake, farm_id: FarmId) -> Extent:
    """What the lake has of a farm.

    Raises:
        StorageError: A file cannot be read.
    """
    rows = lake.observations(farm_id)
    if rows.is_empty():
        return Extent(0, None, None, dict.fromkeys(TARGETS, 1.0))
    first, last = rows[TIME][0], rows[TIME][-1]
    span = (last - first) / timedelta(hours=1) + 1
    missing = {name: 1.0 - rows[name].count() / span for name in TARGETS}
    return Extent(rows.height, first, last, missing)


def enrol(lake: Lake, identity: Identity) -> Farm:
    """Keep the identity of a farm; the newest one counts.

    Raises:
        BadData: It was elsewhere so far: hours of two places are no history of one.
        StorageError: The lake cannot be read or written.
    """
    enrolled = _farm(identity)
    name = _name(enrolled.id)
    if lake.store.read(name) is not None:
        _check_place(_farm(_read(lake, name)), enrolled)
    lake.store.write(name, f"{encode(identity)}\n".encode())
    return enrolled


def admit(
    lake: Lake, identity: Identity, frame: pl.DataFrame, source: str, now: datetime
) -> tuple[FarmId, Merge]:
    """Bring a farm's hours in; the caller holds the lake's lock.

    Args:
        lake: Where to.
        identity: Whose they are.
        frame: As `tables.ours` returns.
        source: Where they come from, see `Lake.merge`.
        now: Time of the merge.

    Raises:
        BadData: There is no hour, or one that is still to come, or see `enrol`.
        StorageError: The lake cannot be read or written.
    """
    if frame.is_empty():
        raise BadData(f"farm {identity.site}/{identity.device}: has no hours")
    newest: datetime = frame[TIME][-1]
    if newest > now + _AHEAD:
        raise BadData(
            f"farm {identity.site}/{identity.device}: its hour {newest:%Y-%m-%dT%H:%MZ} is still "
            "to come: check its clock"
        )
    enrolled = enrol(lake, identity)
    return enrolled.id, lake.merge(enrolled.id, frame, source, now)


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
        return decode(lake.store.read(name) or b"")
    except BadData as fault:
        raise StorageError(
            f"lake: {name} is damaged: remove it and bring the farm's hours in anew"
        ) from fault
