"""From KMA's village service to a farm: nowcasts and guidance through a signed depot over HTTP."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.kma_faults import FaultRates
from demo.places import SEOUL
from edge_agent.alerts.official_store import OfficialStore
from edge_agent.contract import kma_fields
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import ConfigError, TryLater
from edge_agent.contract.forecast import Source
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME
from edge_agent.contract.stations import station
from edge_agent.core.pull import pull
from edge_agent.observations.source_choice import observe
from edge_agent.observations.store import Store
from edge_agent.settings import Config, Depot, Device
from edge_agent.system.database import connect
from tests.fakes.clock import FakeClock
from tests.fakes.served import served
from trainer.ingest.guidance import Archive
from trainer.ingest.kma_client import KmaClient
from trainer.ingest.sources.http import QuotaSpent
from trainer.relay import GUIDANCE_SPAN, relay
from trainer.setup import create
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 6, 20, 3, 20, tzinfo=UTC)
CELL = Cell(60, 127)
FARM = Device()
ENV = {"KMA_SERVICE_KEY": "demo-key"}
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Seoul around now; the farm lies in the station's cell."""
    return generate([SEOUL], datetime(2026, 6, 10), datetime(2026, 6, 28), seed=8)  # noqa: DTZ001 - KST


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A new workspace."""
    create(tmp_path / "work", single_key=True)
    return tmp_path / "work"


def _workspace(place: Path, server: KmaStandIn, *, farms: bool = True) -> Workspace:
    env = {"TRAINER__KMA__VILLAGE_URL": server.village_url, "TRAINER__KMA__RETRIES": "0"}
    workspace = Workspace.open(place / "trainer.toml", env)
    places = ((FARM.latitude, FARM.longitude),) if farms else ()
    return Workspace(place, msgspec.structs.replace(workspace.config, farms=places))


class Farm:
    """An agent's store that pulls from a depot."""

    def __init__(self, state: Path, workspace: Workspace, clock: FakeClock) -> None:
        self._state, self._workspace, self._clock = state, workspace, clock
        self._db = connect(state / "agent.db")
        self.store = Store(self._db)
        self.official = OfficialStore(self._db)

    def pull(self) -> None:
        """Take what is there; that there is no release yet does not keep the weather away."""
        with served(self._workspace.depot) as url:
            root = str(self._workspace.root / "root.json")
            config = Config(device=FARM, depot=Depot(url=url, root_file=root))
            finish = pull(config, self._state, self._clock, (self.store, self.official))
        with pytest.raises(TryLater, match="no release on this channel yet"):
            finish()

    def close(self) -> None:
        """Close the database."""
        self._db.close()


def test_a_farm_gets_the_cells_hours_and_guidance(
    place: Path, tmp_path: Path, frame: pl.DataFrame
) -> None:
    """What the stand-in said of the cell is in the farm's store, value by value, and is used."""
    clock = FakeClock(NOW)
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        done = relay(KmaClient(workspace, clock, ENV, sleep=lambda _s: None))
        assert (done.published, done.added, done.fault) == (True, 23, None)
        assert done.newest == {CELL: datetime(2026, 6, 20, 2, tzinfo=UTC)}
        assert done.guidance == {CELL: datetime(2026, 6, 20, 2, tzinfo=UTC)}
        with closing(Farm(tmp_path / "farm", workspace, clock)) as farm:
            farm.pull()
            hours = farm.store.hourly(f"cell:{CELL}", NOW - DAY, NOW)
            said = farm.store.guidance(NOW - 3 * DAY)
            seen, rung, source = observe(farm.store, FARM, NOW, 48)
    truth = kma_fields.tidy(frame, station(108).site)
    both = hours.join(truth, on=TIME, suffix="_true")
    assert both.height == hours.height == 23
    known = both.drop_nulls([AIR_TEMPERATURE, f"{AIR_TEMPERATURE}_true"])
    assert known.height > 18
    assert known[AIR_TEMPERATURE].equals(known[f"{AIR_TEMPERATURE}_true"])
    archive = Archive(workspace.store).read(CELL)
    told = archive.rename({"issued_at": ISSUED, "valid_at": VALID}).select(GUIDANCE.names())
    assert said.equals(told.filter(pl.col(ISSUED) >= done.guidance[CELL] - GUIDANCE_SPAN))
    assert said[ISSUED].n_unique() == 12
    assert (rung, source) == (Source.MODEL_RELAYED, f"cell:{CELL}")
    assert seen.height == 23


def test_a_relay_collects_forecasts_where_the_lake_has_stations(
    place: Path, frame: pl.DataFrame
) -> None:
    """After the farm's cell: the issues of a station's cell, no nowcasts; not without farms."""
    clock = FakeClock(NOW)
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server, farms=False)
        workspace.lake.merge(112, kma_fields.tidy(frame, station(112).site), "asos", NOW)
        relay(KmaClient(workspace, clock, ENV, sleep=lambda _s: None), (108, 112))
        assert not server.requests
        workspace = _workspace(place, server)
        done = relay(KmaClient(workspace, clock, ENV, sleep=lambda _s: None))
        asked = [request.query["nx"] for request in server.requests]
    assert asked == ["60"] * (12 + 23) + ["54"] * 12
    assert done.fault is None
    assert workspace.lake.observations(Cell(54, 125)).height == 0


def test_an_hour_later_only_what_is_new_comes(
    place: Path, tmp_path: Path, frame: pl.DataFrame
) -> None:
    """The next hour's nowcast, no guidance; at the next issue guidance too; then nothing."""
    clock = FakeClock(NOW)
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        with closing(Farm(tmp_path / "farm", workspace, clock)) as farm:
            counts = []
            for _ in range(4):
                server.now = clock.now()
                relay(KmaClient(workspace, clock, ENV, sleep=lambda _s: None))
                before = farm.store.guidance(NOW - 3 * DAY).height
                farm.pull()
                rows = farm.store.hourly(f"cell:{CELL}", NOW - DAY, clock.now()).height
                counts.append((rows, farm.store.guidance(NOW - 3 * DAY).height > before))
                clock.advance(3600)
    assert counts == [(23, True), (24, False), (25, True), (26, False)]


def test_without_cells_in_the_depot_nothing_is_missed(
    place: Path, tmp_path: Path, frame: pl.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    """A depot with the station alone is normal: its hours come, and no word about the cell."""
    clock = FakeClock(NOW)
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server, farms=False)
        workspace.lake.merge(108, kma_fields.tidy(frame, station(108).site), "asos", NOW)
        done = relay(KmaClient(workspace, clock, ENV, sleep=lambda _s: None))
        assert server.requests == []
    assert list(done.newest) == [108]
    caplog.set_level(logging.DEBUG, "edge_agent")
    with closing(Farm(tmp_path / "farm", workspace, clock)) as farm:
        farm.pull()
        assert farm.store.sources() == ("station:108",)
        assert farm.store.guidance(NOW - 3 * DAY).height == 0
    assert caplog.records == []


def test_a_village_service_that_is_down_does_not_hold_back_the_station(
    place: Path, frame: pl.DataFrame
) -> None:
    """The station's hours go out, and the fault is told without the key."""
    with KmaStandIn(frame, now=NOW, faults=FaultRates(quota=3)) as server:
        workspace = _workspace(place, server)
        workspace.lake.merge(108, kma_fields.tidy(frame, station(108).site), "asos", NOW)
        done = relay(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None))
    assert done.published
    assert set(done.newest) == {108}
    assert set(done.guidance) == {CELL}
    assert isinstance(done.fault, QuotaSpent)
    assert "demo-key" not in str(done.fault)


READ_TO_DEATH = """
import os, sys
from pathlib import Path
from edge_agent.core import pull
reader = pull._Reader(Path(sys.argv[1]), {"observations/108/latest.parquet": b"hostile"}, [])
print(reader.read(lambda content, path: os.abort(), "observations/108/latest.parquet"))
print(*reader.faults)
"""


def test_a_bundle_that_ends_the_process_is_read_once(tmp_path: Path) -> None:
    """The first reading aborts; the next start leaves it aside and says so, and so on."""
    (tmp_path / "observations/108").mkdir(parents=True)

    def start() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", READ_TO_DEATH, str(tmp_path)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    assert start().returncode == -signal.SIGABRT
    for _ in range(2):
        again = start()
        assert again.returncode == 0, again.stderr
        assert again.stdout.startswith(
            "None\nobservations/108/latest.parquet: reading it ended the update"
        )


def test_farms_outside_the_grid_are_a_wrong_setting(place: Path) -> None:
    """The settings are refused with the farm and the reason."""
    config = place / "trainer.toml"
    text = config.read_text("utf-8").replace("# farms = []", "farms = [[37.5, 127.0], [52.0, 5.0]]")
    config.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"farms.*latitude 52.0.*outside KMA's forecast grid"):
        Workspace.open(config, {})
