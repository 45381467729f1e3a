"""The farms that a lake keeps hours of, and where they are.

    farms/<site>/<device>.json   contract.farm_identity.Identity, and where it was enrolled

A farm is compared with the place of its enrolment, never with the one it told last: many small
steps lead no further than one. Only `move`, which an operator calls, enrols it elsewhere.
Coordinates stay in the lake: no release says where a farm is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import cos, hypot, radians
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData, InputMissing, StorageError
from edge_agent.contract.farm_identity import Identity
from edge_agent.contract.schema import TARGETS, TIME, Site
from trainer.workspace.future_hours import latest
from trainer.workspace.places import FarmId

if TYPE_CHECKING:
    import polars as pl

    from trainer.workspace.lake import Lake, Merge

_FOLDER: Final = "farms"
MOVED_KM: Final = 1.0
MOVED_M: Final = 30.0
"""A farm that moved further, or so far up or down, is another place with other weather."""
_KM_PER_DEGREE: Final = 111.2


@dataclass(frozen=True, slots=True, order=True)
class Farm:
    """A farm and where it is.

    Attributes:
        id: Its name.
        site: Its place as told last, near the one it was enrolled at.
        since: Hours before are of another place and do not count, UTC; None = all count.
    """

    id: FarmId
    site: Site
    since: datetime | None = None


class _Enrolment(Identity, frozen=True, kw_only=True):
    """What is kept of a farm: the identity it told last, and where it was enrolled.

    Attributes:
        enrolled: The place that others are compared with; None = the identity's own.
        since: See `Farm`.
    """

    enrolled: Site | None = None
    since: datetime | None = None

    @property
    def place(self) -> Site:
        """Place of the identity."""
        return Site(self.latitude, self.longitude, self.elevation_m)

    @property
    def farm(self) -> Farm:
        """Name, place and since when."""
        return Farm(FarmId(self.site, self.device), self.place, self.since)


def farms(lake: Lake) -> tuple[Farm, ...]:
    """Every farm of a lake, by site and device.

    Raises:
        StorageError: What is kept of one cannot be read.
    """
    names = lake.store.names(_FOLDER)
    return tuple(sorted(_read(lake, name).farm for name in names if name.endswith(".json")))


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
    return _known(lake, farm_id).farm


def observations(
    lake: Lake, place: Farm, start: datetime | None = None, end: datetime | None = None
) -> pl.DataFrame:
    """Hours of a farm at its present place; otherwise see `Lake.observations`."""
    if place.since is not None and (start is None or start < place.since):
        start = place.since
    return lake.observations(place.id, start, end)


@dataclass(frozen=True, slots=True)
class Extent:
    """What the lake has of a farm at its present place.

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


def extent(lake: Lake, place: Farm) -> Extent:
    """What the lake has of a farm at its present place.

    Raises:
        StorageError: A file cannot be read.
    """
    rows = observations(lake, place)
    if rows.is_empty():
        return Extent(0, None, None, dict.fromkeys(TARGETS, 1.0))
    first, last = rows[TIME][0], rows[TIME][-1]
    span = (last - first) / timedelta(hours=1) + 1
    missing = {name: 1.0 - rows[name].count() / span for name in TARGETS}
    return Extent(rows.height, first, last, missing)


def enrol(lake: Lake, identity: Identity) -> Farm:
    """Keep the identity of a farm; the newest one counts, near the place of its enrolment.

    Raises:
        BadData: It is elsewhere: hours of two places are no history of one.
        StorageError: The lake cannot be read or written.
    """
    new = msgspec.convert(identity, _Enrolment, from_attributes=True)
    name = _name(new.farm.id)
    if lake.store.read(name) is None:
        new = msgspec.structs.replace(new, enrolled=new.place)
    else:
        before = _read(lake, name)
        enrolled = before.enrolled or before.place
        _check_place(new.farm, enrolled)
        new = msgspec.structs.replace(new, enrolled=enrolled, since=before.since)
    _write(lake, new)
    return new.farm


def move(lake: Lake, farm_id: FarmId, place: Site, since: datetime | None) -> Farm:
    """Enrol a farm at another place; the caller holds the lake's lock.

    Args:
        lake: Where its hours are; none is removed.
        farm_id: Which farm.
        place: Where it is.
        since: Hours before are of the place where it was, UTC; None = it was here all along.

    Raises:
        BadData: The place is none.
        InputMissing, StorageError: See `farm`.
    """
    before = _known(lake, farm_id)
    fields = msgspec.to_builtins(before) | msgspec.to_builtins(place)
    told = msgspec.json.encode(fields | {"enrolled": place, "since": since})
    try:
        moved = msgspec.json.decode(told, type=_Enrolment)
    except msgspec.ValidationError as fault:
        raise BadData(f"farm {farm_id}: {in_words(fault)}") from fault
    _write(lake, moved)
    return moved.farm


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
    if newest > latest(now):
        raise BadData(
            f"farm {identity.site}/{identity.device}: its hour {newest:%Y-%m-%dT%H:%MZ} is still "
            "to come: check its clock"
        )
    enrolled = enrol(lake, identity)
    return enrolled.id, lake.merge(enrolled.id, frame, source, now)


def _check_place(told: Farm, enrolled: Site) -> None:
    here = told.site
    north = here.latitude - enrolled.latitude
    east = (here.longitude - enrolled.longitude) * cos(radians(enrolled.latitude))
    far_km = hypot(north, east) * _KM_PER_DEGREE
    up_m = here.elevation_m - enrolled.elevation_m
    if far_km > MOVED_KM or abs(up_m) > MOVED_M:
        raise BadData(
            f"farm {told.id}: it lies elsewhere than where it was enrolled, {far_km:.1f} km away "
            f"and {up_m:+.0f} m in height: give a device that moved another id, or enrol it at its "
            f"place: `trainer farm move {told.id} --help`"
        )


def _name(farm_id: FarmId) -> str:
    return f"{_FOLDER}/{farm_id}.json"


def _known(lake: Lake, farm_id: FarmId) -> _Enrolment:
    name = _name(farm_id)
    if lake.store.read(name) is None:
        raise InputMissing(
            f"farm {farm_id}: the lake has nothing of it: bring its hours in with "
            "`trainer farm import` or `trainer farm collect`"
        )
    return _read(lake, name)


def _read(lake: Lake, name: str) -> _Enrolment:
    try:
        return msgspec.json.decode(lake.store.read(name) or b"", type=_Enrolment)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise StorageError(
            f"lake: {name} is damaged: remove it and bring the farm's hours in anew"
        ) from fault


def _write(lake: Lake, enrolment: _Enrolment) -> None:
    lake.store.write(_name(enrolment.farm.id), msgspec.json.encode(enrolment) + b"\n")
