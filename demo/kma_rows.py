"""Rows of KMA's hourly service, encoded as KMA does: field order, text, blanks, QC flags."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.stations import stations

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import numpy as np

FIELDS: Final = (
    *("tm", "rnum", "stnId", "stnNm", "ta", "taQcflg", "rn", "rnQcflg", "ws", "wsQcflg"),
    *("wd", "wdQcflg", "hm", "hmQcflg", "pv", "td", "pa", "paQcflg", "ps", "psQcflg"),
    *("ss", "ssQcflg", "icsr", "dsnw", "hr3Fhsc", "dc10Tca", "dc10LmcsCa", "clfmAbbrCd"),
    *("lcsCh", "vs", "gndSttCd", "dmstMtphNo", "ts", "tsQcflg", "m005Te", "m01Te", "m02Te"),
    "m03Te",
)
"""Every field of an item, in the order of real answers."""

_DECIMALS: Final = dict.fromkeys(("ta", "rn", "ws", "pv", "td", "pa", "ps", "ss", "ts"), 1) | {
    "icsr": 2
}
_WHOLE: Final = ("wd", "hm", "dc10Tca", "vs")
_CACHED_YEARS: Final = 16


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows of one station and year.

    Attributes:
        times: Labels, naive KST, ascending.
        heads: Text of each item up to its row number, which depends on the request.
        tails: Text after it.
    """

    times: np.ndarray
    heads: list[str]
    tails: list[str]


class Rows:
    """A frame in KMA's names, encoded station by station and year by year when asked for.

    Args:
        frame: `station`, `tm` (naive KST) and fields in KMA's names, as `demo.climate.generate`
            gives them; a QC column (`taQcflg`) rules where present.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        parts = frame.sort("station", "tm").partition_by("station", as_dict=True)
        self._frames = {int(key[0]): part for key, part in parts.items()}
        self.encoded = lru_cache(maxsize=_CACHED_YEARS)(self._encode)

    @property
    def stations(self) -> tuple[int, ...]:
        """Stations that have rows."""
        return tuple(self._frames)

    def between(self, station: int, start: datetime, end: datetime) -> pl.DataFrame:
        """Rows of a station with start <= tm <= end, unencoded."""
        found = self._frames.get(station)
        if found is None:
            return pl.DataFrame(schema={"tm": pl.Datetime("us")})
        return found.filter(pl.col("tm").is_between(start, end))

    def _encode(self, station: int, year: int, *, xml: bool) -> Encoded:
        whole = self._frames[station]
        near = (pl.col("tm").dt.year() - year).abs() <= 1
        texts = _texts(station, whole.filter(near)).filter(pl.col("tm").str.starts_with(str(year)))
        times = whole.filter(pl.col("tm").dt.year() == year)["tm"]
        cut = FIELDS.index("rnum")
        head, tail = (_xml if xml else _json)(FIELDS[:cut], FIELDS[cut + 1 :])
        return Encoded(
            times.to_numpy(),
            texts.select(pl.concat_str(head)).to_series().to_list(),
            texts.select(pl.concat_str(tail)).to_series().to_list(),
        )


def _json(before: Iterable[str], after: Iterable[str]) -> tuple[list[pl.Expr], list[pl.Expr]]:
    head = [pl.lit("{")]
    for name in before:
        head += [pl.lit(f'"{name}":"'), pl.col(name), pl.lit('",')]
    tail = [pl.lit('"')]
    for name in after:
        tail += [pl.lit(f',"{name}":"'), pl.col(name), pl.lit('"')]
    return [*head, pl.lit('"rnum":"')], [*tail, pl.lit("}")]


def _xml(before: Iterable[str], after: Iterable[str]) -> tuple[list[pl.Expr], list[pl.Expr]]:
    head = [pl.lit("<item>")]
    for name in before:
        head += [pl.lit(f"<{name}>"), pl.col(name), pl.lit(f"</{name}>")]
    tail = [pl.lit("</rnum>")]
    for name in after:
        tail += [pl.lit(f"<{name}>"), pl.col(name), pl.lit(f"</{name}>")]
    return [*head, pl.lit("<rnum>")], [*tail, pl.lit("</item>")]


def _texts(station: int, frame: pl.DataFrame) -> pl.DataFrame:
    """Every field as KMA's text; blank = no value."""
    known = stations().get(station)
    texts = {
        "stnId": pl.lit(str(station)),
        "stnNm": pl.lit(known.name_ko if known else ""),
        "tm": pl.col("tm").dt.strftime("%Y-%m-%d %H:%M"),
    }
    for name, decimals in _DECIMALS.items():
        if name in frame.columns:
            text = pl.col(name).cast(pl.Float64).round(decimals).cast(pl.String)
            texts[name] = text.replace("-0.0", "0.0").fill_null("")
    for name in _WHOLE:
        if name in frame.columns:
            texts[name] = pl.col(name).round(0).cast(pl.Int64).cast(pl.String).fill_null("")
    flagged = frame.with_columns(_rain_flag().alias("_rain"))
    for name in FIELDS:
        value = name.removesuffix("Qcflg")
        if name == value:
            texts.setdefault(name, pl.lit(""))
        elif name in frame.columns:
            texts[name] = pl.col(name)
        elif value == "rn":
            texts[name] = pl.col("_rain")
        elif value in frame.columns:
            texts[name] = pl.when(pl.col(value).is_null()).then(pl.lit("9")).otherwise(pl.lit(""))
        else:
            texts[name] = pl.lit("9")
    return flagged.select(**texts)


def _rain_flag() -> pl.Expr:
    """9 on the hours of a wet day without an amount of their own, once rain has begun.

    The day runs from 01 h to the next 00 h. From November to March an amount is the sum of three
    hours, and the day's total is known up to two hours before it is reported.
    """
    day = (pl.col("tm") - pl.duration(hours=1)).dt.date()
    winter = (pl.col("tm") - pl.duration(hours=1)).dt.month().is_in([11, 12, 1, 2, 3])
    amount = pl.col("rn").is_not_null()
    soon = amount | (winter & (amount.shift(-1) | amount.shift(-2)).fill_null(value=False))
    begun = soon.cum_max().over(day)
    return pl.when(begun & ~amount).then(pl.lit("9")).otherwise(pl.lit(""))
