"""What the lake keeps hours of: a station, a cell of KMA's grid, or a farm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias
from zlib import crc32

from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import UsageError
from edge_agent.contract.farm_identity import SLUG

FARM: Final = "farm="
"""What the name of a farm's folder begins with."""
_SLUG: Final = re.compile(SLUG)


@dataclass(frozen=True, slots=True, order=True)
class FarmId:
    """A device of a site; both are checked here, as they become names of folders.

    Raises:
        UsageError: A name has characters that none may have.
    """

    site: str
    device: str

    def __post_init__(self) -> None:
        for name in (self.site, self.device):
            if not _SLUG.fullmatch(name):
                raise UsageError(
                    f"{name[:70]!r} cannot be the name of a site or device: use a-z, 0-9, _ and -"
                )

    @classmethod
    def of(cls, text: str) -> FarmId:
        """From "site/device".

        Raises:
            UsageError: Not such a name.
        """
        site, _, device = text.partition("/")
        return cls(site, device)

    @property
    def number(self) -> int:
        """Made of the name, larger than any station's: farms take turns by it as stations do."""
        return 1000 + crc32(str(self).encode())

    def __str__(self) -> str:
        """The farm as topics and manifests have it, "site/device"."""
        return f"{self.site}/{self.device}"


PlaceId: TypeAlias = int | Cell | FarmId
"""A station's KMA number, a cell, or a farm."""


def folder(place: PlaceId) -> str:
    """Name of a place's folder in the lake; no slug holds a +."""
    if isinstance(place, FarmId):
        return f"{FARM}{place.site}+{place.device}"
    return f"cell={place}" if isinstance(place, Cell) else f"station={place}"
