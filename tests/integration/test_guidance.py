"""The archive of KMA's forecasts: grows, never changes, asks for what KMA still has."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import polars as pl
import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.kma_faults import FaultRates
from demo.places import SEOUL, Place
from edge_agent.contract import kma_fields
from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import ConfigError, ProtocolFault, Refused
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME
from edge_agent.contract.stations import station
from tests.fakes.clock import FakeClock
from trainer.ingest.guidance import Archive
from trainer.ingest.importer import Import
from trainer.ingest.kma_client import KmaClient
from trainer.ingest.rebuild import rebuild
from trainer.ingest.source import Selection
from trainer.ingest.sources.http import QuotaSpent, Transient
from trainer.ingest.village import collect, fetch, hours_out, issues_out, plan
from trainer.setup import create
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2022, 6, 20, 3, 20, tzinfo=UTC)  # 12:20 KST
CELL, INCHEON_CELL = Cell(60, 127), Cell(54, 125)
ENV = {"KMA_SERVICE_KEY": "demo-key"}


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Two stations around now."""
    places = [SEOUL, Place(112, 37.47772, 126.6249, 68.99)]
    return generate(places, datetime(2022, 6, 10), datetime(2022, 6, 28), seed=8)  # noqa: DTZ001 - KST


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Folder of a new workspace."""
    create(tmp_path / "work")
    return tmp_path / "work"


def _workspace(place: Path, server: KmaStandIn) -> Workspace:
    env = {"TRAINER__KMA__VILLAGE_URL": server.village_url, "TRAINER__KMA__RETRIES": "1"}
    return Workspace.open(place / "trainer.toml", env)


def test_every_issue_kma_still_has_is_collected_once(place: Path, frame: pl.DataFrame) -> None:
    """Yesterday's eight issues and today's four, a day of nowcasts; a second run asks nothing."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        first = collect(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None), [CELL])
        asked = len(server.requests)
        again = collect(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None), [CELL])
        assert len(server.requests) == asked == 12 + 23
    assert first.fault is None
    assert (first.cells[CELL].issues, again.cells[CELL].issues) == (12, 0)
    assert not again
    rows = Archive(workspace.store).read(CELL)
    assert rows.height == first.cells[CELL].rows > 12 * 48
    assert rows["issued_at"].n_unique() == 12
    lead = rows.select((pl.col("valid_at") - pl.col("issued_at")).dt.total_hours()).to_series()
    assert (lead.min(), lead.max()) == (1, 70)


def test_guidance_is_the_weather_to_come_with_a_growing_error(
    place: Path, frame: pl.DataFrame
) -> None:
    """Forecasts in the archive fit the observations of their hour."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        collect(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None), [CELL])
    rows = Archive(workspace.store).read(CELL)
    truth = kma_fields.tidy(frame.filter(pl.col("station") == 108), station(108).site)
    both = rows.join(truth, left_on="valid_at", right_on=TIME, suffix="_true").drop_nulls(
        [AIR_TEMPERATURE, f"{AIR_TEMPERATURE}_true"]
    )
    assert both.height > 0.95 * rows.height
    error = both.select((pl.col(AIR_TEMPERATURE) - pl.col(f"{AIR_TEMPERATURE}_true")) ** 2)
    assert 0.5 < error.to_series().mean() ** 0.5 < 2.5  # type: ignore[operator]


def test_the_archive_outlives_what_kma_forgets(place: Path, frame: pl.DataFrame) -> None:
    """Days later old issues are still there, untouched, and the gap is not asked for."""
    clock = FakeClock(NOW)
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        collect(KmaClient(workspace, clock, ENV, sleep=lambda _s: None), [CELL])
        before = Archive(workspace.store).read(CELL)
        clock.advance(4 * 86400)
        server.now = clock.now()
        later = collect(KmaClient(workspace, clock, ENV, sleep=lambda _s: None), [CELL])
    after = Archive(workspace.store).read(CELL)
    assert after.head(before.height).equals(before)
    assert after.height == before.height + later.cells[CELL].rows
    assert later.cells[CELL].issues == 12


def test_append_adds_and_never_changes(place: Path, frame: pl.DataFrame) -> None:
    """The same issue told otherwise leaves the archive as it is."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        collect(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None), [CELL])
    archive = Archive(workspace.store)
    before = archive.read(CELL)
    done = archive.append(CELL, before.with_columns(pl.col(AIR_TEMPERATURE) + 1.0))
    assert (done.added, done.completed) == (0, 0)
    assert done.differing == before[AIR_TEMPERATURE].count()
    assert archive.read(CELL).equals(before)


def test_a_faulty_service_and_a_spent_quota_lose_nothing(place: Path, frame: pl.DataFrame) -> None:
    """What was answered is kept; the next run goes on from there."""
    rates = FaultRates(http_500=0.2, truncated=0.1, service_code=0.1)
    with KmaStandIn(frame, now=NOW, faults=rates, seed=3) as server:
        workspace = _workspace(place, server)
        faults = []
        for _ in range(20):
            done = collect(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None), [CELL])
            faults.append(done.fault)
            if done.fault is None:
                break
    assert Archive(workspace.store).read(CELL)["issued_at"].n_unique() == 12
    assert faults[-1] is None
    with KmaStandIn(frame, now=NOW, faults=FaultRates(quota=5, quota_as_xml=True)) as server:
        workspace = _workspace(place, server)
        cells = [CELL, INCHEON_CELL]
        done = collect(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None), cells)
        assert isinstance(done.fault, QuotaSpent)
        assert list(done.cells) == [CELL, INCHEON_CELL]
        assert (done.cells[CELL].issues, done.cells[INCHEON_CELL].issues) == (0, 5)
        assert done.left == 2 * (12 + 23) - (12 + 23) - 5


def test_faults_of_key_and_service_are_told(place: Path, frame: pl.DataFrame) -> None:
    """No key, a wrong key and a dead service each say so, without the key."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        with pytest.raises(ConfigError, match="KMA_SERVICE_KEY"):
            collect(KmaClient(workspace, FakeClock(NOW), {}, sleep=lambda _s: None), [CELL])
        wrong = {"KMA_SERVICE_KEY": "stranger"}
        refused = collect(
            KmaClient(workspace, FakeClock(NOW), wrong, sleep=lambda _s: None), [CELL]
        )
    assert isinstance(refused.fault, Refused)
    gone = collect(KmaClient(workspace, FakeClock(NOW), wrong, sleep=lambda _s: None), [CELL])
    assert isinstance(gone.fault, Transient)
    assert "stranger" not in f"{refused.fault} {gone.fault}"


def test_issues_appear_a_quarter_of_an_hour_after_their_base() -> None:
    """At 02:14 KST the newest issue is yesterday's last; at 02:15 it is 02:00."""
    early = datetime(2022, 6, 19, 17, 14, tzinfo=UTC)
    assert issues_out(early)[-1] == datetime(2022, 6, 19, 14, tzinfo=UTC)
    assert issues_out(early + timedelta(minutes=1))[-1] == datetime(2022, 6, 19, 17, tzinfo=UTC)
    assert issues_out(early)[0] == datetime(2022, 6, 18, 17, tzinfo=UTC)


def test_nowcasts_are_out_for_a_day() -> None:
    """At 03:39 the newest hour is 02, a minute later it is 03; the oldest is a day old."""
    early = datetime(2022, 6, 20, 3, 39, tzinfo=UTC)
    assert hours_out(early)[-1] == datetime(2022, 6, 20, 2, tzinfo=UTC)
    assert hours_out(early + timedelta(minutes=1))[-1] == datetime(2022, 6, 20, 3, tzinfo=UTC)
    assert hours_out(early)[0] == datetime(2022, 6, 19, 4, tzinfo=UTC)


def test_nowcasts_are_the_weather_of_the_hour(place: Path, frame: pl.DataFrame) -> None:
    """In the lake the cell's hours say what the frame says; the raw answers are kept."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        done = collect(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None), [CELL])
    lake = workspace.lake.observations(CELL)
    assert lake.height == done.cells[CELL].hours == 23
    assert lake["source"].unique().to_list() == ["nowcast"]
    assert workspace.lake.stations() == ()
    assert len(workspace.raw.names("nowcast", 60127)) == 23
    truth = kma_fields.tidy(frame.filter(pl.col("station") == 108), station(108).site)
    both = lake.join(truth, on=TIME, suffix="_true")
    for name in (AIR_TEMPERATURE, "relative_humidity_pct", "wind_speed_ms", "rain_mm"):
        known = both.filter(pl.col(name).is_not_null() & pl.col(f"{name}_true").is_not_null())
        assert known.height > 18
        assert known[name].equals(known[f"{name}_true"]), name


def test_cells_of_the_lakes_stations_are_collected_for_their_forecasts(
    place: Path, frame: pl.DataFrame
) -> None:
    """Seoul is in the settings, Incheon has hours in the lake: 12 issues of each, one nowcasts."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        hours = kma_fields.tidy(frame.filter(pl.col("station") == 112), station(112).site)
        workspace.lake.merge(112, hours, "asos", NOW)
        client = KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None)
        assert plan(client, Selection()).requests == 12 + 23 + 12
        done = fetch(client, Selection())
        assert plan(client, Selection((112,))).requests == 23
        assert len(server.requests) == 12 + 23 + 12
    assert done.fault is None
    archive = Archive(workspace.store)
    assert archive.read(INCHEON_CELL)["issued_at"].n_unique() == 12
    assert workspace.lake.observations(INCHEON_CELL).height == 0
    assert workspace.lake.observations(CELL).height == 23


def test_nowcasts_that_kma_has_not_are_asked_for_again(place: Path, frame: pl.DataFrame) -> None:
    """An hour without an answer leaves nothing behind, and comes when it is there."""
    gap = frame.filter(pl.col("tm") != datetime(2022, 6, 20, 9))  # noqa: DTZ001 - KST
    clock = FakeClock(NOW)
    with KmaStandIn(gap, now=NOW) as server:
        workspace = _workspace(place, server)
        first = collect(KmaClient(workspace, clock, ENV, sleep=lambda _s: None), [CELL])
        again = collect(KmaClient(workspace, clock, ENV, sleep=lambda _s: None), [CELL])
        assert server.requests[-1].query["base_time"] == "0900"
    assert (first.cells[CELL].hours, again.cells[CELL].hours) == (22, 0)
    assert len(workspace.raw.names("nowcast", 60127)) == 22
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        late = collect(KmaClient(workspace, clock, ENV, sleep=lambda _s: None), [CELL])
    assert late.cells[CELL].hours == 1


def test_files_and_answers_are_rebuilt_in_the_order_in_which_they_came(
    place: Path, frame: pl.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    """A file before the service and one after it: the first of three values of an hour stays.

    That the file has an issue is no reason not to ask for it.
    """
    clock = FakeClock(NOW)
    issued, valid = datetime(2022, 6, 19, 2, tzinfo=UTC), datetime(2022, 6, 19, 6, tzinfo=UTC)
    table = pl.DataFrame({"issued_at": [issued] * 2, "valid_at": [valid, valid.replace(hour=7)]})
    first = table.head(1).with_columns(r06=pl.lit(5.0))
    first = first.with_columns(reh=pl.lit(1.0))
    second = table.with_columns(r06=pl.Series([6.0, 7.0]), tmp=pl.Series([-40.0, -40.0]))
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        client = KmaClient(workspace, clock, ENV, sleep=lambda _s: None)
        for name, part in (("first.parquet", first), ("second.parquet", second)):
            part.write_parquet(place / name)
            Import(workspace, clock).bring(place / name, cell=INCHEON_CELL)
            clock.advance(60)
            collect(client, [INCHEON_CELL])
            clock.advance(60)
    archive = Archive(workspace.store)
    hours = archive.read(INCHEON_CELL).filter(pl.col("issued_at") == issued)
    assert hours["rain_6h_mm"].drop_nulls().to_list() == [5.0, 7.0]
    assert hours.height > 48
    assert [message.split(":")[0] for message in caplog.messages] == ["village", "second.parquet"]
    assert hours[AIR_TEMPERATURE].min() > 0  # type: ignore[operator]
    store = workspace.store
    before = {name: store.read(name) for name in store.names("guidance")}
    assert rebuild(workspace).replaced == ()
    for name in before:
        store.write(name, b"rot")
    rebuild(workspace)
    assert {name: store.read(name) for name in store.names("guidance")} == before


class _Garbled(httpx.BaseTransport):
    """A stand-in with one temperature that is no number, and a page in place of one issue."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        if asked["base_date"] + asked["base_time"] == "202206190500":
            return httpx.Response(200, content=b"<html>maintenance</html>")
        with httpx.HTTPTransport() as inner:
            body = inner.handle_request(request).read().decode()
        if asked["base_date"] + asked["base_time"] == "202206190200":
            body = re.sub(r'("category":"TMP".*?"fcstValue":)"[^"]*"', r'\1"NaN"', body, count=1)
        return httpx.Response(200, content=body.encode())


def test_one_value_and_one_answer_stop_nothing_else(
    place: Path, frame: pl.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest issue has one null, told once; the next is told and asked for again; all come."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        client = KmaClient(
            workspace, FakeClock(NOW), ENV, sleep=lambda _s: None, transport=_Garbled()
        )
        first = collect(client, [CELL])
        again = collect(client, [CELL])
    assert (first.cells[CELL].issues, first.left) == (11, 1)
    assert isinstance(first.fault, ProtocolFault)
    assert (again.cells[CELL].issues, again.left) == (0, 1)
    rows = Archive(workspace.store).read(CELL)
    assert rows[AIR_TEMPERATURE].null_count() == 1
    assert rows["relative_humidity_pct"].null_count() == 0
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [
        "village: cell 60-127, village of 2022-06-19 02:00 (KST): 1 unreadable, left out: TMP 'NaN'"
    ]
