"""`trainer relay`: from the hub or the lake to the signed bundle an agent reads."""

from __future__ import annotations

from contextlib import suppress
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
from edge_agent.contract.errors import InputMissing, ProtocolFault, Refused
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    OBSERVED,
    RAIN,
    SOLAR,
    TIME,
    Flag,
    flag_column,
)
from edge_agent.contract.stations import station
from edge_agent.observations.bundles import read
from tests.fakes.clock import FakeClock
from trainer.ingest.kma_client import KmaClient
from trainer.ingest.sources.http import QuotaSpent, Transient, Truncated
from trainer.relay import relay
from trainer.setup import create
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2022, 6, 20, 3, 20, tzinfo=UTC)
HOUR = datetime(2022, 6, 20, 3, tzinfo=UTC)
INCHEON = Place(112, 37.47772, 126.6249, 68.99)
ENV = {"KMA_HUB_KEY": "demo-key"}


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Two stations, a month around now; nothing is missing."""
    start, end = datetime(2022, 5, 20), datetime(2022, 6, 25)  # noqa: DTZ001 - KST
    return generate([SEOUL, INCHEON], start, end, seed=8)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Folder of a new workspace."""
    create(tmp_path / "work")
    return tmp_path / "work"


def _workspace(place: Path, server: KmaStandIn, stations: str = "108,112") -> Workspace:
    env = {"TRAINER__KMA__HUB_URL": server.hub_url, "TRAINER__KMA__RETRIES": "1"}
    config = place / "trainer.toml"
    text = config.read_text("utf-8")
    if "stations = [108]" in text:
        config.write_text(text.replace("# stations = [108]", f"stations = [{stations}]"), "utf-8")
    return Workspace.open(config, env)


def _bundle(workspace: Workspace, number: int) -> pl.DataFrame:
    found = sorted(
        (workspace.depot / "targets" / "observations" / str(number)).glob("*.latest.parquet"),
        key=lambda path: path.stat().st_mtime_ns,
    )
    return read(found[-1].read_bytes(), "bundle")


def _expected(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    # Without QC flags in the frame, K6 decides about rain; June is not winter, so blank is dry.
    rows = frame.filter(pl.col("station") == number)
    tidy = kma_fields.tidy(rows, station(number).site)
    return tidy.filter(pl.col(TIME) <= HOUR).select(TIME, *OBSERVED)


def test_hub_hours_reach_the_bundle_value_by_value(place: Path, frame: pl.DataFrame) -> None:
    """The bundle of each station is the hub's last 14 days, the running hour included."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        done = relay(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None))
    assert done.published
    assert done.fault is None
    assert set(done.newest) == {108, 112}
    for number in (108, 112):
        newest = done.newest[number]
        bundle = _bundle(workspace, number)
        assert bundle[TIME][-1] == newest >= HOUR - timedelta(hours=3)
        wanted = _expected(frame, number).filter(pl.col(TIME) >= bundle[TIME][0])
        assert wanted.height == bundle.height > 300
        same = [name for name in OBSERVED if name != RAIN]
        assert bundle.select(TIME, *same).equals(wanted.select(TIME, *same))
        # Rain may be unknown on hours of a wet day, and is never anything else than the truth.
        known = bundle[RAIN].is_not_null()
        assert bundle.filter(known)[RAIN].equals(wanted.filter(known)[RAIN])
        assert known.sum() > 0.7 * bundle.height
    assert len(server.requests) == 1


def test_an_hour_later_only_the_new_hours_are_asked_for(place: Path, frame: pl.DataFrame) -> None:
    """The next run asks for the hours since the lake's newest, with a small overlap."""
    clock = FakeClock(NOW)
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        first = relay(KmaClient(workspace, clock, ENV, sleep=lambda _s: None))
        again = relay(KmaClient(workspace, clock, ENV, sleep=lambda _s: None))
        clock.advance(3600)
        server.now = clock.now()
        later = relay(KmaClient(workspace, clock, ENV, sleep=lambda _s: None))
        spans = [(request.query["tm1"], request.query["tm2"]) for request in server.requests]
    assert first.added > 600
    assert (again.published, again.added) == (False, 0)
    assert (later.published, later.added) == (True, 2)
    assert later.newest[108] == first.newest[108] + timedelta(hours=1)
    assert spans[2] == ("202206200600", "202206201300")
    assert not any("key" in str(request.query).lower() for request in server.requests)


def test_without_a_key_the_lake_is_passed_on(place: Path, frame: pl.DataFrame) -> None:
    """No hub key: the newest the lake has, however old, and no request."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server, "108")
        rows = frame.filter(pl.col("station") == 108)
        workspace.lake.merge(108, kma_fields.tidy(rows, station(108).site), "asos", NOW)
        late = FakeClock(NOW + timedelta(days=400))
        done = relay(KmaClient(workspace, late, {}, sleep=lambda _s: None))
        assert server.requests == []
    assert done.published
    bundle = _bundle(workspace, 108)
    assert bundle[TIME][-1] == done.newest[108] == datetime(2022, 6, 24, 15, tzinfo=UTC)
    assert bundle.height <= 14 * 24 + 1
    assert bundle[AIR_TEMPERATURE].null_count() < 5
    assert bundle[SOLAR].null_count() < 5


def test_a_hub_that_is_down_does_not_hold_back_the_lake(place: Path, frame: pl.DataFrame) -> None:
    """The lake's hours go out, and the fault is told."""
    with KmaStandIn(frame, now=NOW, faults=FaultRates(http_500=1.0)) as server:
        workspace = _workspace(place, server, "108")
        with pytest.raises(Transient):
            relay(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None))
        rows = frame.filter(pl.col("station") == 108)
        workspace.lake.merge(108, kma_fields.tidy(rows, station(108).site), "asos", NOW)
        done = relay(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None))
    assert done.published
    assert isinstance(done.fault, Transient)
    assert "demo-key" not in str(done.fault)


def test_a_wrong_key_and_an_empty_lake_say_what_to_do(place: Path, frame: pl.DataFrame) -> None:
    """Each is one line with the remedy."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server, "108")
        with pytest.raises(Refused, match="check KMA_HUB_KEY"):
            relay(KmaClient(workspace, FakeClock(NOW), {"KMA_HUB_KEY": "x"}, sleep=lambda _s: None))
        with pytest.raises(InputMissing, match="run `trainer ingest`"):
            relay(KmaClient(workspace, FakeClock(NOW), {}, sleep=lambda _s: None))


def test_a_faulty_hub_is_asked_until_it_is_whole(place: Path, frame: pl.DataFrame) -> None:
    """Errors, time-outs, cut and foreign answers cost repeats, never an hour."""
    rates = FaultRates(http_500=0.3, timeout=0.1, truncated=0.4, service_code=0.1, hang_s=0.0)
    with KmaStandIn(frame, now=NOW, faults=rates, seed=7) as server:
        workspace = _workspace(place, server)
        told = 0
        while not workspace.lake.stations():
            with suppress(Transient, Truncated):
                relay(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None))
            told += 1
            assert told < 50
        faults = {request.fault for request in server.requests}
    assert len(faults) >= 4
    present = frame.filter(pl.col("station") == 108, pl.col("tm") > datetime(2022, 6, 7))  # noqa: DTZ001 - KST
    known = set(_bundle(workspace, 108)[TIME])
    wanted = _expected(present, 108)[TIME]
    assert set(wanted) <= known


def test_the_hubs_quota_is_told_in_its_own_words(place: Path, frame: pl.DataFrame) -> None:
    """A spent quota stops the run at once: no repeat, and the exit code of "later"."""
    with KmaStandIn(frame, now=NOW, faults=FaultRates(quota=0)) as server:
        workspace = _workspace(place, server, "108")
        with pytest.raises(QuotaSpent, match=r"quota.*; 0 requests answered and kept, 1 left"):
            relay(KmaClient(workspace, FakeClock(NOW), ENV, sleep=lambda _s: None))
        assert len(server.requests) == 1


class _Garbled(httpx.BaseTransport):
    """A stand-in whose answers say NaN for one temperature of a station; 119 gets a web page."""

    def __init__(self, moment: str) -> None:
        self._moment = moment

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.params["stn"] == "119":
            return httpx.Response(200, content=b"<html>maintenance</html>")
        with httpx.HTTPTransport() as inner:
            lines = inner.handle_request(request).read().decode().split("\n")
        for at, line in enumerate(lines):
            fields = line.split()
            if fields[:2] == [self._moment, "112"]:
                lines[at] = " ".join([*fields[:11], "NaN", *fields[12:]])
        return httpx.Response(200, content="\n".join(lines).encode())


def test_one_cell_and_one_station_stop_nothing_else(
    place: Path, frame: pl.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    """A NaN 13 days back is one null, told once; a station whose answer is a page is told."""
    bad = datetime(2022, 6, 7, 5, tzinfo=UTC)
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server, "108,112,119")
        # 119 has newer hours, so it is asked for by itself.
        rows = kma_fields.tidy(frame.filter(pl.col("station") == 108), station(119).site)
        workspace.lake.merge(119, rows.filter(pl.col(TIME) < HOUR), "asos", NOW)
        client = KmaClient(
            workspace,
            FakeClock(NOW),
            ENV,
            sleep=lambda _s: None,
            transport=_Garbled("202206071400"),
        )
        done = relay(client)
        again = relay(client)
    assert isinstance(done.fault, ProtocolFault)
    assert (done.published, again.published) == (True, False)
    assert set(done.newest) == {108, 112, 119}
    for number in (108, 112):
        wanted = _expected(frame, number)[AIR_TEMPERATURE].tail(330)
        bundle = _bundle(workspace, number).tail(330)
        lost = bundle.filter(pl.col(AIR_TEMPERATURE).is_null())[TIME].to_list()
        assert lost == ([bad] if number == 112 else [])
        assert (wanted != bundle[AIR_TEMPERATURE]).sum() == 0
    (row,) = workspace.lake.observations(112, bad, bad).iter_rows(named=True)
    assert row[flag_column(AIR_TEMPERATURE)] == Flag.SOURCE
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [
        "API hub: station 112: 1 unreadable, left out: air_temperature_c of 2022-06-07 14:00 (KST)"
    ]


def test_a_damaged_file_of_one_station_keeps_no_other_from_the_farms(
    place: Path, frame: pl.DataFrame
) -> None:
    """The other station's hours go out, and the file is named."""
    with KmaStandIn(frame, now=NOW) as server:
        workspace = _workspace(place, server)
        for number in (108, 112):
            rows = kma_fields.tidy(frame.filter(pl.col("station") == number), station(number).site)
            workspace.lake.merge(number, rows, "asos", NOW)
        path = workspace.root / "lake" / "observations" / "station=108" / "year=2022.parquet"
        path.write_bytes(b"PAR1")
        done = relay(KmaClient(workspace, FakeClock(NOW), {}, sleep=lambda _s: None))
    assert (done.published, set(done.newest)) == (True, {112})
    assert "station=108/year=2022.parquet is damaged" in str(done.fault)
