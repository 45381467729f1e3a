"""The ASOS stand-in: the bytes of KMA's real answers, its rules and its faults."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import httpx
import polars as pl
import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.kma_faults import FaultRates
from demo.kma_rows import FIELDS
from demo.places import SEOUL

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "kma_samples"
KEY = "a+b/c=="


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Two years of generated Seoul."""
    return generate([SEOUL], datetime(2020, 1, 1, 1), datetime(2022, 1, 1), seed=2)  # noqa: DTZ001 - KST


@pytest.fixture(scope="module")
def server(frame: pl.DataFrame) -> Iterator[KmaStandIn]:
    """A healthy stand-in."""
    with KmaStandIn(frame, key=KEY) as running:
        yield running


def _query(start: str, end: str, **more: str) -> dict[str, str]:
    query = {"numOfRows": "999", "dataType": "JSON", "dataCd": "ASOS", "dateCd": "HR"}
    query |= {"startDt": start[:8], "startHh": start[8:], "endDt": end[:8], "endHh": end[8:]}
    return query | {"stnIds": "108"} | more


def _client() -> httpx.Client:
    # No certificates to load for loopback: that is what takes time.
    return httpx.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)


def _get(server: KmaStandIn, query: dict[str, str], key: str = KEY) -> httpx.Response:
    with _client() as client:
        return client.get(server.asos_url, params=query | {"serviceKey": key})


def _body(server: KmaStandIn, query: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = _get(server, query).json()["response"]
    return answer


def test_pages_hold_every_row_once_in_order(server: KmaStandIn, frame: pl.DataFrame) -> None:
    """Paging through a year returns the frame, value by value."""
    items: list[dict[str, str]] = []
    total = 1
    while len(items) < total:
        page = len(items) // 999 + 1
        body = _body(server, _query("2020010101", "2020123123", pageNo=str(page)))["body"]
        assert body["pageNo"] == page
        total = body["totalCount"]
        items += body["items"]["item"]
    assert [item["rnum"] for item in items] == [str(i + 1) for i in range(total)]
    assert {tuple(item) for item in items} == {FIELDS}
    expected = frame.filter(pl.col("tm").dt.year() == 2020)
    assert [item["tm"] for item in items] == expected["tm"].dt.strftime("%Y-%m-%d %H:%M").to_list()
    for name in ("ta", "hm", "ws", "wd", "ps", "pa", "td", "pv", "rn", "ss", "icsr", "vs", "ts"):
        got = [float(item[name]) if item[name] else None for item in items]
        assert got == expected[name].to_list(), name
    assert all(item["hm"] == "" or item["hm"].isdecimal() for item in items)
    assert "-0.0" not in {item["ta"] for item in items}


def test_xml_carries_the_same_values(server: KmaStandIn) -> None:
    """XML, the default form, has the same items in the same field order."""
    query = _query("2020030101", "2020030123")
    items = _body(server, query)["body"]["items"]["item"]
    del query["dataType"]
    root = ET.fromstring(_get(server, query).content)
    found = [{field.tag: field.text or "" for field in item} for item in root.iter("item")]
    assert found == items
    assert [list(item) for item in found] == [list(item) for item in items]
    assert root.findtext("body/totalCount") == str(len(items))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs KMA's sample bodies (../shared)")
@pytest.mark.parametrize(
    "name",
    [
        "asos_hourly_108_20220705-15_monsoon.json",
        "asos_hourly_108_20230301T22-0326T21.json",
        "asos_hourly_108_20230313-23_pretty.json",
        "asos_hourly_119_20230313-23.json",
    ],
)
def test_bytes_are_those_of_real_answers(name: str) -> None:
    """What a real answer says is said in the same bytes, rain flags included."""
    real = json.loads((SAMPLES / name).read_bytes())
    items = real["response"]["body"]["items"]["item"]
    names = "ta hm ws wd ps pa td pv rn ss icsr vs ts dc10Tca".split()  # noqa: SIM905 - a table row
    frame = pl.DataFrame(items).select(
        pl.col("stnId").cast(pl.Int32).alias("station"),
        pl.col("tm").str.to_datetime("%Y-%m-%d %H:%M", time_unit="us"),
        pl.col(names).replace("", None).cast(pl.Float64),
    )
    first, last = (items[i]["tm"].replace("-", "").replace(" ", "")[:10] for i in (0, -1))
    with KmaStandIn(frame, key=KEY) as server:
        got = _get(server, _query(first, last, stnIds=items[0]["stnId"])).content
    kept = {*names, "tm", "rnum", "stnId", "stnNm", "rnQcflg", "ssQcflg", "taQcflg", "hmQcflg"}
    for item in items:
        item.update(dict.fromkeys(set(item) - kept, ""))
    # The record does not say whether a day's first hour follows rain of a day that is not in it.
    for item, sent in zip(items, json.loads(got)["response"]["body"]["items"]["item"], strict=True):
        if item["tm"] < items[23]["tm"]:
            item["rnQcflg"] = sent["rnQcflg"]
    assert got.decode() == json.dumps(real, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs KMA's sample bodies (../shared)")
def test_errors_are_byte_for_byte_those_seen(server: KmaStandIn) -> None:
    """No data, today's date and an unknown key answer as recorded."""
    nothing = _get(server, _query("2019010101", "2019010123"))
    assert nothing.content == (SAMPLES / "datagokr_03_nodata.json").read_bytes().strip()
    today = _get(server, _query("2022010100", "2022010200"))
    assert today.content == (SAMPLES / "datagokr_99_today_reconstructed.json").read_bytes().strip()
    stranger = _get(server, _query("2020010101", "2020010123"), key="wrong")
    assert stranger.status_code == 403
    assert stranger.content == (SAMPLES / "gateway_error_30.xml").read_bytes()


def test_key_works_encoded_once_and_fails_encoded_twice(server: KmaStandIn) -> None:
    """An Encoding key goes into the address as it is; encoded again it is another key."""
    query = urlencode(_query("2020010101", "2020010123"))
    right = f"{server.asos_url}?{query}&serviceKey={quote(KEY, safe='')}"
    twice = f"{server.asos_url}?{query}&serviceKey={quote(quote(KEY, safe=''), safe='')}"
    with _client() as client:
        assert client.get(right).status_code == 200
        assert client.get(twice).status_code == 403
    assert all("serviceKey" not in request.query for request in server.requests)


def test_a_thousand_rows_are_refused(server: KmaStandIn) -> None:
    """999 rows is the most; 1000 is error 99."""
    header = _body(server, _query("2020010101", "2020123123", numOfRows="1000"))["header"]
    assert header["resultCode"] == "99"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (_query("2020010101", "2020010123", stnIds=""), "11"),
        (_query("20200101xx", "2020010123"), "10"),
        (_query("2020010101", "2020010123", numOfRows="0"), "99"),
        (_query("2020010101", "2020010123", stnIds="90"), "03"),
    ],
)
def test_wrong_requests_get_their_code(
    server: KmaStandIn, query: dict[str, str], code: str
) -> None:
    """Missing, unreadable and unanswerable parameters are told apart."""
    assert _body(server, query)["header"]["resultCode"] == code


def test_yesterday_appears_late_in_the_morning(frame: pl.DataFrame) -> None:
    """Before 11:00 KST the day before is not there yet; time can be moved on."""
    early = datetime(2021, 6, 2, 1, 59, tzinfo=UTC)
    with KmaStandIn(frame, key=KEY, now=early) as server:
        query = _query("2021060101", "2021060123")
        assert _body(server, query)["header"]["resultCode"] == "03"
        server.now = early + timedelta(minutes=1)
        assert _body(server, query)["body"]["totalCount"] == 23


def _statuses(frame: pl.DataFrame, rates: FaultRates, seed: int, days: int = 60) -> list[str]:
    with KmaStandIn(frame, key=KEY, faults=rates, seed=seed) as server:
        start = datetime(2020, 2, 1)  # noqa: DTZ001 - KST
        for i in range(days):
            day = f"{start + timedelta(days=i):%Y%m%d}"
            try:
                _get(server, _query(f"{day}00", f"{day}23"))
            except httpx.RemoteProtocolError:
                continue
        return [request.fault for request in server.requests]


def test_faults_come_at_their_rates_and_repeat_with_the_seed(frame: pl.DataFrame) -> None:
    """Each fault appears about as often as asked, the same in every run of one seed."""
    rates = FaultRates(
        http_500=0.2, timeout=0.1, truncated=0.1, html=0.1, service_code=0.1, hang_s=0.0
    )
    seen = _statuses(frame, rates, seed=5)
    assert seen == _statuses(frame, rates, seed=5)
    assert seen != _statuses(frame, rates, seed=6)
    assert {"http_500", "timeout", "truncated", "html", "service_code", ""} == set(seen)
    assert 4 <= seen.count("http_500") <= 24
    assert 15 <= seen.count("") <= 33


@pytest.mark.parametrize("as_xml", [False, True])
def test_quota_is_counted_by_korean_day(frame: pl.DataFrame, *, as_xml: bool) -> None:
    """Beyond the quota every request is refused until midnight in Korea."""
    night = datetime(2021, 6, 1, 14, 59, tzinfo=UTC)
    rates = FaultRates(quota=2, quota_as_xml=as_xml)
    with KmaStandIn(frame, key=KEY, now=night, faults=rates) as server:
        query = _query("2021050101", "2021050123")
        answers = [_get(server, query) for _ in range(4)]
        server.now = night + timedelta(minutes=1)
        answers.append(_get(server, query))
    refused = ["LIMITED" in a.text if as_xml else a.status_code == 429 for a in answers]
    assert refused == [False, False, True, True, False]


def test_late_rows_are_absent_once_and_paged_answers_agree(frame: pl.DataFrame) -> None:
    """Rows held back are missing from every page of the first answer, and there in the next."""
    start, end = "2020010101", "2020033123"
    with KmaStandIn(frame, key=KEY, faults=FaultRates(late_rows=0.05), seed=9) as server:

        def ask() -> list[str]:
            pages = [_body(server, _query(start, end, pageNo=str(p)))["body"] for p in (1, 2, 3)]
            assert len({page["totalCount"] for page in pages}) == 1
            return [item["tm"] for page in pages for item in page["items"]["item"]]

        first, second = ask(), ask()
    assert len(set(first)) == len(first)
    assert 0.9 * len(second) < len(first) < len(second)
    whole = frame.filter(pl.col("tm") < datetime(2020, 4, 1))  # noqa: DTZ001 - KST
    assert second == whole["tm"].dt.strftime("%Y-%m-%d %H:%M").to_list()


def test_repeated_rows_are_true_copies(frame: pl.DataFrame) -> None:
    """A duplicated answer holds every row, a few of them twice, and counts them."""
    with KmaStandIn(frame, key=KEY, faults=FaultRates(duplicated=1.0)) as server:
        body = _body(server, _query("2020020101", "2020020523"))["body"]
    items = body["items"]["item"]
    times = [item["tm"] for item in items]
    assert body["totalCount"] == len(items) > len(set(times))
    assert times == sorted(times)
    for item in items:
        del item["rnum"]
    assert len({json.dumps(item) for item in items}) == len(set(times))
