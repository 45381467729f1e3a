"""Zones of KMA's warnings: places that surely lie in one, names, and what concerns a farm."""

from __future__ import annotations

import pytest

from edge_agent.contract.errors import UsageError
from edge_agent.contract.warning_zones import COUNTRY, concerns, zone_at, zone_named, zones


def test_the_list_is_a_tree_of_known_codes() -> None:
    """Every zone but the country has a parent in the list, and the country is its top."""
    known = zones()
    assert len(known) == 301
    assert [zone.code for zone in known.values() if not zone.parent] == [COUNTRY]
    assert all(zone.parent in known for zone in known.values() if zone.parent)


@pytest.mark.parametrize(
    ("latitude", "longitude", "code"),
    [(35.1799, 128.1076, "L1081400"), (36.5684, 128.7294, "L1072730")],
)
def test_a_place_within_a_known_zone(latitude: float, longitude: float, code: str) -> None:
    """Jinju, and the west of Andong: looked up on KMA's map."""
    zone = zone_at(latitude, longitude)
    assert zone is not None
    assert zone.code == code


def test_a_place_that_the_list_does_not_know_is_not_guessed() -> None:
    """Seoul has no circle, and the sea off Busan lies in none."""
    assert zone_at(37.5714, 126.9658) is None
    assert zone_at(35.05, 129.40) is None


def test_no_circle_reaches_the_middle_of_another_zone() -> None:
    """Zones do not overlap, so no centre lies in the circle of another."""
    for zone in zones().values():
        for latitude, longitude, _ in zone.circles:
            assert zone_at(latitude, longitude) == zone


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("L1081400", "L1081400"),
        ("진주시", "L1081400"),
        (" 경상남도  고성군 ", "L1082300"),
        ("울릉도.독도", "L1072100"),
        ("L1999900", "L1999900"),
    ],
)
def test_a_zone_by_code_or_name(text: str, code: str) -> None:
    """A code that is newer than the list is taken as it is."""
    assert zone_named(text).code == code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("고성군", "several zones have this name: L1022200"),
        ("진주", "is it one of L1081400"),
        ("Jinju", "write its code"),
        ("", "write its code"),
        ("L108140", "write its code"),
    ],
)
def test_a_name_that_is_none_says_what_to_write(text: str, said: str) -> None:
    """Never the wrong zone: several zones of a name are listed, and near names are shown."""
    with pytest.raises(UsageError, match=said):
        zone_named(text)


def test_what_concerns_a_farm() -> None:
    """Its own zone, the region around it and the parts of a city; no neighbour."""
    assert concerns("L1081400", "L1081400")
    assert concerns("L1080000", "L1081400")
    assert concerns("L1072610", "L1072600")
    assert not concerns("L1081300", "L1081400")
    assert not concerns("L1072610", "L1072620")
