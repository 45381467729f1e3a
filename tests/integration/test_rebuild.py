"""The tidy lake made anew from the raw store."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.kma_faults import FaultRates
from demo.places import SEOUL, Place
from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import FarmError, InputMissing, NothingNew, StorageError
from tests.fakes.clock import FakeClock
from trainer.ingest import pipeline, rebuild
from trainer.ingest.guidance import Archive
from trainer.ingest.hub import catch_up
from trainer.ingest.importer import Import
from trainer.ingest.kma_client import KmaClient
from trainer.ingest.source import Selection
from trainer.ingest.village import collect
from trainer.setup import create
from trainer.workspace.kma_sources import Kma
from trainer.workspace.places import FarmId
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2022, 6, 20, 3, 20, tzinfo=UTC)
ENV = {"KMA_SERVICE_KEY": "demo-key", "KMA_HUB_KEY": "demo-key"}
STATIONS = (108, 112)
CELL = Cell(60, 127)
TIDY = ("observations", "guidance", "revisions")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Two stations, a winter and a spring."""
    start, end = datetime(2021, 11, 20), datetime(2022, 6, 28)  # noqa: DTZ001 - KST
    return generate([SEOUL, Place(112, 37.47772, 126.6249, 68.99)], start, end, seed=8)


def _csv(frame: pl.DataFrame, path: Path, warmer: float) -> Path:
    """Some days of one station as a file in KMA's names, every value a bit warmer."""
    some = frame.filter(pl.col("station") == 108, pl.col("tm").dt.date() > date(2022, 5, 1))
    target = io.BytesIO()
    some.head(48).with_columns(pl.col("ta") + warmer).write_parquet(target)
    path.write_bytes(target.getvalue())
    return path


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about power cuts, and flushing is most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def workspace(made: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the lake for one test."""
    shutil.copytree(made.root, tmp_path / "copy")
    return Workspace(tmp_path / "copy", made.config)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, frame: pl.DataFrame) -> Workspace:
    """A lake of every source, with faults on the way, files between and revisions."""
    tmp_path = tmp_path_factory.mktemp("rebuild")
    place = create(tmp_path / "work", single_key=True)
    rates = FaultRates(http_500=0.1, truncated=0.03, late_rows=0.02, duplicated=0.1)
    clock = FakeClock(NOW)
    with KmaStandIn(frame, now=NOW, faults=rates, seed=5) as server:
        kma = Kma(
            asos_url=server.asos_url,
            hub_url=server.hub_url,
            village_url=server.village_url,
            requests_per_second=1000.0,
        )
        made = Workspace(
            place.root,
            msgspec.structs.replace(place.config, stations=STATIONS, start="2021-11-21", kma=kma),
        )
        client = KmaClient(made, clock, ENV, _no_wait)
        for number, warmer in enumerate((0.5, 0.25)):
            Import(made, clock).bring(_csv(frame, tmp_path / f"{number}.parquet", warmer))
            _ingest(made, clock)
            catch_up(client, STATIONS)
            collect(client, [CELL])
            clock.advance(3 * 86400)
            server.now = clock.now()
    return made


def _no_wait(_seconds: float) -> None:
    """Time is the clock's."""


def _ingest(workspace: Workspace, clock: FakeClock) -> None:
    for _ in range(5):
        with contextlib.suppress(NothingNew):
            wanted = pipeline.request(workspace, clock)
            try:
                pipeline.run(KmaClient(workspace, clock, ENV, _no_wait), wanted).check()
            except NothingNew:
                return
            except FarmError:
                continue


def _tree(workspace: Workspace, *parts: str) -> dict[str, bytes | None]:
    store = workspace.store
    return {name: store.read(name) for part in parts for name in store.names(part)}


def test_a_rebuilt_lake_is_the_lake_it_was(workspace: Workspace) -> None:
    """B1: every tidy file is byte for byte the same after it was lost or damaged."""
    before = _tree(workspace, *TIDY)
    raw = _tree(workspace, "raw", "ledger")
    assert {name.split("/")[1] for name in raw if name.startswith("raw/")} == {
        "asos",
        "hub",
        "import",
        "nowcast",
        "village",
    }
    assert sum(name.startswith("revisions") for name in before) > 0
    assert rebuild.rebuild(workspace).replaced == ()
    for number, name in enumerate(sorted(before)):
        if not name.startswith("revisions"):
            if number % 2:
                workspace.store.remove(name)
            else:
                workspace.store.write(name, b"rot")
    done = rebuild.rebuild(workspace)
    assert _tree(workspace, *TIDY) == before
    assert len(done.replaced) == sum(not name.startswith("revisions") for name in before)
    assert done.read == sum(name.startswith("raw/") for name in raw)
    assert _tree(workspace, "raw", "ledger") == raw
    # What the ledger knows still fits: nothing is asked for twice.
    client = KmaClient(workspace, FakeClock(NOW), ENV, _no_wait)
    assert pipeline.plan(client, Selection()).requests == 0


def test_lost_revisions_are_told_anew_and_others_stay(workspace: Workspace) -> None:
    """B4: the same values, with the time of the answer."""
    before = _tree(workspace, "revisions")
    for name in before:
        workspace.store.remove(name)
    rebuild.rebuild(workspace)
    after = _tree(workspace, "revisions")

    def told(tree: dict[str, bytes | None]) -> list[dict[str, object]]:
        lines = [line for content in tree.values() for line in (content or b"").splitlines()]
        return [{**msgspec.json.decode(line), "revised_at": ""} for line in lines]

    assert after.keys() == before.keys()
    assert sorted(map(str, told(after))) == sorted(map(str, told(before)))


def test_rows_that_nothing_raw_holds_are_never_lost(workspace: Workspace) -> None:
    """B3: an hour or a forecast from elsewhere stops the rebuild before anything is written."""
    lake = workspace.lake
    stranger = lake.observations(108).head(1).drop("source")
    early = stranger.with_columns(pl.col("time") - timedelta(days=4000))
    lake.merge(108, early, "asos", NOW)
    before = _tree(workspace, *TIDY)
    with pytest.raises(InputMissing, match=r"year=2010.parquet has 1 rows.*nothing was changed"):
        rebuild.rebuild(workspace)
    assert _tree(workspace, *TIDY) == before
    workspace.store.remove("observations/station=108/year=2010.parquet")
    archive = Archive(workspace.store)
    said = archive.read(CELL).head(1)
    archive.append(CELL, said.with_columns(pl.col("issued_at") - timedelta(days=400)))
    with pytest.raises(InputMissing, match=r"guidance/.*has 1 rows"):
        rebuild.rebuild(workspace)


def test_a_farm_is_left_as_it_is(workspace: Workspace) -> None:
    """B5: hours that a farm sent are kept only tidy, and stop no rebuild."""
    lake, farm = workspace.lake, FarmId("hill", "edge-1")
    lake.merge(farm, lake.observations(108).head(30).drop("source"), "mqtt", NOW)
    rows = lake.observations(farm)
    assert rebuild.rebuild(workspace).replaced == ()
    assert lake.observations(farm).equals(rows)


def test_files_imported_without_being_kept_are_asked_for(workspace: Workspace) -> None:
    """B3: an import of an older version names the file; importing it again is the remedy."""
    (first, *_) = workspace.store.names("raw/import")
    content = workspace.raw.read(first)[1]
    workspace.store.remove(first)
    with pytest.raises(InputMissing, match=r"0.parquet was imported before.*import it again"):
        rebuild.rebuild(workspace)
    path = workspace.root / "0.parquet"
    path.write_bytes(content)
    Import(workspace, FakeClock(NOW)).bring(path)
    rebuild.rebuild(workspace)


def test_a_damaged_answer_stops_the_rebuild(workspace: Workspace) -> None:
    """The file is named, and nothing is changed."""
    name = workspace.store.names("raw/asos/108")[0]
    workspace.store.write(name, b"rot")
    before = _tree(workspace, *TIDY)
    with pytest.raises(StorageError, match=name):
        rebuild.rebuild(workspace)
    assert _tree(workspace, *TIDY) == before
