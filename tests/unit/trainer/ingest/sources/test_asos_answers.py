"""What `trainer.ingest.sources.asos.parse` makes of every kind of answer."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.contract.errors import FarmError, ProtocolFault, Refused, TryLater
from trainer.ingest.sources import asos, envelope
from trainer.ingest.sources.http import NotPublished, QuotaSpent, Transient, Truncated

SAMPLES = Path(__file__).parents[6] / "shared" / "data" / "kma_samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="real samples are not at hand")

ITEM = {"tm": "2023-03-13 08:00", "rnum": "1", "stnId": "108", "ta": "3.6", "taQcflg": ""}


def answer(items: object, total: object = 1, code: str = "00", message: str = "OK") -> bytes:
    """A JSON answer."""
    body = {"dataType": "JSON", "items": items, "pageNo": 1, "numOfRows": 999, "totalCount": total}
    header = {"resultCode": code, "resultMsg": message}
    return json.dumps({"response": {"header": header, "body": body}}).encode()


def header_only(code: str, message: str = "") -> bytes:
    """A JSON answer without a body."""
    return json.dumps(
        {"response": {"header": {"resultCode": code, "resultMsg": message}}}, ensure_ascii=False
    ).encode()


def gateway(code: str, message: str = "X_ERROR") -> bytes:
    """The old gateway's XML."""
    return (
        "<OpenAPI_ServiceResponse>\n<cmmMsgHeader><errMsg>SERVICE ERROR</errMsg>"
        f"<returnAuthMsg>{message}</returnAuthMsg>"
        f"<returnReasonCode>{code}</returnReasonCode></cmmMsgHeader></OpenAPI_ServiceResponse>"
    ).encode()


@pytest.mark.parametrize("items", [{"item": [ITEM]}, {"item": ITEM}])
def test_one_row_as_list_or_object(items: object) -> None:
    """A single item may come bare."""
    page = asos.parse(answer(items), 200)
    assert page.total == 1
    assert page.rows.row(0, named=True)["ta"] == "3.6"
    assert page.rows.row(0, named=True)["hm"] == ""


@pytest.mark.parametrize("items", ["", [], None, {}, {"item": []}, {"item": ""}])
def test_empty_items_are_no_rows(items: object) -> None:
    """Nothing found has many shapes, none of them an error."""
    page = asos.parse(answer(items, total=0), 200)
    assert (page.rows.height, page.total) == (0, 0)


def test_numbers_and_nulls_are_read_as_text() -> None:
    """A proxy that re-encodes the answer may turn text into numbers, and blanks into null."""
    item = {**ITEM, "ta": 3.6, "hm": 50, "ws": None}
    row = asos.parse(answer({"item": [item]}, total="1"), 200).rows.row(0, named=True)
    assert (row["ta"], row["hm"], row["ws"]) == ("3.6", "50.0", "")


@pytest.mark.parametrize(
    ("body", "status", "kind", "text"),
    [
        (header_only("01"), 200, Transient, "fault 01"),
        (header_only("04"), 200, Transient, "fault 04"),
        (header_only("05"), 200, Transient, "fault 05"),
        (header_only("10", "BAD"), 200, ProtocolFault, "code 10 .BAD."),
        (header_only("20"), 200, Refused, "활용신청"),
        (header_only("22"), 200, QuotaSpent, "quota"),
        (header_only("30"), 200, Refused, "KMA_SERVICE_KEY"),
        (header_only("31"), 200, Refused, "expired"),
        (header_only("99", "전날 자료까지 제공됩니다."), 200, NotPublished, "11:00 KST"),
        (header_only("99", "?"), 200, ProtocolFault, "code 99"),
        (gateway("30"), 200, Refused, "not registered"),
        (gateway("30"), 403, Refused, "not registered"),
        (gateway("22"), 200, QuotaSpent, "quota"),
        (gateway("04", "HTTP ROUTING ERROR"), 200, Transient, "ROUTING"),
        (gateway("12"), 400, ProtocolFault, "code 12"),
        (b"Unauthorized", 401, Refused, "KMA_SERVICE_KEY"),
        (b"Forbidden", 403, Refused, "활용신청"),
        (b"API not found", 404, ProtocolFault, "address"),
        (b"API token quota exceeded", 429, QuotaSpent, "quota"),
        (b"API rate limit exceeded", 429, Transient, "429"),
        (b"Unexpected errors", 500, Transient, "500"),
        (b"Error forwarding request to backend server", 502, Transient, "502"),
        (b"<html><body>maintenance</body></html>", 200, ProtocolFault, "a web page"),
        (b"<!DOCTYPE html><html></html>", 404, ProtocolFault, "a web page"),
        (b"<html>Bad Gateway</html>", 502, Transient, "502"),
        (b"", 200, Truncated, "empty answer"),
        (b'{"response":{"hea', 200, Truncated, "cut off"),
        (b"<response><header><resultCode>00</resu", 200, Truncated, "cut off"),
        (b'{"result":1}', 200, ProtocolFault, "unexpected answer"),
        (b"[]", 200, ProtocolFault, "unexpected answer"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a/>', 200, ProtocolFault, "type"),
        (b"<response></response>", 200, ProtocolFault, "without a result code"),
        (header_only("00"), 200, ProtocolFault, "without a body"),
        (answer("text"), 200, ProtocolFault, "unknown shape"),
        (answer({"item": "text"}), 200, ProtocolFault, "unknown shape"),
        (answer([ITEM]), 200, ProtocolFault, "unknown shape"),
        (answer({"item": [{**ITEM, "tm": ""}]}), 200, ProtocolFault, "not a full hour"),
    ],
)
def test_every_kind_of_error_is_told_apart(
    body: bytes, status: int, kind: type[FarmError], text: str
) -> None:
    """The bytes decide, not the status alone; each error is one line that says what to do."""
    with pytest.raises(FarmError, match=text) as caught:
        asos.parse(body, status)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_only_passing_faults_are_try_later_or_truncated() -> None:
    """A key or a shape never becomes "try later", or a script would try for ever."""
    assert issubclass(Transient, TryLater)
    assert issubclass(QuotaSpent, TryLater)
    assert issubclass(NotPublished, TryLater)
    assert issubclass(Truncated, ProtocolFault)
    assert not issubclass(Refused, TryLater)


def test_no_data_is_an_empty_page() -> None:
    """Code 03 is an answer, not an error, whatever its message says."""
    assert asos.parse(header_only("03", "NO_DATA"), 200).rows.height == 0


def test_xml_gives_the_same_rows_as_json() -> None:
    """Both data types carry the same fields; an empty element is a blank."""
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><response><header><resultCode>00</resultCode>'
        "<resultMsg>OK</resultMsg></header><body><dataType>XML</dataType><items><item>"
        "<tm>2023-03-13 08:00</tm><rnum>1</rnum><stnId>108</stnId><ta>3.6</ta><taQcflg></taQcflg>"
        "<hm/></item></items><numOfRows>999</numOfRows><pageNo>1</pageNo>"
        "<totalCount>7</totalCount></body></response>"
    )
    page = asos.parse(xml.encode(), 200)
    assert page.total == 7
    assert page.rows.equals(asos.parse(answer({"item": ITEM}), 200).rows)


def test_query_is_in_korean_time_and_holds_no_key() -> None:
    """The range is inclusive and labelled in KST."""
    start, end = datetime(2023, 3, 12, 15, tzinfo=UTC), datetime(2023, 3, 13, 14, tzinfo=UTC)
    asked = asos.query(108, start, end)
    assert (asked["startDt"], asked["startHh"]) == ("20230313", "00")
    assert (asked["endDt"], asked["endHh"]) == ("20230313", "23")
    assert asked["numOfRows"] == "999"
    assert not any("key" in name.lower() for name in asked)
    hours = asos.hours_asked(asked)
    assert (hours.start * 3600, len(hours)) == (start.timestamp(), 24)


@needs_samples
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("asos_hourly_108_20220705-15_monsoon.json", 263),
        ("asos_hourly_108_20230301T22-0326T21.json", 600),
        ("asos_hourly_108_20230313-23_pretty.json", 253),
        ("asos_hourly_119_20230313-23.json", 253),
    ],
)
def test_real_answers_keep_every_value(name: str, rows: int) -> None:
    """Each field of each row of the real bodies arrives as it was sent."""
    content = (SAMPLES / name).read_bytes()
    page = asos.parse(content, 200)
    items = json.loads(content)["response"]["body"]["items"]["item"]
    assert page.rows.height == rows == page.total
    for sent, got in zip(items, page.rows.iter_rows(named=True), strict=True):
        assert got == {name: sent[name] for name in got}


_TOGETHER = """
import sys, threading
from trainer.ingest.sources import asos
sys.setswitchinterval(1e-6)
body = sys.stdin.buffer.read()
together = threading.Barrier(8)
def work():
    together.wait()
    asos.parse(body, 200)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.slow
def test_the_first_answers_may_come_at_the_same_time() -> None:
    """Threads that parse before anything was parsed do not crash the process (1 in 10 did)."""
    body = answer({"item": [ITEM] * 50}, total=50)
    for _ in range(60):
        command = [sys.executable, "-c", _TOGETHER]
        done = subprocess.run(command, input=body, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_every_answer_is_decoded_by_one_decoder() -> None:
    """The decoder is made once, under a lock; msgspec crashes where two threads make it."""
    asos.parse(header_only("03"), 200)
    made = dict(envelope._decoders)
    asos.parse(header_only("03"), 200)
    assert made
    assert all(envelope._decoders[kind] is decoder for kind, decoder in made.items())


@pytest.mark.parametrize("tm", ["", "2023-03-13 8h", "2023-03-13 08:30", "1823-03-13 08:00"])
def test_a_row_without_a_time_harms_no_other(tm: str) -> None:
    """It is left out and counted, so that no page is waited for in its place."""
    page = asos.parse(answer({"item": [ITEM, {**ITEM, "tm": tm}]}), 200)
    assert page.rows["tm"].to_list() == [ITEM["tm"]]
    assert (page.left_out, page.received, page.total) == ((tm,), 2, 2)
