"""Farms in the lake: their names, hours and places."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData, InputMissing, StorageError, UsageError
from edge_agent.contract.farm_identity import Identity, encode
from edge_agent.contract.schema import Flag, Site, flag_column
from trainer.workspace.farms import Farm, enrol, extent, farm, farms, move, observations
from trainer.workspace.lake import Lake, Merge
from trainer.workspace.places import FarmId
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

T0 = datetime(2025, 12, 31, 22, tzinfo=UTC)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
HILL = FarmId("hill", "edge-1")
IDENTITY = Identity(
    site="hill",
    device="edge-1",
    latitude=37.5,
    longitude=127.0,
    elevation_m=86.0,
    source="sensor:outdoor",
)


def hours(values: list[float | None]) -> pl.DataFrame:
    """Temperatures from `T0` on with flags; every other quantity is missing."""
    empty = [None] * len(values)
    columns: dict[str, object] = {"time": [T0 + timedelta(hours=h) for h in range(len(values))]}
    for name in schema.OBSERVED:
        given = values if name == schema.AIR_TEMPERATURE else empty
        columns[name] = given
        columns[flag_column(name)] = [Flag.MISSING if v is None else Flag.GOOD for v in given]
    types = dict.fromkeys(schema.OBSERVED, pl.Float64())
    return pl.DataFrame(columns, schema_overrides={"time": schema.TIME_DTYPE, **types})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in a folder."""
    return Lake(FolderStore(tmp_path))


def test_hours_of_a_farm_lie_beside_those_of_stations(lake: Lake, tmp_path: Path) -> None:
    """A farm has a folder of its own, is no station, and its own later word counts."""
    assert lake.merge(HILL, hours([1.0, None, 3.0]), "mqtt", NOW) == Merge(added=3)
    lake.merge(108, hours([9.0]), "asos", NOW)
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.parquet"))
    assert files == [
        "observations/farm=hill+edge-1/year=2025.parquet",
        "observations/farm=hill+edge-1/year=2026.parquet",
        "observations/station=108/year=2025.parquet",
    ]
    assert lake.stations() == (108,)
    assert lake.merge(HILL, hours([1.5, 2.0, None]), "parquet", NOW) == Merge(changed=2, revised=1)
    assert lake.observations(HILL)[schema.AIR_TEMPERATURE].to_list() == [1.5, 2.0, 3.0]
    assert lake.newest(HILL, NOW) == T0 + timedelta(hours=2)
    assert len(lake.hours(HILL, settled=True)) == 3


@pytest.mark.parametrize("name", ["", "hill", "hill/", "../x/y", "hill/a/b", "Hill/a", "hi+ll/a"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    """What could leave the lake's folder, or be read as another farm, is no farm's name."""
    with pytest.raises(UsageError, match="use a-z, 0-9, _ and -"):
        FarmId.of(name)


def test_what_a_farm_is_comes_back(lake: Lake) -> None:
    """Farms are listed by name with their places; one that nobody told of is said so."""
    assert farms(lake) == ()
    with pytest.raises(InputMissing, match=r"farm hill/edge-1: .*trainer farm import"):
        farm(lake, HILL)
    enrol(lake, msgspec.structs.replace(IDENTITY, device="edge-2", latitude=35.0))
    enrol(lake, IDENTITY)
    first = Farm(HILL, Site(37.5, 127.0, 86.0))
    assert farm(lake, HILL) == first
    assert farms(lake) == (first, Farm(FarmId.of("hill/edge-2"), Site(35.0, 127.0, 86.0)))


@pytest.mark.parametrize(
    "move", [{"latitude": 37.51}, {"longitude": 127.012}, {"elevation_m": 120.0}]
)
def test_a_farm_that_moved_is_another_one(lake: Lake, move: dict[str, float]) -> None:
    """More than a kilometre, or 30 m up, is refused; a place told more finely is not."""
    enrol(lake, IDENTITY)
    with pytest.raises(BadData, match=r"elsewhere than where it was enrolled.*trainer farm move"):
        enrol(lake, msgspec.structs.replace(IDENTITY, **move))
    enrol(lake, msgspec.structs.replace(IDENTITY, latitude=37.501, longitude=127.001))
    assert farm(lake, HILL).site == Site(37.501, 127.001, 86.0)


def test_many_small_steps_lead_no_further_than_one(lake: Lake) -> None:
    """A farm is compared with the place of its enrolment, not with the one it told last."""
    enrol(lake, IDENTITY)
    for step in range(1, 8):
        there = msgspec.structs.replace(IDENTITY, latitude=37.5 + 0.0085 * step)
        if step == 1:
            enrol(lake, there)
            continue
        with pytest.raises(BadData, match=f"enrolled, {0.9452 * step:.1f} km away and \\+0 m"):
            enrol(lake, there)
    assert farm(lake, HILL).site == Site(37.5085, 127.0, 86.0)
    for step in range(1, 4):
        higher = msgspec.structs.replace(IDENTITY, elevation_m=86.0 + 29 * step)
        with contextlib.suppress(BadData):
            enrol(lake, higher)
    assert farm(lake, HILL).site == Site(37.5, 127.0, 115.0)


def test_what_an_earlier_version_kept_is_the_enrolment(lake: Lake) -> None:
    """A file with the identity alone: its place is the one that counts from now on."""
    lake.store.write("farms/hill/edge-1.json", encode(IDENTITY).encode())
    enrol(lake, msgspec.structs.replace(IDENTITY, latitude=37.5085))
    with pytest.raises(BadData, match="elsewhere"):
        enrol(lake, msgspec.structs.replace(IDENTITY, latitude=37.517))


def test_an_operator_enrols_a_farm_elsewhere(lake: Lake) -> None:
    """Its hours of before stay in the lake; from `since` on the others count, here and later."""
    enrol(lake, IDENTITY)
    lake.merge(HILL, hours([1.0, 2.0, 3.0, 4.0]), "mqtt", NOW)
    there = Site(35.2, 128.6, 20.0)
    since = T0 + timedelta(hours=2)
    moved = move(lake, HILL, there, since)
    assert moved == farm(lake, HILL) == Farm(HILL, there, since)
    assert observations(lake, moved)[schema.AIR_TEMPERATURE].to_list() == [3.0, 4.0]
    assert observations(lake, moved, since + timedelta(hours=1)).height == 1
    assert (extent(lake, moved).hours, lake.observations(HILL).height) == (2, 4)
    with pytest.raises(BadData, match="elsewhere"):
        enrol(lake, IDENTITY)
    told = msgspec.structs.replace(IDENTITY, latitude=35.2001, longitude=128.6, elevation_m=20.0)
    assert enrol(lake, told).since == since
    assert farms(lake)[0].site.latitude == 35.2001
    assert move(lake, HILL, there, None).since is None
    for bad in (Site(91.0, 127.0, 1.0), Site(float("nan"), 127.0, 1.0)):
        with pytest.raises(BadData, match="latitude"):
            move(lake, HILL, bad, None)
    with pytest.raises(InputMissing, match="hill/edge-9"):
        move(lake, FarmId.of("hill/edge-9"), there, None)


def test_a_damaged_record_is_named(lake: Lake, tmp_path: Path) -> None:
    """A file that is no identity, and hours that are no Parquet, say what to do."""
    enrol(lake, IDENTITY)
    (tmp_path / "farms/hill/edge-1.json").write_bytes(b"{")
    with pytest.raises(StorageError, match=r"farms/hill/edge-1.json is damaged: remove it"):
        farms(lake)
    lake.merge(HILL, hours([1.0]), "mqtt", NOW)
    (tmp_path / "observations/farm=hill+edge-1/year=2025.parquet").write_bytes(b"x")
    with pytest.raises(StorageError, match="import the farm's export anew"):
        lake.observations(HILL)
