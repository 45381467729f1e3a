"""KMA's API hub, hourly surface observations (kma_sfctm2/kma_sfctm3): parser and client.

Near real time, so the source of `trainer relay`. Rules, numbered as the tests name them:

    H1  The text is UTF-8 or else EUC-KR; an answer without `#START7777` is an error, one that has
        data lines but no `#7777END` is cut off.
    H2  Every line that does not begin with `#` is a row of 46 fields (45 in old answers, which
        lack RN_JUN), one row out for each row in.
    H3  Missing is -9 or below; for temperatures and dew point only -50 or below, since -9.0 is
        weather.
    H4  Wind comes in tens of degrees.
    H5  Rain: -9 with a known daily sum is an hour of a wet day without an amount of its own (the
        ASOS service flags it 9); -9 without one has no verdict (rule K6 of `contract.kma_fields`).
    H6  A cell that is no finite number is NaN, which `contract.kma_fields` drops (flag SOURCE, K3).
        A row whose time or station cannot be read, or whose fields are not as many as in H2,
        cannot be placed: it is left out and told. Where no row can be placed, the answer is an
        error.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import polars as pl

from edge_agent.contract.errors import ProtocolFault, Refused
from edge_agent.contract.hours import KST
from edge_agent.contract.kma_fields import QC_FIELDS, TIME_FIELD
from edge_agent.contract.kma_time import YEARS
from trainer.ingest.sources.envelope import clean
from trainer.ingest.sources.http import QuotaSpent, Transient, Truncated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from edge_agent.contract.errors import FarmError
    from trainer.ingest.sources.http import Reply, Service

STATION_FIELD: Final = "stnId"
SPAN_DAYS: Final = 30
"""Longest period of one request; KMA allows 31 days."""

_TITLE: Final = "API hub"
_START: Final = "#START7777"
_PATH: Final = "/kma_sfctm3.php"
_STATIONS_AT_ONCE: Final = 25
_COLUMNS: Final = 46
_RN_JUN: Final = 17
_FIELDS: Final = {
    "wd": 2,
    "ws": 3,
    "pa": 7,
    "ps": 8,
    "ta": 11,
    "td": 12,
    "hm": 13,
    "pv": 14,
    "rn": 15,
    "dc10Tca": 25,
    "vs": 32,
    "ss": 33,
    "icsr": 34,
    "ts": 36,
}
_RN_DAY: Final = 16
_MISSING: Final = -9.0
_MISSING_CELSIUS: Final = -50.0
_CELSIUS: Final = ("ta", "td", "ts")


class _Result(msgspec.Struct, frozen=True):
    status: int | str = 0
    message: str = ""


class _Fault(msgspec.Struct, frozen=True):
    result: _Result


Window: TypeAlias = "tuple[Sequence[int], datetime, datetime]"
"""Stations, first and last hour of a request."""


@dataclass(frozen=True, slots=True)
class HubAnswer:
    """Rows of an answer.

    Attributes:
        rows: `tm` (naive Datetime, KST), `stnId` (Int64), KMA's fields as the ASOS service names
            them (Float64, null = missing, NaN = unreadable) and `rnQcflg` ("9" or null), in the
            order received: what `kma_fields.tidy` reads, station by station.
        left_out: Rows that cannot be placed (H6), cleaned.
    """

    rows: pl.DataFrame
    left_out: tuple[str, ...] = ()


def parse(body: bytes, status: int) -> pl.DataFrame:
    """Rows of an answer; see `read`."""
    return read(body, status).rows


def read(body: bytes, status: int) -> HubAnswer:
    """Rows from an answer; none where the hub has none.

    Args:
        body: As received.
        status: HTTP status.

    Raises:
        Transient, Truncated: Worth a repeat.
        QuotaSpent, Refused, ProtocolFault: Not worth one.
    """
    lines = lines_of(body, status)
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if not any(line.startswith("#7777END") for line in lines) and (
        rows or not (_headed(lines) and lines[-1].endswith("\n"))
    ):
        raise Truncated(f"{_TITLE}: the answer breaks off after {len(rows)} rows")
    return _read_rows(rows)


def lines_of(body: bytes, status: int) -> list[str]:
    """Lines of an answer from its start line on, with their line ends (H1).

    Args:
        body: As received.
        status: HTTP status.

    Raises:
        Transient, Truncated: Worth a repeat.
        QuotaSpent, Refused, ProtocolFault: Not worth one.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("cp949", "replace")
    if _START not in text:
        raise _fault(text, status)
    return text[text.index(_START) :].splitlines(keepends=True)


def of_stations(answer: HubAnswer, stations: Sequence[int]) -> HubAnswer:
    """The rows of these stations; the others are left out."""
    own = pl.col(STATION_FIELD).is_in(list(stations))
    others = answer.rows.filter(~own)
    if not others.height:
        return answer
    numbers = ", ".join(map(str, sorted(others[STATION_FIELD].unique())))
    told = f"{others.height} rows of stations that were not asked for: {numbers}"
    return HubAnswer(answer.rows.filter(own), (*answer.left_out, told))


def query(stations: Sequence[int], start: datetime, end: datetime) -> dict[str, str]:
    """Query fields for the hours `start` to `end`, both included (aware times)."""
    return {
        "tm1": f"{start.astimezone(KST):%Y%m%d%H%M}",
        "tm2": f"{end.astimezone(KST):%Y%m%d%H%M}",
        "stn": ":".join(map(str, stations)),
        "help": "0",
    }


def windows(stations: Sequence[int], start: datetime, end: datetime) -> Iterator[Window]:
    """The requests that cover the hours `start` to `end` of stations."""
    for at in range(0, len(stations), _STATIONS_AT_ONCE):
        first = start
        while first <= end:
            last = min(end, first + timedelta(days=SPAN_DAYS) - timedelta(hours=1))
            yield stations[at : at + _STATIONS_AT_ONCE], first, last
            first = last + timedelta(hours=1)


def fetch(
    service: Service, stations: Sequence[int], start: datetime, end: datetime
) -> Iterator[tuple[dict[str, str], Reply[HubAnswer]]]:
    """Ask for the hours `start` to `end` of stations, a request for 25 stations and 30 days.

    Yields:
        The query (without the key) and its reply, which may hold other stations as well.

    Raises:
        ProtocolFault: Rows of stations that were not asked for came, and no others.
    """
    for some, first, last in windows(stations, start, end):
        asked = query(some, first, last)
        reply = service.ask(asked, read, path=_PATH)
        came = set(reply.value.rows[STATION_FIELD].unique())
        others = came - set(some)
        if others and others == came:
            raise ProtocolFault(f"{_TITLE}: got rows of station {min(others)}, not asked for")
        yield asked, reply


def _headed(lines: list[str]) -> bool:
    """True where the whole header came: an answer without rows may lack the end line."""
    return any(re.match(r"#\s+KST\b", line) for line in lines)


def _read_rows(rows: list[list[str]]) -> HubAnswer:
    """Rule H6 for rows of fields.

    Raises:
        ProtocolFault: No row can be placed.
    """
    whole = [_with_rn_jun(row) for row in rows if len(row) in {_COLUMNS - 1, _COLUMNS}]
    frame, texts = _frame(whole)
    placed = pl.all_horizontal(
        pl.col(TIME_FIELD).dt.year().is_between(*YEARS).fill_null(value=False),
        (pl.col(TIME_FIELD).dt.minute() == 0).fill_null(value=False),
        pl.col(STATION_FIELD).is_not_null(),
    )
    here = frame.select(placed).to_series()
    left_out = [
        f"{len(row)} fields instead of {_COLUMNS}: {clean(' '.join(row))}"
        for row in rows
        if len(row) not in {_COLUMNS - 1, _COLUMNS}
    ]
    left_out += [clean(" ".join(row)) for row in texts.filter(~here).iter_rows()]
    if left_out and not here.any():
        raise ProtocolFault(f"{_TITLE}: unreadable row: {left_out[0]}")
    return HubAnswer(frame.filter(here), tuple(left_out))


def _with_rn_jun(row: list[str]) -> list[str]:
    """A row with all 46 fields."""
    return row if len(row) == _COLUMNS else [*row[:_RN_JUN], "-9.0", *row[_RN_JUN:]]


def _frame(rows: list[list[str]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of 46 fields as numbers, and as they came."""
    texts = pl.DataFrame(
        {
            TIME_FIELD: [row[0] for row in rows],
            STATION_FIELD: [row[1] for row in rows],
            **{name: [row[at] for row in rows] for name, at in _FIELDS.items()},
            "_day": [row[_RN_DAY] for row in rows],
        },
        schema=dict.fromkeys((TIME_FIELD, STATION_FIELD, *_FIELDS, "_day"), pl.String),
    )
    numbers = (pl.col(name).cast(pl.Float64, strict=False) for name in (*_FIELDS, "_day"))
    frame = texts.select(
        pl.col(TIME_FIELD).str.to_datetime("%Y%m%d%H%M", time_unit="us", strict=False),
        pl.col(STATION_FIELD).cast(pl.Int64, strict=False),
        # NaN, since a null could not be told from a missing value later.
        *(pl.when(n.is_finite()).then(n).otherwise(math.nan).name.keep() for n in numbers),
    )
    given = {
        name: pl.col(name).is_nan()
        | (pl.col(name) > (_MISSING_CELSIUS if name in _CELSIUS else _MISSING))
        for name in (*_FIELDS, "_day")
    }
    frame = frame.select(
        TIME_FIELD,
        STATION_FIELD,
        *(pl.when(given[name]).then(pl.col(name) * _scale(name)).alias(name) for name in _FIELDS),
        pl.when(~given["rn"] & given["_day"]).then(pl.lit("9")).alias(QC_FIELDS["rn"]),
    )
    return frame, texts


def _scale(name: str) -> float:
    return 10.0 if name == "wd" else 1.0


def _fault(text: str, status: int) -> FarmError:
    """The error that an answer without data stands for."""
    code, message, cut_off = str(status), clean(text), _START.startswith(text.strip())
    try:
        result = msgspec.json.decode(text.encode(), type=_Fault).result
        code, message = str(result.status), clean(result.message)
    except msgspec.DecodeError as fault:
        broken = not isinstance(fault, msgspec.ValidationError)
        cut_off |= broken and text.lstrip().startswith("{")
    error: FarmError = ProtocolFault(
        f"{_TITLE}: unexpected answer (HTTP {status}): {message}; check hub_url in trainer.toml"
    )
    if "한도" in message or "quota" in message.lower():
        error = QuotaSpent(f"{_TITLE}: the day's quota of the key is used up ({message})")
    elif code == "401":
        error = Refused(f"{_TITLE}: the key is missing or wrong: check KMA_HUB_KEY ({message})")
    elif code == "403" and "활용신청" in message:
        error = Refused(
            f"{_TITLE}: the key lacks this service: apply for it (활용신청) on apihub.kma.go.kr"
        )
    elif code in {"408", "429"} or code.startswith("5"):
        error = Transient(f"{_TITLE}: fault {code} on KMA's side ({message})")
    elif cut_off:
        error = Truncated(f"{_TITLE}: an empty or cut off answer (HTTP {status})")
    return error
