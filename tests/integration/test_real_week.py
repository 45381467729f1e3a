"""The real week of all stations, through every door: nothing lost, nothing invented."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from demo.kma import KmaStandIn
from edge_agent.contract import kma_fields
from edge_agent.contract.schema import OBSERVED, RAIN, TIME, flag_column
from edge_agent.contract.stations import station
from tests.fakes.portal_file import download
from trainer.ingest.sources import asos, hub, portal_csv
from trainer.ingest.sources.http import Endpoint, Service
from trainer.workspace.kma_sources import API_HUB, DATA_PORTAL, Kma

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[3] / "shared" / "data" / "asos"
WEEK = DATA / "asos_hourly_all_stations_2022w32.parquet"
START, END = datetime(2022, 8, 7, 16, tzinfo=UTC), datetime(2022, 8, 14, 15, tzinfo=UTC)
FIELDS = tuple(kma_fields.NAMES)

pytestmark = pytest.mark.skipif(not WEEK.is_file(), reason="needs the real week (../shared)")


@pytest.fixture(scope="module")
def week() -> pl.DataFrame:
    """The record as it is, KMA's names."""
    return pl.read_parquet(WEEK).sort("station", "tm")


@pytest.fixture(scope="module")
def server(week: pl.DataFrame) -> Iterator[KmaStandIn]:
    """A stand-in that has the week."""
    with KmaStandIn(week, now=datetime(2022, 8, 16, 3, tzinfo=UTC)) as running:
        yield running


def _service(url: str, field: str) -> Service:
    return Service(
        Endpoint(url, field, "demo-key"),
        Kma(retries=0),
        admit=lambda: None,
        sleep=lambda _seconds: None,
    )


def _numbers(rows: pl.DataFrame) -> pl.DataFrame:
    """Station, time and every field as numbers, blanks as null."""
    text = [name for name in FIELDS if rows.schema.get(name) == pl.String]
    times = pl.col("tm")
    if rows.schema["tm"] == pl.String:
        times = times.str.to_datetime("%Y-%m-%d %H:%M", time_unit="us")
    return rows.select(
        pl.col("stnId").cast(pl.Int32).alias("station"),
        times,
        *(
            (pl.col(name).replace("", None) if name in text else pl.col(name)).cast(pl.Float64)
            for name in FIELDS
        ),
    ).sort("station", "tm")


def _assert_same(got: pl.DataFrame, week: pl.DataFrame) -> None:
    assert got.height == week.height == 13_680
    assert got.select("station", "tm").equals(week.select("station", "tm"))
    for name in FIELDS:
        difference = (got[name] - week[name]).abs().max()
        assert got[name].is_null().equals(week[name].is_null()), name
        assert difference is not None, name
        assert float(difference) < 1e-9, name  # type: ignore[arg-type]


def test_the_record_is_95_stations_and_13680_hours(week: pl.DataFrame) -> None:
    """What the other tests compare with is the whole of it."""
    assert (week.height, week["station"].n_unique()) == (13_680, 95)


@pytest.mark.parametrize("form", ["JSON", "XML"])
def test_through_the_asos_service(
    week: pl.DataFrame, server: KmaStandIn, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every value of every station arrives as it was sent, in both forms."""
    query = asos.query
    monkeypatch.setattr(asos, "query", lambda *a: query(*a) | {"dataType": form})
    service = _service(server.asos_url, DATA_PORTAL.query_field)
    pages = [
        exchange.reply.value.rows
        for number in week["station"].unique()
        for exchange in asos.fetch(service, number, START, END)
    ]
    service.close()
    # Two stations of this record have tenths of a percent, which this service never sends.
    _assert_same(_numbers(pl.concat(pages)), week.with_columns(pl.col("hm").round(0)))


def test_through_the_hub(week: pl.DataFrame, server: KmaStandIn) -> None:
    """The same from the hub's fixed columns: sentinels and tens of degrees undone."""
    service = _service(server.hub_url, API_HUB.query_field)
    stations = week["station"].unique().sort().to_list()
    pages = [reply.value.rows for _, reply in hub.fetch(service, stations, START, END)]
    service.close()
    _assert_same(_numbers(pl.concat(pages)), week)


@pytest.mark.parametrize("encoding", ["cp949", "utf-8-sig"])
def test_through_a_portal_download(week: pl.DataFrame, encoding: str) -> None:
    """The same from the portal's CSV."""
    _assert_same(_numbers(portal_csv.parse(download(week, encoding=encoding))), week)


def test_hub_and_asos_agree_on_what_is_known(week: pl.DataFrame, server: KmaStandIn) -> None:
    """A relayed hour says what the archive will say, flags included, rain of wet days too."""
    by_asos, by_hub = (
        _service(server.asos_url, DATA_PORTAL.query_field),
        _service(server.hub_url, API_HUB.query_field),
    )
    for number in (90, 108, 184, 295):
        assert number in set(week["station"])
        site = station(number).site
        slow = pl.concat([e.reply.value.rows for e in asos.fetch(by_asos, number, START, END)])
        fast = pl.concat([r.value.rows for _, r in hub.fetch(by_hub, [number], START, END)])
        one, other = kma_fields.tidy(slow, site), kma_fields.tidy(fast, site)
        assert one[TIME].equals(other[TIME])
        for name in OBSERVED:
            assert one[name].equals(other[name]), (number, name)
            if name != RAIN:
                assert one[flag_column(name)].equals(other[flag_column(name)]), (number, name)
    by_asos.close()
    by_hub.close()
