"""KMA's official warnings (기상특보), service WthrWrnInfoService, operation getPwnCd: its parser.

Rules, numbered as the tests name them:

    W1  An answer holds the bulletins of one day in Korea, a row for each zone and kind. "No data"
        (code 03) is an answer: no bulletin was issued on that day.
    W2  Each row is read, or the whole answer is refused and says which field is wrong: a row that
        is left out could be the end of a warning.
    W3  Times are those of Korea, twelve digits; 0 = none.
    W4  Numbers of kinds and levels that are not known are kept. Texts are not relied on: they may
        hold U+FFFD.
    W5  Fewer rows than announced are an error: pages of this service lose and repeat rows, so all
        come on one.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import polars as pl
from msgspec import Meta

from edge_agent.contract.errors import ProtocolFault
from edge_agent.contract.hours import KST
from edge_agent.contract.schema import TIME_DTYPE
from trainer.ingest.sources import envelope
from trainer.ingest.sources.http import Truncated

if TYPE_CHECKING:
    from datetime import date

OPERATION: Final = "/getPwnCd"
ZONE: Final = "zone"
KIND: Final = "kind"
"""KMA's number of the kind: 1 wind, 2 rain, ..."""
LEVEL: Final = "level"
"""KMA's number of the level: 0 advisory (주의보), 1 warning (경보), 2 severe warning (중대경보)."""
COMMAND: Final = "command"
"""What a bulletin does: 1 issue, 2 lift, 3 extend, 6 correct, 7 change, 8 lift by a change."""
VOID: Final = "void"
ANNOUNCED: Final = "announced_at"
NUMBER: Final = "number"
"""Number of the bulletin, counted anew each month."""
START: Final = "start"
END: Final = "end"
BULLETINS: Final = pl.Schema(
    {
        ZONE: pl.String(),
        KIND: pl.Int64(),
        LEVEL: pl.Int64(),
        COMMAND: pl.String(),
        VOID: pl.Boolean(),
        ANNOUNCED: TIME_DTYPE,
        NUMBER: pl.Int64(),
        START: TIME_DTYPE,
        END: TIME_DTYPE,
    }
)
"""Columns of bulletins; times are UTC, null = none."""

_TITLE: Final = "KMA warnings"
_ROWS: Final = 10_000
_DIGITS: Final = 12

_Moment = Annotated[int, Meta(ge=0, le=999_999_999_999)] | str


class _WarningItem(msgspec.Struct, frozen=True, gc=False):
    areaCode: Annotated[str, Meta(pattern=r"^[A-Z][0-9]{7}$")]  # noqa: N815 - KMA's field names
    command: Annotated[str, Meta(max_length=4)] | int
    tmFc: _Moment  # noqa: N815
    tmSeq: Annotated[int, Meta(ge=0, le=99_999)]  # noqa: N815
    warnVar: Annotated[int, Meta(ge=0, le=999)]  # noqa: N815
    warnStress: Annotated[int, Meta(ge=0, le=99)]  # noqa: N815
    cancel: str | int = "0"
    startTime: _Moment = 0  # noqa: N815
    endTime: _Moment = 0  # noqa: N815


def parse(body: bytes, status: int) -> pl.DataFrame:
    """Bulletins of an answer (W1 to W5).

    Args:
        body: As received.
        status: HTTP status.

    Returns:
        Columns of `BULLETINS`, in the order received.

    Raises:
        Transient, Truncated: Worth a repeat.
        QuotaSpent, Refused, ProtocolFault: Not worth one.
    """
    content = envelope.sort_out(body, status, _TITLE)
    if not content.startswith(b"{"):
        root = envelope.decode_xml(content, _TITLE)
        code = root.findtext(".//resultCode") or ""
        if not envelope.check(envelope.Header(code, root.findtext(".//resultMsg") or ""), _TITLE):
            return BULLETINS.to_frame()
        raise ProtocolFault(f"{_TITLE}: XML where JSON was asked for")
    response = envelope.decode_json(content, envelope.Envelope[_WarningItem], _TITLE).response
    if not envelope.check(response.header, _TITLE) or response.body is None:
        return BULLETINS.to_frame()
    items = response.body.rows(_TITLE)
    total = envelope.number(response.body.totalCount, _TITLE)
    if total != len(items):
        raise Truncated(f"{_TITLE}: {len(items)} of {total} rows came")
    return pl.DataFrame([_row(item) for item in items], schema=BULLETINS, orient="row")


def query(day: date) -> dict[str, str]:
    """Query fields for the bulletins of one day in Korea."""
    return {
        "pageNo": "1",
        "numOfRows": str(_ROWS),
        "dataType": "JSON",
        "fromTmFc": f"{day:%Y%m%d}",
        "toTmFc": f"{day:%Y%m%d}",
    }


def _row(item: _WarningItem) -> tuple[object, ...]:
    announced = _time("tmFc", item.tmFc)
    if announced is None:
        raise ProtocolFault(f"{_TITLE}: a bulletin for {item.areaCode} without tmFc")
    return (
        item.areaCode,
        item.warnVar,
        item.warnStress,
        str(item.command),
        str(item.cancel) == "1",
        announced,
        item.tmSeq,
        _time("startTime", item.startTime),
        _time("endTime", item.endTime),
    )


def _time(field: str, value: int | str) -> datetime | None:
    text = str(value).strip()
    if text in {"", "0"}:
        return None
    with suppress(ValueError):
        if text.isascii() and text.isdecimal() and len(text) == _DIGITS:
            return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=KST).astimezone(UTC)
    raise ProtocolFault(
        f"{_TITLE}: {field} is {envelope.clean(text)!r}, not a time such as 202609261100"
    )
