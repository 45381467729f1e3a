"""Hub, village forecast and portal files: documented errors only, no row invented, no row lost."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from demo.kma_hub import _line, _ruler
from edge_agent.contract import kma_fields
from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import FarmError
from edge_agent.contract.stations import station
from tests.fakes import portal_village
from tests.fakes.examples import examples
from tests.fakes.mutation import mutated
from tests.fakes.portal_file import COLUMNS, download
from trainer.ingest import guidance_files, importer
from trainer.ingest.sources import hub, portal_csv, village, village_table

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2023, 1, 1)  # noqa: DTZ001 - KST
HEAD = f"#START7777\n{_ruler()}\n# YYMMDDHHMI\n#        KST  ID\n"
END = "#7777END\n"
FIELDS = ("ta", "td", "ts", "hm", "ws", "pa", "ps", "pv", "rn", "ss", "icsr", "vs", "dc10Tca")
SECTORS = (0, 20, 50, 70, 90, 110, 140, 160, 180, 200, 230, 250, 270, 290, 320, 340, 360)


@st.composite
def observations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Hours of one station, each value there or missing."""
    found = []
    for hour in sorted(draw(st.sets(st.integers(0, 20_000), max_size=6))):
        row: dict[str, Any] = {"tm": START + timedelta(hours=hour)}
        for name in FIELDS:
            low = -400 if name in {"ta", "td", "ts"} else 0
            tenths = draw(st.none() | st.integers(low, 999))
            whole = name in {"vs", "dc10Tca"}
            row[name] = None if tenths is None else float(tenths) if whole else tenths / 10
        wind = draw(st.none() | st.sampled_from(SECTORS))
        row["wd"] = None if wind is None else float(wind)
        found.append(row)
    return found


def _hub_body(rows: list[dict[str, Any]]) -> bytes:
    return (HEAD + "".join(f"{_line(108, row)}\n" for row in rows) + END).encode()


@settings(max_examples=examples(40))
@given(observations())
def test_hub_returns_every_value_that_was_written(sent: list[dict[str, Any]]) -> None:
    """Text of fixed columns and back: the same rows, the same numbers, the same gaps."""
    got = hub.parse(_hub_body(sent), 200)
    assert got.height == len(sent)
    for row, wanted in zip(got.iter_rows(named=True), sent, strict=True):
        assert row["stnId"] == 108
        assert {name: row[name] for name in wanted} == wanted


@settings(max_examples=examples(40))
@given(observations(), st.sampled_from(["cp949", "utf-8", "utf-8-sig"]))
def test_portal_files_return_every_value_that_was_written(
    sent: list[dict[str, Any]], encoding: str
) -> None:
    """A download and back: the same rows, the same numbers, the same gaps."""
    frame = pl.DataFrame(
        [(row["tm"], *(row[name] for name in (*FIELDS, "wd"))) for row in sent],
        schema=[("tm", pl.Datetime("us")), *((name, pl.Float64()) for name in (*FIELDS, "wd"))],
        orient="row",
    )
    frame = frame.with_columns(station=pl.lit(108))
    got = portal_csv.parse(download(frame, encoding=encoding))
    assert got.height == len(sent)
    for row, wanted in zip(got.iter_rows(named=True), sent, strict=True):
        assert row["tm"] == f"{wanted['tm']:%Y-%m-%d %H:%M}"
        for name in (*FIELDS, "wd"):
            assert (float(row[name]) if row[name] else None) == wanted[name]


@st.composite
def items(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Forecast items of one cell, doubled and unknown ones among them."""
    found = []
    for _ in range(draw(st.integers(0, 8))):
        issue = START + timedelta(hours=draw(st.integers(0, 3)))
        valid = issue + timedelta(hours=draw(st.integers(0, 2)))
        value = draw(st.integers(-1200, 1200)) / 10
        found.append(
            {
                "baseDate": f"{issue:%Y%m%d}",
                "baseTime": f"{issue:%H%M}",
                "category": draw(st.sampled_from(["TMP", "REH", "PCP", "NEW"])),
                "fcstDate": f"{valid:%Y%m%d}",
                "fcstTime": f"{valid:%H%M}",
                "fcstValue": f"{value:g}",
                "nx": 60,
                "ny": 127,
            }
        )
    return found


def _village_body(found: object, total: int) -> bytes:
    body = {"items": {"item": found}, "totalCount": total}
    return json.dumps({"response": {"header": {"resultCode": "00"}, "body": body}}).encode()


@given(items())
def test_village_items_all_come_through(sent: list[dict[str, Any]]) -> None:
    """Each item is a row; in the table the last of equals stands, and nothing else."""
    page = village.parse(_village_body(sent, len(sent)), 200)
    assert page.rows.height == page.total == len(sent)
    last = {
        (
            item["baseDate"] + item["baseTime"],
            item["fcstDate"] + item["fcstTime"],
            item["category"],
        ): item
        for item in sent
        if item["category"] != "NEW"
    }
    table = village_table.forecasts(page.rows)
    found = {}
    for row in table.iter_rows(named=True):
        for category, name in kma_fields.CATEGORIES.items():
            if row[name] is not None:
                times = (row[key] + timedelta(hours=9) for key in ("issued_at", "valid_at"))
                found[*(f"{time:%Y%m%d%H%M}" for time in times), category] = row[name]
    assert found == {key: float(item["fcstValue"]) for key, item in last.items()}


def _one_line(fault: FarmError) -> None:
    assert str(fault)
    assert "\n" not in str(fault)


def _hub(body: bytes, status: int = 200) -> None:
    try:
        rows = hub.parse(body, status)
    except FarmError as fault:
        _one_line(fault)
        return
    wanted = [x for x in body.splitlines() if x.strip() and not x.startswith(b"#")]
    assert rows.height <= len(wanted)
    kma_fields.tidy(rows, station(108).site)


def _village(body: bytes, status: int = 200) -> None:
    try:
        page = village.parse(body, status)
        village_table.forecasts(page.rows)
        village_table.nowcast(page.rows)
    except FarmError as fault:
        _one_line(fault)
        return
    assert page.total >= page.rows.height


def _portal(content: bytes) -> None:
    try:
        portal_csv.parse(content)
        importer.read("a.csv", content, 108)
    except FarmError as fault:
        _one_line(fault)


def _past(content: bytes, category: str = "습도") -> None:
    try:
        file = guidance_files.read(portal_village.name(category), content, Cell(97, 74))
    except FarmError as fault:
        _one_line(fault)
        return
    values = file.rows.to_series(2)
    assert values.is_finite().all()
    assert file.rows.height > 0


@settings(max_examples=examples(40))
@given(st.binary(max_size=300), st.integers(100, 599))
@example(b"\xff\xfe", 200)
@example(b"#7777END", 200)
@example(b'{"result" : {"status" : null}}', 403)
@example(b'{"result" : {"status" : 403, "message" : 5}}', 403)
@example(b"[" * 5000, 200)
@example(b"\xef", 200)
@example(b"\xef\xbb", 200)
def test_any_bytes_end_in_rows_or_a_documented_error(body: bytes, status: int) -> None:
    """Bytes are no reason for a traceback, whichever parser gets them."""
    for start in (b"", b"#START7777\n", HEAD.encode(), b'{"result":', b"\xb1\xe2"):
        _hub(start + body, status)
    for start in (b"", b"{", b"<response>", b"<?xml version='1.0'?><response><item>"):
        _village(start + body, status)
    header = ",".join(("지점,지점명,일시", *COLUMNS)).encode("cp949") + b"\n"
    for start in (b"", header, b"\xef\xbb\xbf", header + b"108,x,2023-01-01 01:00,"):
        _portal(start + body)
    for start in (
        b"",
        b" Start : 20170601 \n",
        portal_village.text([("20170601", portal_village.days(1, 1, 5.0))]).encode(),
    ):
        _past(start + body)


@given(
    st.sampled_from(["습도", "일최고기온", "3시간기온"]),
    st.sampled_from(["20170601", "20171301", "99990101", "00000000", "2017"]),
    st.sampled_from(["1", "31", "0", "-971917344", "999999999999", "x", ""]),
    st.sampled_from(["0200", "2300", "2400", "0230", "-0200", "٠٢٠٠", ""]),
    st.sampled_from(["+4", "+7", "4", "-4", "+999", "+999999999999", "+", ""]),
    st.floats() | st.sampled_from(["", "1,5", "1e400", "한"]),
)
def test_any_fields_in_a_past_forecast_end_in_a_row_or_a_documented_error(
    category: str, start: str, day: str, hour: str, lead: str, value: object
) -> None:
    """Months, days, hours and values are untrusted."""
    good = portal_village.text([("20170601", portal_village.days(1, 1, 5.0))])
    row = f" Start : {start} \n {day},{hour},{lead},{value} \n"
    _past((good + row).encode(), category)
    _past(row.encode(), category)


FIELD = st.sampled_from(
    [
        *("-9", "-9.0", "-99.0", "0", "1.5", "202301010130", "000000000000", "999912312300"),
        *("108", "nan", "inf", "-", "1e400", "한", "x", "0x1"),
    ]
)
EDITS = st.lists(
    st.tuples(st.sampled_from(["put", "drop", "add"]), st.integers(0, 45), FIELD), max_size=3
)


@given(EDITS)
@example([("drop", 45, "")])
@example([("put", 0, "202301010130")])
@example([("put", 11, "nan")])
def test_any_fields_in_a_hub_line_end_in_a_row_or_a_documented_error(
    edits: list[tuple[str, int, str]],
) -> None:
    """The number of fields, their order and their content are all untrusted."""
    fields = _line(108, {"tm": START, "ta": 1.5}).split()
    for edit, at, text in edits:
        fields[at : at + (edit != "add")] = [] if edit == "drop" else [text]
    _hub((HEAD + " ".join(fields) + "\n" + END).encode())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("0123456789.-한", max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("baseDate", "baseTime", "category", "fcstDate", "fcstTime", "fcstValue"),
                    *("nx", "ny", "obsrValue", "item", "items", "body", "header", "response"),
                    "resultCode",
                ]
            ),
            inner,
            max_size=9,
        )
    ),
    max_leaves=25,
)


@given(JSON)
def test_any_json_in_place_of_a_forecast_ends_in_a_documented_error(document: object) -> None:
    """No shape of JSON makes the village parser fail in another way."""
    _village(json.dumps(document).encode())
    _village(_village_body(document, 1))
    header = {"resultCode": "00"}
    _village(json.dumps({"response": {"header": header, "body": document}}).encode())


@given(
    st.fixed_dictionaries(
        {
            "baseDate": st.sampled_from(["20230101", "00000101", "99991231", "2023", 20230101]),
            "baseTime": st.sampled_from(["0200", "2400", "", 200, "02:00"]),
            "category": st.sampled_from(["TMP", "PCP", "T1H"]),
            "fcstDate": st.sampled_from(["20230101", "99991231", ""]),
            "fcstTime": st.sampled_from(["0300", "0000", "9999"]),
            "fcstValue": st.none() | st.floats() | st.text("0123456789.~-m이상 ", max_size=9),
            "nx": st.sampled_from([60, "60", "x", -1, 10**12]),
            "ny": st.just(127),
        }
    )
)
def test_any_values_in_a_forecast_item_end_in_a_documented_error(item: dict[str, Any]) -> None:
    """Times, cells and amounts are untrusted."""
    _village(_village_body([item], 1))
    _village(_village_body([item | {"obsrValue": item["fcstValue"]}], 1))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["hub", "village", "portal", "past"])
def test_mutated_answers_by_the_thousand(kind: str) -> None:
    """Flipped, cut, doubled and shuffled bytes of good input never raise anything else."""
    rows = [
        {"tm": START + timedelta(hours=i), "ta": 1.5 * i, "hm": 50.0, "rn": None, "wd": 50.0}
        for i in range(4)
    ]
    item = {
        "baseDate": "20230101",
        "baseTime": "0200",
        "category": "PCP",
        "nx": 60,
        "ny": 127,
        "fcstDate": "20230101",
        "fcstTime": "0300",
        "fcstValue": "30.0~50.0mm",
    }
    frame = pl.DataFrame(rows, schema_overrides={"rn": pl.Float64})
    cases: dict[str, tuple[bytes, Callable[[bytes], None]]] = {
        "hub": (_hub_body(rows), _hub),
        "village": (_village_body([item] * 3, 3), _village),
        "portal": (download(frame.with_columns(station=pl.lit(108))), _portal),
        "past": (
            portal_village.text(
                [("20170601", portal_village.days(30, 30, 5.0)), ("20170701", [])]
            ).encode(),
            _past,
        ),
    }
    whole, check = cases[kind]
    dice = random.Random(kind)
    for _ in range(4000):
        body = mutated(whole, dice)
        check(body)
