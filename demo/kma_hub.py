"""Stand-in for the API hub's kma_sfctm2.php and kma_sfctm3.php: fixed columns, near real time."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from demo.kma_answer import Answer, kst

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from demo.kma_faults import Faults
    from demo.kma_rows import Rows

_LONGEST: Final = timedelta(days=31)
_WIDTHS: Final = (
    *(("TM", 12), ("STN", 3), ("WD", 3), ("WS", 4), ("GST", 3), ("GST", 4), ("GST", 4)),
    *(("PA", 6), ("PS", 6), ("PT", 2), ("PR", 5), ("TA", 5), ("TD", 5), ("HM", 5), ("PV", 5)),
    *(("RN", 6), ("RN", 6), ("RN", 6), ("RN", 6), ("SD", 6), ("SD", 6), ("SD", 6)),
    *(("WC", 2), ("WP", 2), ("WW", -22), ("CA", 3), ("CA", 3), ("CH", 4), ("CT", -8)),
    *(("CT", 3), ("CT", 3), ("CT", 3), ("VS", 5), ("SS", 4), ("SI", 5), ("ST", 2)),
    *(("TS", 5), ("TE", 5), ("TE", 5), ("TE", 5), ("TE", 5), ("ST", 3), ("WH", 4)),
    *(("BF", 2), ("IR", 2), ("IX", 2)),
)
_SHORT: Final = (
    "# YYMMDDHHMI STN  WD   WS GST  GST  GST     PA     PS PT    PR    TA    TD    HM    PV"
    "     RN     RN     RN     RN     SD     SD     SD WC WP WW                      CA  CA"
    "   CH CT        CT  CT  CT    VS   SS    SI ST    TS    TE    TE    TE    TE  ST   WH"
    " BF IR IX"
)
_UNITS: Final = (
    "#        KST  ID  16  m/s  WD   WS   TM    hPa    hPa  -   hPa     C     C     %   hPa"
    "     mm    DAY    JUN    INT    HR3    DAY    TOT -- -- ---------------------- TOT MID"
    "  MIN -------- TOP MID LOW                  GD     C     5    10    20    30 SEA    m"
    " --  -  -"
)


class HubService:
    """Hourly observations up to the running hour.

    Args:
        rows: What there is.
        single: kma_sfctm2 (one hour, `tm`) instead of kma_sfctm3 (a period, `tm1` to `tm2`).
    """

    def __init__(self, rows: Rows, *, single: bool) -> None:
        self._rows, self._single = rows, single

    def answer(self, query: dict[str, str], now: datetime, _faults: Faults) -> Answer:
        """Answer a request as the hub would at the moment `now`."""
        try:
            start, end = self._period(query, kst(now))
            asked = [int(part) for part in query.get("stn", "0").split(":")]
        except ValueError:
            return refusal(403, "요청 변수가 올바르지 않습니다.")
        if end - start > _LONGEST:
            return refusal(403, "조회 기간은 31일 이내입니다.")
        stations = self._rows.stations if 0 in asked else asked
        end = min(end, kst(now))
        lines = [
            (row["tm"], number, _line(number, row))
            for number in stations
            for row in _with_day(self._rows, number, start, end).iter_rows(named=True)
        ]
        body = "\n".join((_ruler(), _SHORT, _UNITS, *(line for _, _, line in sorted(lines))))
        return Answer(200, "text/plain;charset=EUC-KR", f"#START7777\n{body}\n#7777END\n".encode())

    def _period(self, query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
        if self._single:
            moment = _moment(query["tm"]) if query.get("tm") else now.replace(minute=0, second=0)
            return moment, moment
        if not (query.get("tm1") and query.get("tm2")):
            raise ValueError("tm1, tm2")
        return _moment(query["tm1"]), _moment(query["tm2"])


def _with_day(rows: Rows, station: int, start: datetime, end: datetime) -> pl.DataFrame:
    """Rows of the period with the rain since 01 h as `day`, null until the day's first amount."""
    near = rows.between(station, start - timedelta(days=1), end)
    if "rn" in near.columns:
        day = (pl.col("tm") - pl.duration(hours=1)).dt.date()
        amount = pl.col("rn").fill_null(0.0).cum_sum().over(day)
        begun = pl.col("rn").is_not_null().cum_max().over(day)
        near = near.with_columns(pl.when(begun).then(amount).alias("day"))
    return near.filter(pl.col("tm") >= start)


def refusal(status: int, message: str) -> Answer:
    """The hub's error: pretty-printed JSON that repeats the HTTP status."""
    text = json.dumps(
        {"result": {"status": status, "message": message}},
        indent=2,
        separators=(",", " : "),
        ensure_ascii=False,
    )
    return Answer(status, "application/json;charset=UTF-8", text.encode())


def _moment(text: str) -> datetime:
    return datetime.strptime(f"{text:0<12}", "%Y%m%d%H%M")  # noqa: DTZ007 - KMA's labels are KST


def _ruler() -> str:
    return "#" + "".join(str(column % 10) for column in range(2, 255))


def _line(station: int, row: Mapping[str, Any]) -> str:
    """One row, 266 characters: fields of fixed width, sentinels where nothing was measured."""

    def number(name: str, decimals: int, missing: str = "-9.0") -> str:
        value = row.get(name)
        return missing if value is None else f"{value:.{decimals}f}"

    wind = row.get("wd")
    cold = "-99.0"  # -9.0 would be a temperature
    texts = [f"{row['tm']:%Y%m%d%H%M}", str(station)]
    texts += ["-9" if wind is None else f"{wind / 10:.0f}", number("ws", 1), "-9", "-9.0", "-9"]
    texts += [number("pa", 1), number("ps", 1), "-9", "-9.0"]
    texts += [number("ta", 1, cold), number("td", 1, cold), number("hm", 1), number("pv", 1)]
    texts += [
        number("rn", 1),
        number("day", 1),
        number("day", 1),
        "-9.0",
        "-9.0",
        "-9.0",
        "-9.0",
        "-9",
        "-9",
        "-",
    ]
    texts += [number("dc10Tca", 0, "-9"), "-9", "-9", "-", "-9", "-9", "-9", number("vs", 0, "-9")]
    texts += [number("ss", 1), number("icsr", 2, "-9.00"), "-9", number("ts", 1, cold)]
    texts += ["-99.0"] * 4 + ["-9", "-9.0", "-9", "3", "2"]
    return " ".join(
        text.ljust(-width) if width < 0 else text.rjust(width)
        for text, (_, width) in zip(texts, _WIDTHS, strict=True)
    )
