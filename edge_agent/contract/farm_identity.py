"""Whose hours a farm's history holds: what an export and a message say, and a trainer keeps. Pure.

It says where the farm is, so it travels only where its owner sends it, and never into a release.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge_agent.contract.errors import BadData

EXPORT: Final = "farm-edge/history/1"
"""Format of exported hours: the key of a Parquet file's metadata whose value is the identity as
JSON, and what follows `# ` in the first line of a CSV file, before the same JSON."""

SLUG: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Slug = Annotated[str, Meta(pattern=SLUG)]
"""Names of sites and devices: they stand in topics, folders and file names."""
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Elevation = Annotated[float, Meta(ge=-430, le=9000)]


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A device and its place: degrees north and east, metres above the sea.

    Attributes:
        site: Its site.
        device: Its id.
        latitude: Degrees north.
        longitude: Degrees east.
        elevation_m: Of the ground.
        source: What measured, such as `sensor:outdoor`.
    """

    site: Slug
    device: Slug
    latitude: Latitude
    longitude: Longitude
    elevation_m: Elevation
    source: Annotated[str, Meta(max_length=100)]


def encode(identity: Identity) -> str:
    """Identity as one line of JSON."""
    return msgspec.json.encode(identity).decode()


def decode(text: str | bytes) -> Identity:
    """Identity from JSON.

    Raises:
        BadData: Not that, or out of range.
    """
    try:
        return msgspec.json.decode(text, type=Identity)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise BadData(f"who the hours are of: {fault}") from fault
