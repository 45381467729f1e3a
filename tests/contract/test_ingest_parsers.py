"""Whatever comes in: documented errors only, no row invented, no row lost."""

from __future__ import annotations

import json
import math
import random
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.contract import kma_fields
from edge_agent.contract.errors import FarmError
from edge_agent.contract.schema import RAIN, SOLAR, SUNSHINE, Flag, flag_column
from edge_agent.contract.stations import station
from tests.fakes.examples import examples
from tests.fakes.mutation import mutated
from trainer.ingest import importer
from trainer.ingest.sources import asos
from trainer.workspace import parquet

SEOUL = station(108).site
START = datetime(2023, 1, 1)  # noqa: DTZ001 - KST
FIELDS = ("stnId", *kma_fields.NAMES, *kma_fields.QC_FIELDS.values())

VALUE = st.one_of(
    st.just(""),
    st.floats(-999, 9999).map(lambda x: f"{x:.1f}"),
    st.sampled_from(
        ["-9", "-9.0", "-0.0", "nan", "inf", "1e400", " 3.5 ", "-", "0x10", "１", "NULL"]
    ),
    st.text("0123456789.-+eEx한\t ", max_size=6),
)
VERDICT = st.sampled_from(["", "", "", "0", "1", "9", "x"])
HOURS = st.lists(st.integers(0, 12) | st.integers(0, 9000), max_size=6)


def body_of(items: object, total: int) -> bytes:
    """An answer with these rows."""
    header = {"resultCode": "00", "resultMsg": "NORMAL_SERVICE"}
    content = {"dataType": "JSON", "items": {"item": items}, "totalCount": total}
    return json.dumps({"response": {"header": header, "body": content}}).encode()


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows in any order, doubled ones among them, with any text in any field."""
    found = []
    for hour in draw(HOURS):
        time = START + timedelta(hours=hour)
        row = {"tm": f"{time:%Y-%m-%d %H:%M}", "stnId": "108"}
        for field in draw(st.sets(st.sampled_from(sorted(kma_fields.NAMES)), max_size=5)):
            row[field] = draw(VALUE)
            if field in kma_fields.QC_FIELDS:
                row[kma_fields.QC_FIELDS[field]] = draw(VERDICT)
        found.append(row)
    return found


@settings(max_examples=examples(40))
@given(rows())
def test_every_row_and_every_value_is_accounted_for(sent: list[dict[str, str]]) -> None:
    """JSON -> page -> tidy: one row a time; a good value is the number sent; else flag and null."""
    page = asos.parse(body_of(sent, len(sent)), 200)
    assert page.rows.height == page.total == len(sent)
    for got, row in zip(page.rows.iter_rows(named=True), sent, strict=True):
        assert {name: got[name] for name in row} == row
    tidy = kma_fields.tidy(page.rows, SEOUL)
    last = {row["tm"]: row for row in sent}
    assert tidy.height == len(last)
    for got, time in zip(tidy.iter_rows(named=True), sorted(last), strict=True):
        for field, name in kma_fields.NAMES.items():
            value, flag, text = got[name], got[flag_column(name)], last[time].get(field, "").strip()
            if flag not in {Flag.GOOD, Flag.ACCUMULATED}:
                assert value is None
                continue
            assert value is not None
            assert math.isfinite(value)
            missing = not text or last[time].get(kma_fields.QC_FIELDS.get(field, "")) == "9"
            if name in {RAIN, SUNSHINE, SOLAR} and missing:
                assert value == 0.0
            else:
                assert value == float(text) * (10.0 if field == "vs" else 1.0)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("0123456789-: 한", max_size=16),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "response",
                    "header",
                    "body",
                    "items",
                    "item",
                    "resultCode",
                    "resultMsg",
                    "tm",
                    "ta",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=examples(40))
@given(JSON, st.sampled_from([200, 200, 200, 403, 500]))
def test_any_json_ends_in_rows_or_a_documented_error(document: object, status: int) -> None:
    """No shape of JSON makes a parser fail in another way."""
    _parse(json.dumps(document).encode(), status)
    wrapped = {"response": {"header": {"resultCode": "00"}, "body": {"items": document}}}
    _parse(json.dumps(wrapped).encode(), status)
    _parse(body_of(document, 1), status)


@given(st.binary(max_size=300), st.integers(100, 599))
@example(b"<\xff", 200)
@example(b"\xef\xbb\xbf{", 200)
@example(b"<response>&#0;</response>", 200)
@example(b"<?xml version='1.0' encoding='nonsense'?><a/>", 200)
@example(b'{"response":{"header":{"resultCode":"00"},"body":{"items":"","totalCount":-1}}}', 200)
def test_any_bytes_end_in_rows_or_a_documented_error(body: bytes, status: int) -> None:
    """Bytes are no reason for a traceback."""
    for start in (b"", b"{", b"<?xml ", b"<response>", b'{"response":'):
        _parse(start + body, status)


@settings(max_examples=examples(40))
@given(st.binary(max_size=200))
@example(b"")
@example(b"\n")
@example(b"tm,ta\n")
@example(b"time\n2023-01-01T00:00:00Z\n")
@example(b'"tm","ta"\n"')
def test_any_file_ends_in_frames_or_a_documented_error(content: bytes) -> None:
    """A file that is no observations is refused in one line."""
    for name in ("a.csv", "a.parquet", "a.txt"):
        for start in (b"", b"tm,ta\n", b"time,rain_mm\n", b"\xef\xbb\xbftm,ta,tm\n", b"PAR1"):
            _import(name, start + content)


def _parse(body: bytes, status: int) -> None:
    try:
        page = asos.parse(body, status)
    except FarmError as fault:
        _one_line(fault)
        return
    assert page.total >= page.rows.height
    kma_fields.tidy(page.rows, SEOUL)


def _one_line(fault: FarmError) -> None:
    assert str(fault)
    assert "\n" not in str(fault)


def _import(name: str, content: bytes) -> None:
    try:
        importer.read(name, content, 108)
    except FarmError as fault:
        _one_line(fault)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["json", "xml", "csv", "parquet"])
def test_mutated_answers_by_the_thousand(kind: str) -> None:
    """Flipped, cut, doubled and shuffled bytes of good input never raise anything else."""
    item = {"tm": "2023-03-13 08:00", "stnId": "108", **dict.fromkeys(FIELDS[1:], "1.5")}
    fields = "".join(f"<{name}>{text}</{name}>" for name, text in item.items())
    frame = pl.DataFrame({"station": [108] * 3, "tm": [START] * 3, "ta": [1.0, 2.0, None]})
    whole = {
        "json": body_of([item] * 3, 3),
        "xml": (
            "<response><header><resultCode>00</resultCode></header><body><items>"
            f"<item>{fields}</item></items><totalCount>1</totalCount></body></response>"
        ).encode(),
        "csv": frame.write_csv().encode(),
        "parquet": parquet.encode(frame),
    }[kind]
    dice = random.Random(kind)
    for _ in range(4000):
        body = mutated(whole, dice)
        if kind in {"json", "xml"}:
            _parse(body, 200)
        else:
            _import(f"a.{kind}", body)
