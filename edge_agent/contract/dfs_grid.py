"""KMA's 5 km forecast grid (DFS): place -> cell. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, floor, log, pi, radians, sin, tan
from typing import Final

from edge_agent.contract.errors import UsageError

_RADIUS: Final = 6371.00877 / 5.0  # of the earth, in cells
_SOUTH, _NORTH = radians(30.0), radians(60.0)
_ORIGIN_LATITUDE, _ORIGIN_LONGITUDE = radians(38.0), radians(126.0)
_ORIGIN_X: Final = 43
_ORIGIN_Y: Final = 136
_SIZE: Final = (149, 253)
_N: Final = log(cos(_SOUTH) / cos(_NORTH)) / log(
    tan(pi / 4 + _NORTH / 2) / tan(pi / 4 + _SOUTH / 2)
)
_F: Final = tan(pi / 4 + _SOUTH / 2) ** _N * cos(_SOUTH) / _N


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A cell: `nx` counts from 1 in the west, `ny` from 1 in the south."""

    nx: int
    ny: int

    def __str__(self) -> str:
        """The cell in names of files and sources, such as 60-127."""
        return f"{self.nx}-{self.ny}"


def cell_at(nx: int, ny: int) -> Cell:
    """Cell of these numbers.

    Raises:
        UsageError: The grid has no such cell.
    """
    if 1 <= nx <= _SIZE[0] and 1 <= ny <= _SIZE[1]:
        return Cell(nx, ny)
    raise UsageError(
        f"cell {nx},{ny}: KMA's forecast grid has cells 1 to {_SIZE[0]} and 1 to {_SIZE[1]}"
    )


def cell_of(latitude: float, longitude: float) -> Cell:
    """Cell that a place lies in.

    Lambert conformal conic projection, standard parallels 30 and 60 degrees, as in KMA's guide to
    the village forecast.

    Args:
        latitude: Degrees north.
        longitude: Degrees east.

    Raises:
        UsageError: The place is outside KMA's grid.
    """
    if -90.0 < latitude < 90.0:
        radius = _distance(radians(latitude))
        angle = _N * (radians(longitude) - _ORIGIN_LONGITUDE)
        x = floor(radius * sin(angle) + _ORIGIN_X + 0.5)
        y = floor(_distance(_ORIGIN_LATITUDE) - radius * cos(angle) + _ORIGIN_Y + 0.5)
        if 1 <= x <= _SIZE[0] and 1 <= y <= _SIZE[1]:
            return Cell(x, y)
    raise UsageError(
        f"latitude {latitude}, longitude {longitude}: outside KMA's forecast grid, which covers "
        "Korea (about 32 to 43 degrees north, 123 to 132 east)"
    )


def _distance(latitude: float) -> float:
    """Distance from the pole of the projection, in cells."""
    return float(_RADIUS * _F / tan(pi / 4 + latitude / 2) ** _N)
