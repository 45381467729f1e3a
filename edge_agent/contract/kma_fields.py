"""KMA's short names, blanks and Korean time -> the project's observation frame. Pure.

One translation for every way KMA's hourly observations arrive (ASOS service, API hub, portal
CSV, Parquet in KMA's names). Rules, numbered as the tests name them:

    K1  `tm` is Korean time (UTC+9, no daylight saving) and labels the *end* of the hour.
    K2  QC flag 9 = missing, 1 = wrong (value dropped, flag SOURCE); blank or 0 = good. Any other
        text is an unknown verdict and treated as wrong. The flag rules even where a value stands.
    K3  A number that cannot be read or is not finite is dropped with flag SOURCE.
    K4  Rain: blank with a blank flag = dry = 0.0, unless the whole row is blank (an outage).
        Blank with flag 9 = null: KMA sets it on hours of a wet day that have no amount of their
        own.
    K5  Rain, November to March: amounts stand at 00, 03, ..., 21 h and are sums of three hours;
        they are flagged ACCUMULATED.
    K6  Rain whose QC flag is null or has no column (Parquet, hub): as K4, but in winter an hour
        is dry only when the three-hour sum that covers it is there and blank too; before an
        amount, or where the frame has no row for that sum, it is null.
    K7  Sunshine and radiation are blank at night: 0.0 where the sun is below the horizon at the
        middle of the hour, else null. (Checked on 11 station-years: no hour that this rule makes
        zero had an amount above 0.02 MJ/m2; the QC flag cannot decide, KMA sets 9 on every night
        hour.)
    K8  `vs` comes in tens of metres. `pa` is the pressure at the station, `ps` at sea level.
    K9  Rows of the same time: the last one counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract import bundles, schema
from edge_agent.contract.errors import BadData
from edge_agent.contract.hours import KOREA_OFFSET_H
from edge_agent.contract.kma_time import read_time
from edge_agent.contract.schema import TIME, Flag, flag_column
from edge_agent.contract.solar import cos_zenith_table

if TYPE_CHECKING:
    from edge_agent.contract.schema import Site

TIME_FIELD: Final = "tm"
NAMES: Final = {
    "ta": schema.AIR_TEMPERATURE,
    "hm": schema.RELATIVE_HUMIDITY,
    "ws": schema.WIND_SPEED,
    "wd": schema.WIND_FROM_DIRECTION,
    "pa": schema.STATION_PRESSURE,
    "ps": schema.SEA_LEVEL_PRESSURE,
    "td": schema.DEW_POINT,
    "pv": schema.VAPOUR_PRESSURE,
    "rn": schema.RAIN,
    "ss": schema.SUNSHINE,
    "icsr": schema.SOLAR,
    "vs": schema.VISIBILITY,
    "ts": schema.GROUND_TEMPERATURE,
    "dc10Tca": schema.CLOUD,
}
"""KMA's field -> our column."""

QC_FIELDS: Final = {
    name: f"{name}Qcflg" for name in ("ta", "rn", "ws", "wd", "hm", "pa", "ps", "ss", "ts")
}
"""KMA's field -> the field of its QC flag; the others have none."""

COLUMNS: Final = (TIME, *schema.OBSERVED, *(flag_column(name) for name in schema.OBSERVED))
"""Columns of a tidy frame, in order."""

CATEGORIES: Final = {
    "TMP": schema.AIR_TEMPERATURE,
    "REH": schema.RELATIVE_HUMIDITY,
    "WSD": schema.WIND_SPEED,
    "VEC": schema.WIND_FROM_DIRECTION,
    "UUU": "wind_east_ms",
    "VVV": "wind_north_ms",
    "PCP": schema.RAIN,
    "SNO": schema.NEW_SNOW,
    "POP": schema.RAIN_CHANCE,
    "PTY": schema.PRECIPITATION,
    "SKY": schema.SKY,
    "TMN": bundles.LOWEST,
    "TMX": bundles.HIGHEST,
    "WAV": "wave_height_m",
    "R06": "rain_6h_mm",
    "S06": "new_snow_6h_cm",
}
"""Category of a forecast -> our column. Sums are of the hour that ends at the valid hour; of six
hours in the issues before 2021-06-29, which have columns of their own."""

FINE: Final = ("", "0")
"""QC flags of good values (K2)."""

_METRES_PER_VS: Final = 10.0
_WINTER: Final = (11, 12, 1, 2, 3)
_SUM_HOURS: Final = 3
_BLANK: Final = "_blank_rain"
_UNFLAGGED: Final = "_unflagged_rain"
_GOOD, _MISSING, _SOURCE, _SUM = (
    pl.lit(flag, pl.UInt8) for flag in (Flag.GOOD, Flag.MISSING, Flag.SOURCE, Flag.ACCUMULATED)
)


def tidy(rows: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Translate hourly rows of one station.

    Args:
        rows: `tm` (text as `kma_time.read_time` takes it, or naive Datetime; KST) and any of
            the fields in `NAMES` and `QC_FIELDS`, as text or numbers, in KMA's units; blank text
            and null both mean "no value". Other columns are ignored.
        site: Where the station is, for K7.

    Returns:
        `time` (UTC), every quantity of `schema.OBSERVED` (Float64, null = no value) and a flag
        for each (UInt8); ascending, one row a time. A field that `rows` lacks is null, MISSING.

    Raises:
        BadData: `tm` is absent, unreadable or not a full hour.
    """
    if TIME_FIELD not in rows.columns:
        raise BadData("observations: no column tm; rows must be in KMA's field names")
    kst = read_time(rows[TIME_FIELD])
    frame = rows.with_columns(kst.alias(TIME_FIELD)).unique(
        TIME_FIELD, keep="last", maintain_order=True
    )
    frame = frame.sort(TIME_FIELD)
    blank_at_night = [NAMES[field] for field in ("ss", "icsr") if field in frame.columns]
    frame = _read_fields(frame).with_columns(_rain())
    frame = _night(frame, blank_at_night, site)
    return frame.select(
        (pl.col(TIME_FIELD) - pl.duration(hours=KOREA_OFFSET_H))
        .dt.replace_time_zone("UTC")
        .cast(schema.TIME_DTYPE)
        .alias(TIME),
        *(pl.col(name) for name in schema.OBSERVED),
        *(pl.col(flag_column(name)) for name in schema.OBSERVED),
    )


def _read_fields(frame: pl.DataFrame) -> pl.DataFrame:
    """Value and flag of every quantity by K2, K3, K8; blanks are null with MISSING."""
    # In steps, so that each text is read once; one expression a column would read it four times.
    texts = [field for field in NAMES if frame.schema.get(field) == pl.String]
    verdicts = [flag for flag in QC_FIELDS.values() if flag in frame.columns]
    rain_flag = QC_FIELDS["rn"]
    unflagged = pl.col(rain_flag).is_null() if rain_flag in verdicts else pl.lit(value=True)
    frame = frame.with_columns(
        unflagged.alias(_UNFLAGGED),
        *(pl.col(field).str.strip_chars() for field in texts),
        *(pl.col(flag).cast(pl.String).str.strip_chars().fill_null("") for flag in verdicts),
    )
    here = [field for field in NAMES if field in frame.columns]
    numbers = frame.select(pl.col(here).cast(pl.Float64, strict=False))
    numbers = numbers.select(pl.when(pl.col(here).is_finite()).then(pl.col(here)).name.keep())
    frame = frame.rename({field: f"{field}_given" for field in here}).hstack(numbers)
    frame = frame.with_columns(_flag(frame, field) for field in NAMES)
    scale = {"vs": _METRES_PER_VS}
    return frame.select(
        TIME_FIELD,
        _UNFLAGGED,
        _blank_rain(frame).alias(_BLANK),
        *(
            pl.when(pl.col(flag_column(name)) == Flag.GOOD)
            .then(
                (pl.col(field) if field in here else pl.lit(None, pl.Float64))
                * scale.get(field, 1.0)
            )
            .alias(name)
            for field, name in NAMES.items()
        ),
        *(flag_column(name) for name in NAMES.values()),
    )


def _flag(frame: pl.DataFrame, field: str) -> pl.Expr:
    name = flag_column(NAMES[field])
    if field not in frame.columns:
        return _MISSING.alias(name)
    verdict = _verdict(frame, field)
    return (
        pl.when(verdict == "9")
        .then(_MISSING)
        .when(_unreadable(frame, field) | ~verdict.is_in(FINE))
        .then(_SOURCE)
        .when(pl.col(field).is_null())
        .then(_MISSING)
        .otherwise(_GOOD)
        .alias(name)
    )


def _verdict(frame: pl.DataFrame, field: str) -> pl.Expr:
    column = QC_FIELDS.get(field)
    return pl.col(column) if column in frame.columns else pl.lit("")


def _unreadable(frame: pl.DataFrame, field: str) -> pl.Expr:
    given = pl.col(f"{field}_given")
    something = given.is_not_null()
    if frame.schema[f"{field}_given"] == pl.String:
        something &= given != ""
    return something & pl.col(field).is_null()


def _blank_rain(frame: pl.DataFrame) -> pl.Expr:
    if "rn" not in frame.columns:
        return pl.lit(value=False)
    fine = _verdict(frame, "rn").is_in(FINE)
    return fine & pl.col("rn").is_null() & ~_unreadable(frame, "rn")


def _rain() -> list[pl.Expr]:
    rain = pl.col(schema.RAIN)
    others = [pl.col(name).is_not_null() for name in schema.OBSERVED if name != schema.RAIN]
    blank = pl.col(_BLANK) & pl.any_horizontal(others)
    # The row of 00 h closes the day before it, so it belongs to that day's month.
    winter = (pl.col(TIME_FIELD) - pl.duration(hours=1)).dt.month().is_in(_WINTER)
    sums = winter & (pl.col(TIME_FIELD).dt.hour() % _SUM_HOURS == 0)
    # K6: the row of the sum that covers an hour stands 0, 1 or 2 rows further on.
    to_sum = (_SUM_HOURS - pl.col(TIME_FIELD).dt.hour() % _SUM_HOURS) % _SUM_HOURS
    covered = pl.lit(value=False)
    for hours in range(_SUM_HOURS):
        same = pl.col(TIME_FIELD).shift(-hours) == pl.col(TIME_FIELD) + pl.duration(hours=hours)
        covered |= (to_sum == hours) & same & blank.shift(-hours)
    dry = blank & (~pl.col(_UNFLAGGED) | ~winter | covered.fill_null(value=False))
    flag = pl.col(flag_column(schema.RAIN))
    return [
        pl.when(dry).then(0.0).otherwise(rain).alias(schema.RAIN),
        pl.when(dry)
        .then(_GOOD)
        .when(sums & rain.is_not_null())
        .then(_SUM)
        .otherwise(flag)
        .alias(flag_column(schema.RAIN)),
    ]


def _night(frame: pl.DataFrame, names: list[str], site: Site) -> pl.DataFrame:
    utc = frame[TIME_FIELD].dt.offset_by(f"-{KOREA_OFFSET_H}h")
    table = cos_zenith_table(site.latitude, site.longitude)
    height = table[utc.dt.ordinal_day().to_numpy() - 1, utc.dt.hour().to_numpy()]
    night = pl.lit(pl.Series(np.asarray(height) <= 0.0))
    changed = []
    for name in names:
        flag = pl.col(flag_column(name))
        zero = night & (flag == _MISSING)
        changed += [
            pl.when(zero).then(0.0).otherwise(pl.col(name)).alias(name),
            pl.when(zero).then(_GOOD).otherwise(flag).alias(flag_column(name)),
        ]
    return frame.with_columns(changed)
