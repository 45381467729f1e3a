"""Ingest against a stand-in for KMA: what is fetched, what is kept, what faults leave behind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import httpx
import polars as pl
import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.kma_faults import FaultRates
from demo.places import SEOUL
from edge_agent.contract.errors import FarmError, NothingNew, ProtocolFault, Refused, TryLater
from edge_agent.contract.kma_fields import tidy
from edge_agent.contract.stations import station
from tests.fakes.clock import FakeClock
from tests.fakes.kma_workspace import ENV, KEY, kma_workspace
from tests.fakes.observed import assert_equals_source
from trainer.ingest import gap_plan, pipeline
from trainer.ingest.kma_client import KmaClient
from trainer.ingest.sources.http import NotPublished, QuotaSpent, Transient
from trainer.workspace.lake import Lake
from trainer.workspace.raw import RawStore
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trainer.ingest.pipeline import Summary
    from trainer.workspace.workspace import Workspace

NOON = datetime(2021, 1, 2, 3, tzinfo=UTC)
"""Noon in Korea of the day after the generated year."""


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """A generated year of Seoul."""
    return generate([SEOUL], datetime(2020, 1, 1, 1), datetime(2021, 1, 2), seed=3)  # noqa: DTZ001 - KST


@pytest.fixture
def server(frame: pl.DataFrame) -> Iterator[KmaStandIn]:
    """A healthy stand-in."""
    with KmaStandIn(frame, key=KEY, now=NOON) as running:
        yield running


def ingest(
    workspace: Workspace,
    now: datetime = NOON,
    *,
    first: date | None = None,
    last: date | None = None,
) -> Summary:
    """One run, without waiting between repeats."""
    clock = FakeClock(now)
    request = pipeline.request(workspace, clock, first=first, last=last)
    client = KmaClient(workspace, clock, ENV, sleep=lambda _seconds: None)
    return pipeline.run(client, request)


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_year_arrives_whole_and_only_once(
    tmp_path: Path, server: KmaStandIn, frame: pl.DataFrame
) -> None:
    """The fewest requests fill the lake; the second run asks nothing and changes nothing."""
    workspace = kma_workspace(tmp_path, server)
    summary = ingest(workspace)
    summary.check()
    assert_equals_source(workspace.lake, frame, date(2020, 1, 2), date(2021, 1, 1))
    assert len(server.requests) == -(-summary.added // gap_plan.WINDOW_HOURS)
    assert summary.left == 0
    before = tree(tmp_path)
    again = ingest(workspace)
    assert tree(tmp_path) == before
    assert len(server.requests) == -(-summary.added // gap_plan.WINDOW_HOURS)
    with pytest.raises(NothingNew, match="nothing is missing"):
        again.check()


def test_raw_answers_are_kept_without_the_key(tmp_path: Path, server: KmaStandIn) -> None:
    """Request, time, status and hash stand beside each body; no file anywhere holds the key."""
    workspace = kma_workspace(tmp_path, server)
    ingest(workspace, first=date(2020, 12, 1))
    _, name = workspace.raw.names("asos", 108)[0]
    about, body = workspace.raw.read(name)
    assert about.status == 200
    assert about.query["startDt"] == "20201201"
    assert body.startswith(b'{"response"')
    for name, content in tree(tmp_path).items():
        assert KEY.encode() not in content
        assert KEY not in name
    assert KEY.encode() not in body


def test_nine_days_off_heal_at_the_next_run(
    tmp_path: Path, server: KmaStandIn, frame: pl.DataFrame
) -> None:
    """The lake says what is missing; the machine's own history does not matter."""
    workspace = kma_workspace(tmp_path, server, start="2020-12-01")
    server.now = NOON - timedelta(days=9)
    ingest(workspace, now=server.now)
    server.now = NOON
    ingest(workspace).check()
    assert_equals_source(workspace.lake, frame, date(2020, 12, 1), date(2021, 1, 1))


def test_exactly_the_gap_is_asked_for(tmp_path: Path, server: KmaStandIn) -> None:
    """An hour that was lost from the lake is one request of that hour."""
    workspace = kma_workspace(tmp_path, server, start="2020-12-01")
    ingest(workspace)
    server.requests.clear()
    lost = datetime(2020, 12, 24, 5, tzinfo=UTC)
    path = tmp_path / "lake/observations/station=108/year=2020.parquet"
    whole = workspace.lake.observations(108)
    pl.read_parquet(path).filter(pl.col("time") != lost).write_parquet(path)
    ingest(workspace).check()
    assert [
        (r.query["startDt"], r.query["startHh"], r.query["endHh"]) for r in server.requests
    ] == [("20201224", "14", "14")]
    assert workspace.lake.observations(108).equals(whole)


def test_hours_of_the_hub_are_asked_for_again(
    tmp_path: Path, server: KmaStandIn, frame: pl.DataFrame
) -> None:
    """Near-real-time rows keep the farms going until the quality-controlled ones replace them."""
    workspace = kma_workspace(tmp_path, server, start="2020-12-28")
    ingest(workspace, last=date(2020, 12, 30))
    # The same blanks as the answers to come, so that only values may differ.
    later = tidy(frame.filter(pl.col("tm").dt.date() == date(2020, 12, 31)), station(108).site)
    hub = later.with_columns(pl.col("air_temperature_c") - 20.0)
    workspace.lake.merge(108, hub, "hub", NOON)
    ingest(workspace).check()
    assert_equals_source(workspace.lake, frame, date(2020, 12, 28), date(2021, 1, 1))
    # A value that the records lack stays the hub's (rule L1 of the lake).
    assert set(workspace.lake.observations(108)["source"]) <= {"asos", "asos+hub"}


@pytest.mark.parametrize(
    ("faults", "key", "kind", "text"),
    [
        (FaultRates(), "wrong", Refused, "KMA_SERVICE_KEY"),
        (FaultRates(quota=0), KEY, QuotaSpent, "quota.*left: run the same command tomorrow"),
        (FaultRates(quota=0, quota_as_xml=True), KEY, QuotaSpent, "quota"),
        (FaultRates(html=1.0), KEY, ProtocolFault, "a web page"),
        (FaultRates(truncated=1.0), KEY, ProtocolFault, r"5 tries"),
        (FaultRates(http_500=1.0), KEY, Transient, r"5 tries"),
        (FaultRates(service_code=1.0), KEY, Transient, r"5 tries"),
    ],
)
def test_each_fault_is_one_line_and_leaves_the_lake_as_it_was(
    tmp_path: Path,
    frame: pl.DataFrame,
    faults: FaultRates,
    key: str,
    kind: type[FarmError],
    text: str,
) -> None:
    """Wrong key, quota, web page, cut answer, server faults: own error, nothing written."""
    with KmaStandIn(frame, key=KEY, now=NOON, faults=faults) as server:
        workspace = kma_workspace(tmp_path, server, start="2020-12-01")
        clock = FakeClock(NOON)
        wanted = pipeline.request(workspace, clock)
        env = {"KMA_SERVICE_KEY": key}
        client = KmaClient(workspace, clock, env, sleep=lambda _seconds: None)
        summary = pipeline.run(client, wanted)
    with pytest.raises(kind, match=text) as caught:
        summary.check()
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "lake").exists()


def test_hours_without_data_are_not_news(tmp_path: Path, server: KmaStandIn) -> None:
    """A station that KMA has nothing for: nothing new, and not asked again on the same day."""
    workspace = kma_workspace(tmp_path, server, stations=(90,), start="2020-12-01")
    with pytest.raises(NothingNew, match="KMA has no data yet"):
        ingest(workspace).check()
    asked = len(server.requests)
    with pytest.raises(NothingNew):
        ingest(workspace).check()
    assert len(server.requests) == asked


def test_today_is_told_without_a_request(tmp_path: Path, server: KmaStandIn) -> None:
    """A day that is not over cannot be asked for; the line says when it can."""
    workspace = kma_workspace(tmp_path, server)
    with pytest.raises(NotPublished, match=r"2021-01-02 \(KST\) is not out yet.*11:00 KST"):
        ingest(workspace, last=date(2021, 1, 2))
    assert server.requests == []


def test_today_by_a_wrong_clock_is_told_by_kma(tmp_path: Path, server: KmaStandIn) -> None:
    """Where this machine's clock runs ahead, KMA's own words become the same kind of error."""
    workspace = kma_workspace(tmp_path, server, start="2020-12-25")
    summary = ingest(workspace, now=NOON + timedelta(days=1))
    with pytest.raises(NotPublished, match="hours up to yesterday only"):
        summary.check()


def test_one_station_does_not_stop_the_rest(tmp_path: Path, frame: pl.DataFrame) -> None:
    """A station that fails is named; the others are complete; the exit code says try later."""
    both = pl.concat([frame, frame.with_columns(pl.lit(90, pl.Int32).alias("station"))])
    with KmaStandIn(both, key=KEY, now=NOON) as server:
        workspace = kma_workspace(tmp_path, server, stations=(90, 108), start="2020-12-01")
        clock = FakeClock(NOON)

        def handler(request: httpx.Request) -> httpx.Response:
            if request.url.params["stnIds"] == "90":
                return httpx.Response(500, content=b"Unexpected errors")
            return httpx.get(request.url)

        transport = httpx.MockTransport(handler)
        client = KmaClient(workspace, clock, ENV, lambda _seconds: None, transport)
        summary = pipeline.run(client, pipeline.request(workspace, clock))
    with pytest.raises(TryLater, match=r"1 of 2 stations are incomplete.*90: .*Unexpected errors"):
        summary.check()
    assert summary.stations[108].fault is None
    assert_equals_source(workspace.lake, frame, date(2020, 12, 1), date(2021, 1, 1))


def test_quota_midway_stops_cleanly_and_the_next_day_finishes(
    tmp_path: Path, frame: pl.DataFrame
) -> None:
    """What was answered is kept, the rest is said, and nothing is asked twice."""
    with KmaStandIn(frame, key=KEY, now=NOON, faults=FaultRates(quota=5)) as server:
        workspace = kma_workspace(tmp_path, server, parallel=2)
        summary = ingest(workspace)
        with pytest.raises(QuotaSpent, match="5 requests answered and kept, 4 left"):
            summary.check()
        server.now = NOON + timedelta(days=1)
        ingest(workspace, now=server.now, last=date(2021, 1, 1)).check()
        good = [request for request in server.requests if request.status == 200]
    assert_equals_source(workspace.lake, frame, date(2020, 1, 2), date(2021, 1, 1))
    assert len(good) == len({(r.query["startDt"], r.query["endDt"]) for r in good}) == 9


def test_the_own_budget_stops_before_kma_does(tmp_path: Path, server: KmaStandIn) -> None:
    """[kma] requests_per_day holds over runs of one day."""
    workspace = kma_workspace(tmp_path, server, requests_per_day=4)
    with pytest.raises(QuotaSpent, match=r"4 requests made today.*4 requests answered"):
        ingest(workspace).check()
    with pytest.raises(QuotaSpent):
        ingest(workspace).check()
    assert len(server.requests) == 4


def test_two_runs_at_a_time_do_not_mix(tmp_path: Path, server: KmaStandIn) -> None:
    """The second one says so and changes nothing."""
    workspace = kma_workspace(tmp_path, server)
    with workspace.lake_lock(), pytest.raises(TryLater, match="another process is at work here"):
        ingest(workspace)
    assert server.requests == []


def test_late_rows_come_with_growing_waits(tmp_path: Path, frame: pl.DataFrame) -> None:
    """Rows that the first answer lacked are asked for on the next day, not on the same."""
    with KmaStandIn(frame, key=KEY, now=NOON, faults=FaultRates(late_rows=0.02)) as server:
        workspace = kma_workspace(tmp_path, server, start="2020-12-05")
        first = ingest(workspace)
        absent = first.stations[108].absent
        assert absent > 0
        asked = len(server.requests)
        with pytest.raises(NothingNew):
            ingest(workspace).check()
        assert len(server.requests) == asked
        server.now = NOON + timedelta(days=1)
        second = ingest(workspace, now=server.now, last=date(2021, 1, 1))
        assert second.added == absent
    assert_equals_source(workspace.lake, frame, date(2020, 12, 5), date(2021, 1, 1))


class _Cut(BaseException):
    """The power goes."""


class _CutStore(FolderStore):
    """Dies at the n-th write, before or after it is done."""

    def __init__(self, root: Path, writes: int, *, after: bool) -> None:
        super().__init__(root)
        self._left = writes
        self._after = after

    def write(self, name: str, content: bytes) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise _Cut
        super().write(name, content)
        if self._left == 0:
            raise _Cut


@pytest.mark.parametrize("after", [False, True])
def test_a_cut_at_any_write_loses_nothing_and_repeats_nothing(
    tmp_path: Path, frame: pl.DataFrame, after: bool
) -> None:
    """For every write of a run: cut there, run again, and the lake is as if nothing had been."""
    first = date(2020, 10, 1)
    holes = frame.filter(pl.int_range(pl.len()) % 97 != 0)
    with KmaStandIn(holes, key=KEY, now=NOON) as server:
        ingest(kma_workspace(tmp_path / "whole", server), first=first)
    expected = tree(tmp_path / "whole" / "lake")
    for writes in range(1, 20):
        root = tmp_path / f"cut-{writes}"
        with KmaStandIn(holes, key=KEY, now=NOON) as server:
            workspace = kma_workspace(root, server, parallel=1)
            store = _CutStore(root / "lake", writes, after=after)
            torn = SimpleNamespace(
                root=root,
                state=root / "state",
                config=workspace.config,
                store=store,
                lake_lock=workspace.lake_lock,
                lake=Lake(store),
                raw=RawStore(store),
            )
            try:
                ingest(cast("Workspace", torn), first=first)
            except _Cut:
                stored = {name for _, name in workspace.raw.names("asos", 108)}
            else:
                break
            done = len(server.requests)
            ingest(workspace, first=first)
            asked = {(r.query["startDt"], r.query["endDt"]) for r in server.requests[done:]}
            for name in stored:
                start, _, end = name.rpartition("/")[2].split("_")[1].partition("-")
                assert (start[:8], end[:8]) not in asked
        found = tree(root / "lake")
        assert {n: c for n, c in found.items() if "raw" not in n} == {
            n: c for n, c in expected.items() if "raw" not in n
        }
    else:
        pytest.fail("the run has more writes than were cut")
    assert writes > 5
