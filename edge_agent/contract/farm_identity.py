"""Device and place of a farm's own hours, in exports, messages and the trainer's lake. Pure.

It tells where the farm is. So it goes only where the owner sends it, and never into a release.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData

EXPORT: Final = "farm-edge/history/1"
"""Format of exported hours. In a Parquet file it is the metadata key of the identity (JSON); in a
CSV file the first line is `# `, this format and the identity."""

WORDS: Final = "words"
"""Key of `msgspec.Meta.extra`: what a pattern takes, in words for people. Each pattern has them."""
SLUG: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
SLUG_EXAMPLE: Final = "greenhouse-1"
Slug = Annotated[
    str,
    Meta(
        pattern=SLUG,
        examples=[SLUG_EXAMPLE],
        extra={WORDS: "small letters a-z, digits, _ and -, at most 63, not _ or - first"},
    ),
]
"""Names of sites and devices: they are parts of topics, folders and file names."""
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
        source: Name of the observations, such as `sensor:outdoor`.
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
        raise BadData(f"who the hours are of: {in_words(fault, SLUG_EXAMPLE)}") from fault
