"""KMA's hourly surface observations (data.go.kr, AsosHourlyInfoService): parser and client."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from edge_agent.contract.errors import BadData, ProtocolFault
from edge_agent.contract.hours import KST
from edge_agent.contract.kma_fields import NAMES, QC_FIELDS, TIME_FIELD
from edge_agent.contract.kma_time import is_full_hour, read_time
from trainer.ingest.sources import envelope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trainer.ingest.sources.http import Reply, Service

PAGE_ROWS: Final = 999
"""Most rows a request may ask for; 1000 is answered with error 99."""

_TITLE: Final = "ASOS hourly service"
_FIELDS: Final = (TIME_FIELD, "stnId", *NAMES, *QC_FIELDS.values())

# KMA sends every value as text; a number is read too, as a re-encoding proxy may send one.
_AsosItem = msgspec.defstruct(
    "AsosItem", [(name, str | float | None, "") for name in _FIELDS], frozen=True, gc=False
)
_ENVELOPE: Final = envelope.Envelope[_AsosItem]  # type: ignore[valid-type]


@dataclass(frozen=True, slots=True)
class HourPage:
    """One page of an answer.

    Attributes:
        rows: KMA's fields as text (`contract.kma_fields` names them), in the order received.
        total: Rows of the whole answer, over all pages.
        left_out: `tm` of each row whose time cannot be read, beside others that can.
    """

    rows: pl.DataFrame
    total: int
    left_out: tuple[str, ...] = ()

    @property
    def received(self) -> int:
        """Rows of the page as they came."""
        return self.rows.height + len(self.left_out)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request (without the key) and its answer."""

    query: dict[str, str]
    reply: Reply[HourPage]


def parse(body: bytes, status: int) -> HourPage:
    """HourPage from an answer in JSON or XML.

    Args:
        body: As received.
        status: HTTP status.

    Returns:
        The rows; none where KMA says that it has no data (code 03, or empty items).

    Raises:
        Transient, Truncated: Worth a repeat.
        QuotaSpent, NotPublished, Refused, ProtocolFault: Not worth one.
    """
    content = envelope.sort_out(body, status, _TITLE)
    return _from_json(content) if content.startswith(b"{") else _from_xml(content)


def query(station: int, start: datetime, end: datetime, page: int = 1) -> dict[str, str]:
    """Query fields for the hours `start` to `end`, both included (aware times)."""
    first, last = start.astimezone(KST), end.astimezone(KST)
    return {
        "numOfRows": str(PAGE_ROWS),
        "pageNo": str(page),
        "dataType": "JSON",
        "dataCd": "ASOS",
        "dateCd": "HR",
        "startDt": f"{first:%Y%m%d}",
        "startHh": f"{first:%H}",
        "endDt": f"{last:%Y%m%d}",
        "endHh": f"{last:%H}",
        "stnIds": str(station),
    }


def hours_asked(asked: Mapping[str, str]) -> range:
    """Hours since 1970 (UTC) that a query asked for."""
    first, last = (
        datetime.strptime(asked[f"{end}Dt"] + asked[f"{end}Hh"], "%Y%m%d%H").replace(tzinfo=KST)
        for end in ("start", "end")
    )
    return range(int(first.timestamp()) // 3600, int(last.timestamp()) // 3600 + 1)


def fetch(service: Service, station: int, start: datetime, end: datetime) -> Iterator[Exchange]:
    """Ask for the hours `start` to `end`, page by page.

    Raises:
        ProtocolFault: A page is empty before the announced total is reached, or rows of another
            station came.
    """
    seen, number = 0, 1
    while True:
        asked = query(station, start, end, number)
        reply = service.ask(asked, parse)
        page = reply.value
        _check_station(page, station)
        yield Exchange(asked, reply)
        seen += page.received
        if seen >= page.total:
            return
        if page.received == 0:
            raise ProtocolFault(f"{_TITLE}: page {number} is empty, {page.total - seen} rows lack")
        number += 1


def _check_station(page: HourPage, station: int) -> None:
    others = set(page.rows["stnId"].unique()) - {str(station), ""}
    if others:
        raise ProtocolFault(f"{_TITLE}: asked for station {station}, got {min(others)[:10]!r}")


def _from_json(content: bytes) -> HourPage:
    response = envelope.decode_json(content, _ENVELOPE, _TITLE).response
    if not envelope.check(response.header, _TITLE):
        return HourPage(_frame([]), 0)
    if response.body is None:
        raise ProtocolFault(f"{_TITLE}: code 00 without a body")
    rows = response.body.rows(_TITLE)
    return _page(rows, max(_count(response.body.totalCount), len(rows)))


def _from_xml(content: bytes) -> HourPage:
    root = envelope.decode_xml(content, _TITLE)
    # The official guide prints <response> twice; `iter` finds the fields at either depth.
    codes = [(node.text or "").strip() for node in root.iter("resultCode")]
    messages = [(node.text or "").strip() for node in root.iter("resultMsg")]
    if not codes or not codes[0]:
        raise ProtocolFault(f"{_TITLE}: XML without a result code")
    if not envelope.check(envelope.Header(codes[0], messages[0] if messages else ""), _TITLE):
        return HourPage(_frame([]), 0)
    rows = [
        _AsosItem(**{field.tag: field.text or "" for field in item if field.tag in _FIELDS})
        for item in root.iter("item")
    ]
    totals = [(node.text or "").strip() for node in root.iter("totalCount")]
    return _page(rows, max(_count(totals[0] if totals else 0), len(rows)))


def _count(value: int | str) -> int:
    """Rows announced; 0 where that cannot be read, so that only the rows at hand count."""
    text = str(value).strip()
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _page(rows: list[Any], total: int) -> HourPage:
    """A page without the rows that cannot be placed.

    Raises:
        ProtocolFault: None can be placed.
    """
    frame = _frame(rows)
    try:
        read_time(frame[TIME_FIELD])
    except BadData as fault:
        placed = is_full_hour(frame[TIME_FIELD])
        if not placed.any():
            raise ProtocolFault(f"{_TITLE}: {fault}") from None
        left_out = tuple(map(envelope.clean, frame.filter(~placed)[TIME_FIELD]))
        return HourPage(frame.filter(placed), total, left_out)
    return HourPage(frame, total)


def _frame(rows: list[Any]) -> pl.DataFrame:
    columns = {name: list(map(attrgetter(name), rows)) for name in _FIELDS}
    types = dict.fromkeys(_FIELDS, pl.String)
    try:
        frame = pl.DataFrame(columns, schema=types, strict=True)
    except TypeError:
        texts = {name: list(map(_text, values)) for name, values in columns.items()}
        frame = pl.DataFrame(texts, schema=types)
    return frame.fill_null("")


def _text(value: str | float | None) -> str:
    return "" if value is None else str(value)
