"""The API hub's text: sentinels, units, every kind of answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from demo.kma_hub import _line, _ruler, refusal
from edge_agent.contract import kma_fields
from edge_agent.contract.errors import FarmError, ProtocolFault, Refused
from edge_agent.contract.schema import AIR_TEMPERATURE, RAIN, TIME, Flag, flag_column
from edge_agent.contract.stations import station
from trainer.ingest.sources import hub
from trainer.ingest.sources.http import Endpoint, QuotaSpent, Service, Transient, Truncated
from trainer.workspace.kma_sources import API_HUB, Kma

SAMPLES = Path(__file__).parents[6] / "shared" / "data" / "kma_samples"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="needs KMA's sample bodies (../shared)"
)
HOUR = datetime(2024, 7, 1, 13)  # noqa: DTZ001 - KST
HEAD = f"#START7777\n{_ruler()}\n# YYMMDDHHMI\n#        KST  ID\n"


def _answer(*rows: dict[str, Any], end: str = "#7777END\n") -> bytes:
    lines = [_line(row.get("station", 108), {"tm": HOUR} | row) for row in rows]
    return (HEAD + "".join(f"{line}\n" for line in lines) + end).encode()


@needs_samples
def test_real_lines_are_read_value_by_value() -> None:
    """The ten real hours: units, sentinels, and the hours of a wet day."""
    rows = hub.parse((SAMPLES / "hub_sfctm3_108_excerpt.utf8.txt").read_bytes(), 200)
    assert rows.height == 10
    assert set(rows["stnId"]) == {108}
    day = rows.row(by_predicate=pl.col("tm") == datetime(2024, 7, 1, 13), named=True)  # noqa: DTZ001 - KST
    assert day == {
        "tm": HOUR,
        "stnId": 108,
        "wd": 290.0,
        "ws": 2.3,
        "pa": 993.7,
        "ps": 1003.2,
        "ta": 29.0,
        "td": 19.0,
        "hm": 55.0,
        "pv": 22.0,
        "rn": None,
        "dc10Tca": 4.0,
        "vs": 2012.0,
        "ss": 1.0,
        "icsr": 3.47,
        "ts": 38.8,
        "rnQcflg": None,
    }
    assert rows["rnQcflg"].to_list() == ["9", None, None, "9", "9", None, None, None, "9", None]
    assert rows["rn"].to_list() == [None, None, 0.0, None, None, None, 20.1, 7.2, None, None]
    assert rows["ss"].to_list() == [None] * 5 + [1.0, 0.0, 0.0, None, None]
    assert rows["td"].min() == -17.4
    assert rows["wd"].max() == 360.0


@needs_samples
def test_real_lines_become_a_tidy_frame() -> None:
    """The same hours in the project's names, UTC and units."""
    rows = hub.parse((SAMPLES / "hub_sfctm3_108_excerpt.utf8.txt").read_bytes(), 200)
    frame = kma_fields.tidy(rows, station(108).site)
    assert frame.height == 10
    assert frame[TIME][0] == datetime(2023, 12, 31, 15, tzinfo=UTC)
    assert frame[RAIN].to_list() == [None, None, 0.0, None, None, 0.0, 20.1, 7.2, None, None]
    assert frame[flag_column(RAIN)][2] == Flag.ACCUMULATED
    assert frame["visibility_m"][5] == 20120.0


def test_minus_nine_is_weather_only_where_it_can_be() -> None:
    """-9.0 is a temperature; elsewhere, and from -50 down, it is a missing value."""
    cold = {"ta": -9.0, "td": -9.0, "ts": -9.0, "ws": None, "wd": None, "pa": None, "rn": None}
    row = hub.parse(_answer(cold), 200).row(0, named=True)
    assert (row["ta"], row["td"], row["ts"]) == (-9.0, -9.0, -9.0)
    assert (row["ws"], row["wd"], row["pa"], row["rn"]) == (None, None, None, None)
    missing = hub.parse(_answer({"ta": None, "td": None, "ts": None}), 200).row(0, named=True)
    assert (missing["ta"], missing["td"], missing["ts"]) == (None, None, None)
    assert hub.parse(_answer({"ta": -32.6}), 200)["ta"][0] == -32.6


@pytest.mark.parametrize(("tens", "degrees"), [(0, 0.0), (50, 50.0), (360, 360.0)])
def test_wind_comes_in_tens_of_degrees(tens: float, degrees: float) -> None:
    """36 means 360 degrees, 0 calm."""
    assert hub.parse(_answer({"wd": tens}), 200)["wd"][0] == degrees


def test_old_answers_without_rn_jun_read_alike() -> None:
    """45 fields: everything after RN_JUN moves one place."""
    whole = _answer({"ta": 1.0, "ss": 0.4, "icsr": 1.25, "ts": 2.0, "vs": 777.0, "dc10Tca": 3.0})
    lines = whole.decode().split("\n")
    fields = lines[4].split()
    lines[4] = " ".join([*fields[:17], *fields[18:]])
    assert len(lines[4].split()) == 45
    assert hub.parse("\n".join(lines).encode(), 200).equals(hub.parse(whole, 200))


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_korean_help_is_read_in_either_encoding(encoding: str) -> None:
    """The hub says EUC-KR; a proxy may have made UTF-8 of it."""
    text = _answer({"ta": 21.5}).decode()
    helped = text.replace("#START7777\n", "#START7777\n#  기상청 지상관측 시간자료 [예]\n")
    assert hub.parse(helped.encode(encoding), 200)["ta"].to_list() == [21.5]


def test_no_rows_is_an_answer_when_the_header_is_whole() -> None:
    """Some tables end without the end line when they are empty."""
    assert hub.parse(_answer(), 200).height == 0
    assert hub.parse(_answer(end=""), 200).height == 0
    with pytest.raises(Truncated):
        hub.parse(HEAD[:40].encode(), 200)


def test_every_cut_is_noticed() -> None:
    """An answer that stops anywhere before its end line is cut off, wherever that is."""
    whole = _answer({"ta": 1.0}, {"ta": 2.0, "tm": HOUR + timedelta(hours=1)})
    header = len(HEAD.encode())
    for cut in range(len(whole) - len("\n")):
        if cut == header:
            continue  # the whole header and nothing else: an empty answer
        with pytest.raises((Truncated, ProtocolFault)):
            hub.parse(whole[:cut], 200)


@needs_samples
@pytest.mark.parametrize(
    ("name", "status", "kind", "text"),
    [
        ("hub_error_401.json", 401, Refused, "check KMA_HUB_KEY"),
        ("hub_error_403_not_applied.json", 403, Refused, "활용신청"),
        ("hub_error_403_unknown_path.json", 403, ProtocolFault, "hub_url"),
    ],
)
def test_real_errors_are_told_apart(
    name: str, status: int, kind: type[FarmError], text: str
) -> None:
    """Wrong key, missing permission and wrong address each say what to do."""
    with pytest.raises(kind, match=text):
        hub.parse((SAMPLES / name).read_bytes(), status)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (refusal(403, "API 호출 한도를 초과했습니다.").body, 403, QuotaSpent),
        (b"API token quota exceeded", 429, QuotaSpent),
        (b"API rate limit exceeded", 429, Transient),
        (b"Bad Gateway", 502, Transient),
        ("<html>시스템 점검 중입니다</html>".encode(), 200, ProtocolFault),
        (b"", 200, Truncated),
        (b"#STA", 200, Truncated),
        (b'{"result" : {"status" :', 401, Refused),
        (b'{"result" : {"status" :', 200, Truncated),
        (b"[1, 2]", 200, ProtocolFault),
        (_answer({"ta": 1.0}).replace(b" 108 ", b" 1x8 "), 200, ProtocolFault),
        (_answer({"ta": 1.0}).replace(b"202407011300", b"202413011300"), 200, ProtocolFault),
        (_answer({"ta": 1.0}).replace(b"202407011300", b"202407011310"), 200, ProtocolFault),
        (HEAD.encode() + b"202407011300 108 1 2 3\n#7777END\n", 200, ProtocolFault),
    ],
)
def test_foreign_answers_get_the_documented_error(
    body: bytes, status: int, kind: type[FarmError]
) -> None:
    """Each kind of bad answer is the error that says what to do next."""
    with pytest.raises(FarmError) as caught:
        hub.parse(body, status)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["NaN", "inf", "-inf", "****", "1,5"])
def test_a_cell_that_is_no_number_is_flagged(word: str) -> None:
    """It is null with the flag SOURCE; every other cell of its row and the next row are read."""
    later = {"ta": 2.0, "hm": 51.0, "tm": HOUR + timedelta(hours=1)}
    whole = _answer({"ta": 1.5, "hm": 50.0, "ws": 2.5}, later)
    assert whole.count(b"  1.5 ") == 1
    rows = hub.parse(whole.replace(b"  1.5 ", f" {word} ".encode()), 200)
    frame = kma_fields.tidy(rows, station(108).site)
    assert frame[AIR_TEMPERATURE].to_list() == [None, 2.0]
    assert frame[flag_column(AIR_TEMPERATURE)].to_list() == [Flag.SOURCE, Flag.GOOD]
    assert frame["relative_humidity_pct"].to_list() == [50.0, 51.0]
    assert frame["wind_speed_ms"][0] == 2.5


@pytest.mark.parametrize("name", ["rn", "day"])
def test_rain_that_is_no_number_is_not_dry(name: str) -> None:
    """Neither an amount nor a sum of the day that cannot be read makes an hour dry."""
    row: dict[str, float | None] = {"rn": 7.5, "day": 7.5, "ta": 20.0}
    if name == "day":
        row["rn"] = None
    fields = _answer(row).decode().split("\n")[4].split()
    fields[15 if name == "rn" else 16] = "NaN"
    text = HEAD + " ".join(fields) + "\n#7777END\n"
    frame = kma_fields.tidy(hub.parse(text.encode(), 200), station(108).site)
    flag = Flag.SOURCE if name == "rn" else Flag.MISSING
    assert (frame[RAIN][0], frame[flag_column(RAIN)][0]) == (None, flag)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b" 112 ", b" 1x2 "),
        (b"202407011400", b"202413011400"),
        (b"202407011400", b"202407011410"),
        (b" 112 ", b" 112 7 7 "),
    ],
)
def test_a_row_that_cannot_be_placed_harms_no_other(good: bytes, bad: bytes) -> None:
    """Its hour or station cannot be read, or fields are lost: it is left out and counted."""
    whole = _answer({"ta": 1.0}, {"ta": 2.0, "station": 112, "tm": HOUR + timedelta(hours=1)})
    assert whole.count(good) == 1
    answer = hub.read(whole.replace(good, bad), 200)
    assert answer.rows.equals(hub.parse(_answer({"ta": 1.0}), 200))
    (told,) = answer.left_out
    assert bad.decode().split()[0] in told


def _service(asked: list[httpx.URL], answer: bytes) -> Service:
    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, content=answer)

    return Service(
        Endpoint("http://hub/api", API_HUB.query_field, "k%2Bey"),
        Kma(),
        admit=lambda: None,
        sleep=lambda _seconds: None,
        transport=httpx.MockTransport(handle),
    )


def test_long_periods_and_many_stations_are_split() -> None:
    """31 days are the limit of a request; every hour is asked for once."""
    asked: list[httpx.URL] = []
    start = datetime(2024, 1, 1, tzinfo=UTC)
    list(hub.fetch(_service(asked, _answer()), range(90, 120), start, start + timedelta(days=45)))
    spans = [(url.params["tm1"], url.params["tm2"]) for url in asked]
    assert (
        spans
        == [
            ("202401010900", "202401310800"),
            ("202401310900", "202402150900"),
        ]
        * 2
    )
    stations = ":".join((asked[0].params["stn"], asked[-1].params["stn"]))
    assert stations == ":".join(map(str, range(90, 120)))
    assert {url.params["authKey"] for url in asked} == {"k+ey"}


def test_rows_of_another_station_are_refused() -> None:
    """A hub that answers for somewhere else must not feed the lake."""
    start = datetime(2024, 7, 1, tzinfo=UTC)
    with pytest.raises(ProtocolFault, match="station 119"):
        list(hub.fetch(_service([], _answer({"station": 119})), [108], start, start))
    both = _service([], _answer({"station": 119}, {"ta": 3.0}))
    ((_, reply),) = hub.fetch(both, [108], start, start)
    assert hub.of_stations(reply.value, [108]).rows["stnId"].to_list() == [108]
    assert "119" in hub.of_stations(reply.value, [108]).left_out[0]
