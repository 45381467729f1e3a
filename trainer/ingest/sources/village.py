"""KMA's village forecast (VilageFcstInfoService_2.0): parser and client.

getVilageFcst is forecast guidance for a 5 km cell, issued eight times a day and forgotten by KMA
after two; getUltraSrtNcst is what the cell has now. Code 10 with 최근 and code 03
both mean that there is nothing (any more, or yet). What the values mean: `sources.village_table`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import polars as pl

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import ProtocolFault
from edge_agent.contract.hours import KST
from edge_agent.contract.kma_time import YEARS
from trainer.ingest.sources import envelope

if TYPE_CHECKING:
    from datetime import datetime

    from trainer.ingest.sources.http import Reply, Service

_TITLE: Final = "village forecast service"
_ROWS: Final = 1000
_NOTHING: Final = "최근"
_LONG: Final = ("issue", "valid", "category", "value")


class _Item(msgspec.Struct, frozen=True, gc=False):
    baseDate: str | int  # noqa: N815 - KMA's field names
    baseTime: str | int  # noqa: N815
    category: str
    nx: int | str
    ny: int | str
    fcstDate: str | int = ""  # noqa: N815
    fcstTime: str | int = ""  # noqa: N815
    fcstValue: str | float | None = None  # noqa: N815
    obsrValue: str | float | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class ForecastPage:
    """One page: rows of (issue, valid, category, value) as naive KST times and text."""

    rows: pl.DataFrame
    cells: frozenset[Cell]
    total: int


def parse(body: bytes, status: int) -> ForecastPage:
    """ForecastPage from an answer of either operation, in JSON or XML.

    Args:
        body: As received.
        status: HTTP status.

    Returns:
        The rows; none where KMA has none. A nowcast is valid at its issue.

    Raises:
        Transient, Truncated: Worth a repeat.
        QuotaSpent, Refused, ProtocolFault: Not worth one.
    """
    content = envelope.sort_out(body, status, _TITLE)
    if content.startswith(b"{"):
        response = envelope.decode_json(content, envelope.Envelope[_Item], _TITLE).response
        header, page = response.header, response.body
        items, total = (page.rows(_TITLE), page.totalCount) if page else ([], 0)
    else:
        root = envelope.decode_xml(content, _TITLE)
        header = envelope.Header(
            root.findtext(".//resultCode") or "", root.findtext(".//resultMsg") or ""
        )
        items = [_from_xml({field.tag: field.text or "" for field in i}) for i in root.iter("item")]
        total = root.findtext(".//totalCount") or "0"
    if not _has_rows(header):
        return ForecastPage(_frame([]), frozenset(), 0)
    rows = [_row(item) for item in items]
    cells = frozenset(
        Cell(envelope.number(item.nx, _TITLE), envelope.number(item.ny, _TITLE)) for item in items
    )
    return ForecastPage(_frame(rows), cells, max(envelope.number(total, _TITLE), len(rows)))


def fetch(
    service: Service, operation: str, cell: Cell, issue: datetime
) -> list[Reply[ForecastPage]]:
    """Ask for one issue of a cell, page by page.

    Args:
        service: The service at `[kma] village_url`.
        operation: "getVilageFcst" or "getUltraSrtNcst".
        cell: Where.
        issue: Base time (aware).

    Raises:
        ProtocolFault: A page is empty before the announced total, or of another cell.
    """
    replies: list[Reply[ForecastPage]] = []
    seen = 0
    while True:
        asked = query(cell, issue, len(replies) + 1)
        reply = service.ask(asked, parse, path=f"/{operation}")
        if reply.value.cells - {cell}:
            raise ProtocolFault(f"{_TITLE}: asked for cell {cell}, got {min(reply.value.cells)}")
        replies.append(reply)
        seen += reply.value.rows.height
        if seen >= reply.value.total:
            return replies
        if reply.value.rows.height == 0:
            raise ProtocolFault(f"{_TITLE}: page {len(replies)} is empty before the last row")


def query(cell: Cell, issue: datetime, page: int = 1) -> dict[str, str]:
    """Query fields of one page."""
    local = issue.astimezone(KST)
    return {
        "numOfRows": str(_ROWS),
        "pageNo": str(page),
        "dataType": "JSON",
        "base_date": f"{local:%Y%m%d}",
        "base_time": f"{local:%H%M}",
        "nx": str(cell.nx),
        "ny": str(cell.ny),
    }


def _has_rows(header: envelope.Header) -> bool:
    if str(header.resultCode).strip() == "10" and _NOTHING in header.resultMsg:
        return False
    return envelope.check(header, _TITLE)


def _from_xml(fields: dict[str, str]) -> _Item:
    try:
        return msgspec.convert(fields, _Item)
    except msgspec.ValidationError as fault:
        raise ProtocolFault(
            f"{_TITLE}: unexpected item: {envelope.clean(in_words(fault))}"
        ) from None


def _row(item: _Item) -> tuple[str, str, str, str]:
    issue = f"{item.baseDate}{item.baseTime:0>4}"
    value = item.fcstValue if item.obsrValue is None else item.obsrValue
    valid = issue if item.obsrValue is not None else f"{item.fcstDate}{item.fcstTime:0>4}"
    if value is None:
        raise ProtocolFault(f"{_TITLE}: an item of {issue} without a value")
    return issue, valid, item.category, str(value)


def _frame(rows: list[tuple[str, str, str, str]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=dict.fromkeys(_LONG, pl.String), orient="row")
    times = [
        pl.col(name).str.to_datetime("%Y%m%d%H%M", time_unit="us", strict=False)
        for name in ("issue", "valid")
    ]
    parsed = frame.with_columns(times)
    sane = pl.all_horizontal(
        pl.col(name).dt.year().is_between(*YEARS).fill_null(value=False)
        for name in ("issue", "valid")
    )
    wrong = frame.filter(~parsed.select(sane).to_series())
    if wrong.height:
        raise ProtocolFault(
            f"{_TITLE}: unreadable time in {envelope.clean(' '.join(wrong.row(0)))}"
        )
    return parsed
