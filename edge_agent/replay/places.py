"""The place of a replay, from the options of a command line. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import UsageError
from edge_agent.contract.schema import Site
from edge_agent.contract.stations import nearest
from edge_agent.contract.stations import station as station_of

if TYPE_CHECKING:
    from edge_agent.settings import Device

_LIMITS: Final = ((-90.0, 90.0), (-180.0, 180.0), (-430.0, 9000.0))
"""Of latitude, longitude and elevation, as `farm_identity` has them."""


def device_at(device: Device, place: str | None, station: int | None) -> Device:
    """A device at a place.

    Args:
        device: What is not said of the place stays as it is here.
        place: "LAT,LON,ELEV", degrees north and east and metres; None: the station's, if any.
        station: ASOS number of the relayed station; None: the nearest one to `place`, if any.

    Raises:
        UsageError: No such place or station.
    """
    if place is None and station is None:
        return device
    if place is None:
        assert station is not None
        site = station_of(station).site
    else:
        site = _site(place)
        station = nearest(site)[0].number if station is None else station_of(station).number
    return msgspec.structs.replace(
        device,
        latitude=site.latitude,
        longitude=site.longitude,
        elevation_m=site.elevation_m,
        station=station,
    )


def _site(text: str) -> Site:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(_LIMITS) or not all(
        low <= number <= high and math.isfinite(number)
        for number, (low, high) in zip(numbers, _LIMITS, strict=False)
    ):
        raise UsageError(
            f"--place {text!r}: give latitude, longitude and metres above the sea, such as "
            "35.10,129.03,70"
        )
    return Site(*numbers)
