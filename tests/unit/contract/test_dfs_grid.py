"""Place -> cell of KMA's forecast grid."""

from __future__ import annotations

import pytest

from edge_agent.contract.dfs_grid import Cell, cell_at, cell_of
from edge_agent.contract.errors import UsageError
from edge_agent.contract.stations import station, stations


@pytest.mark.parametrize(
    ("latitude", "longitude", "cell"),
    [
        (37.5636, 126.9800, Cell(60, 127)),
        (35.1770, 129.0770, Cell(98, 76)),
        (37.488201, 126.929810, Cell(59, 125)),
    ],
)
def test_check_points_of_the_projection(latitude: float, longitude: float, cell: Cell) -> None:
    """Places whose cell is published."""
    assert cell_of(latitude, longitude) == cell


@pytest.mark.parametrize(
    ("number", "cell"),
    [(108, Cell(60, 127)), (184, Cell(53, 38)), (185, Cell(46, 33)), (188, Cell(59, 36))],
)
def test_check_points_of_stations(number: int, cell: Cell) -> None:
    """Stations whose cell is published, Jeju's corners among them."""
    site = station(number).site
    assert cell_of(site.latitude, site.longitude) == cell


def test_every_station_has_a_cell() -> None:
    """All of KMA's stations lie in the grid, hardly two in one cell."""
    cells = {cell_of(s.site.latitude, s.site.longitude) for s in stations().values()}
    assert len(cells) >= len(stations()) - 2


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(0.0, 0.0), (90.0, 127.0), (-91.0, 0.0), (float("nan"), 127.0)]
)
def test_other_places_are_refused(latitude: float, longitude: float) -> None:
    """KMA has no forecast for the rest of the world."""
    with pytest.raises(UsageError, match="outside KMA's forecast grid"):
        cell_of(latitude, longitude)


@pytest.mark.parametrize(("nx", "ny"), [(0, 127), (150, 127), (60, 0), (60, 254), (-1, -1)])
def test_cells_beyond_the_grid_are_refused(nx: int, ny: int) -> None:
    """Its corners are cells, their neighbours are none."""
    assert (cell_at(1, 253), cell_at(149, 1)) == (Cell(1, 253), Cell(149, 1))
    with pytest.raises(UsageError, match=r"cells 1 to 149 and 1 to 253"):
        cell_at(nx, ny)
