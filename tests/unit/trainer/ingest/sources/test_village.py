"""The village forecast: both operations, both forms, amounts in words, every kind of answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from edge_agent.contract import kma_fields
from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import FarmError, ProtocolFault, Refused
from edge_agent.contract.kma_fields import CATEGORIES
from edge_agent.contract.schema import RAIN, RELATIVE_HUMIDITY, TIME, Flag, flag_column
from trainer.ingest.sources import village, village_table
from trainer.ingest.sources.http import QuotaSpent, Transient, Truncated
from trainer.ingest.sources.village_table import COLUMNS, ISSUED, VALID

SAMPLES = Path(__file__).parents[6] / "shared" / "data" / "kma_samples"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="needs KMA's sample bodies (../shared)"
)
ITEM = {
    "baseDate": "20240101",
    "baseTime": "0200",
    "category": "TMP",
    "fcstDate": "20240101",
    "fcstTime": "0300",
    "fcstValue": "-3",
    "nx": 60,
    "ny": 127,
}


def _body(*items: dict[str, Any], total: int | None = None) -> bytes:
    body = {
        "dataType": "JSON",
        "items": {"item": list(items)},
        "totalCount": len(items) if total is None else total,
    }
    header = {"resultCode": "00", "resultMsg": "NORMAL_SERVICE"}
    return json.dumps({"response": {"header": header, "body": body}}).encode()


def _value(category: str, text: str) -> float | None:
    rows = village.parse(_body(ITEM | {"category": category, "fcstValue": text}), 200).rows
    value: float | None = village_table.forecasts(rows)[CATEGORIES[category]][0]
    return value


@needs_samples
def test_real_forecast_items_are_read_value_by_value() -> None:
    """The first ten items of a real issue, in our names and UTC."""
    page = village.parse((SAMPLES / "vilage_60_125_firstpage_rebuilt.json").read_bytes(), 200)
    assert (page.rows.height, page.total, page.cells) == (10, 809, frozenset([Cell(60, 125)]))
    (row,) = village_table.forecasts(page.rows).rows(named=True)
    known = {name: value for name, value in row.items() if value is not None}
    assert known == {
        ISSUED: datetime(2022, 11, 27, 17, tzinfo=UTC),
        VALID: datetime(2022, 11, 27, 18, tzinfo=UTC),
        "air_temperature_c": 9.0,
        "wind_speed_ms": 2.3,
        "wind_from_direction_deg": 105.0,
        "wind_east_ms": -2.1,
        "wind_north_ms": 0.6,
        "rain_mm": 0.0,
        "sky_code": 4.0,
        "rain_probability_pct": 30.0,
        "precipitation_code": 0.0,
        "wave_height_m": 0.0,
    }


@needs_samples
def test_a_real_nowcast_becomes_an_observation() -> None:
    """Seoul at 11:00 KST on 2026-01-22; what a nowcast has not is missing."""
    page = village.parse((SAMPLES / "ncst_60_127_20260122T1100_rebuilt.json").read_bytes(), 200)
    (row,) = village_table.nowcast(page.rows).rows(named=True)
    assert row[TIME] == datetime(2026, 1, 22, 2, tzinfo=UTC)
    assert (row["air_temperature_c"], row[RELATIVE_HUMIDITY], row[RAIN]) == (-8.1, 34.0, 0.0)
    assert row[flag_column(RAIN)] == Flag.GOOD
    assert row[flag_column("station_pressure_hpa")] == Flag.MISSING
    assert tuple(row) == kma_fields.COLUMNS


@needs_samples
@pytest.mark.parametrize(
    "name", ["datagokr_03_nodata.json", "vilage_10_too_old.json", "ncst_10_too_old.json"]
)
def test_forgotten_and_unpublished_issues_are_no_rows(name: str) -> None:
    """KMA's two ways to say that there is nothing."""
    page = village.parse((SAMPLES / name).read_bytes(), 200)
    assert (page.rows.height, page.total, page.cells) == (0, 0, frozenset())
    assert village_table.forecasts(page.rows).columns == list(COLUMNS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("강수없음", 0.0),
        ("1mm 미만", 0.5),
        ("1.0mm 미만", 0.5),
        ("2.5mm", 2.5),
        ("30.0~50.0mm", 40.0),
        ("30.0mm~50.0mm", 40.0),
        ("50.0mm 이상", 50.0),
        ("0", 0.0),
        ("0.4", 0.4),
        ("-999", None),
        ("900", None),
        ("", None),
    ],
)
def test_amounts_in_words_become_millimetres(text: str, value: float | None) -> None:
    """V2, V3: KMA's wordings for rain."""
    assert _value("PCP", text) == value


@pytest.mark.parametrize("text", ["heavy", "nan", "inf", "1_000", "1mm2", "١", "2.5mm 미만 이상"])
def test_unreadable_values_are_an_error(text: str) -> None:
    """V4: what is not understood is not guessed."""
    with pytest.raises(ProtocolFault, match="unreadable value"):
        _value("PCP", text)


def test_one_unreadable_value_is_null_beside_the_others() -> None:
    """V4: null in a forecast, null with the flag SOURCE in a nowcast; the rest is read."""
    good = ITEM | {"category": "REH", "fcstValue": "55"}
    rows = village.parse(_body(ITEM | {"fcstValue": "NaN"}, good), 200).rows
    (row,) = village_table.forecasts(rows).rows(named=True)
    assert (row["air_temperature_c"], row[RELATIVE_HUMIDITY]) == (None, 55.0)
    assert village_table.unreadable(rows) == ["TMP 'NaN'"]
    now = rows.with_columns(pl.col("category").replace("TMP", "T1H"))
    (row,) = village_table.nowcast(now).rows(named=True)
    assert (row["air_temperature_c"], row[RELATIVE_HUMIDITY]) == (None, 55.0)
    flags = [row[flag_column(name)] for name in ("air_temperature_c", RELATIVE_HUMIDITY, RAIN)]
    assert flags == [Flag.SOURCE, Flag.GOOD, Flag.MISSING]


def test_snow_and_extremes_have_their_columns() -> None:
    """SNO in words, TMN and TMX with decimals."""
    assert _value("SNO", "적설없음") == 0.0
    assert _value("SNO", "1cm 미만") == 0.5
    assert _value("TMX", "12.0") == 12.0


def test_unknown_categories_are_left_out_and_doubles_count_once() -> None:
    """A new category breaks nothing; of two equal items the last counts (V1, V4)."""
    items = [ITEM, ITEM | {"category": "NEW", "fcstValue": "?"}, ITEM | {"fcstValue": "4"}]
    frame = village_table.forecasts(village.parse(_body(*items), 200).rows)
    assert frame["air_temperature_c"].to_list() == [4.0]


def test_xml_reads_like_json() -> None:
    """The default form of the service holds the same."""
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in ITEM.items())
    xml = (
        "<?xml version='1.0' encoding='UTF-8'?><response><header><resultCode>00</resultCode>"
        f"<resultMsg>OK</resultMsg></header><body><items><item>{fields}</item></items>"
        "<totalCount>1</totalCount></body></response>"
    )
    one, other = village.parse(xml.encode(), 200), village.parse(_body(ITEM), 200)
    assert one.rows.equals(other.rows)
    assert (one.cells, one.total) == (other.cells, other.total)


def test_midnight_belongs_to_the_day_it_begins() -> None:
    """0000 of the next day in Korea is 15:00 UTC of this one."""
    rows = village.parse(_body(ITEM | {"fcstDate": "20240102", "fcstTime": "0000"}), 200).rows
    assert village_table.forecasts(rows)[VALID][0] == datetime(2024, 1, 1, 15, tzinfo=UTC)
    assert rows.schema["valid"] == pl.Datetime("us")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (_body(ITEM)[:-30], 200, Truncated),
        (b"", 200, Truncated),
        (b"API token quota exceeded", 429, QuotaSpent),
        (b"Unexpected errors", 500, Transient),
        (b"<html><body>x</body></html>", 200, ProtocolFault),
        (_body().replace(b'"00"', b'"04"'), 200, Transient),
        (_body().replace(b'"00"', b'"30"'), 200, Refused),
        (_body().replace(b'"00"', b'"10"'), 200, ProtocolFault),
        (_body(ITEM | {"fcstTime": "2500"}), 200, ProtocolFault),
        (_body(ITEM | {"nx": "sixty"}), 200, ProtocolFault),
        (_body({k: v for k, v in ITEM.items() if k != "fcstValue"}), 200, ProtocolFault),
        (_body({k: v for k, v in ITEM.items() if k != "category"}), 200, ProtocolFault),
        (b'{"response":{"header":{"resultCode":"00"},"body":{"items":"x"}}}', 200, ProtocolFault),
    ],
)
def test_foreign_answers_get_the_documented_error(
    body: bytes, status: int, kind: type[FarmError]
) -> None:
    """Each kind of bad answer is the error that says what to do next."""
    with pytest.raises(FarmError) as caught:
        village.parse(body, status)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "day", "classes"),
    [
        # Issues of 02 to 14 h end with the third day after, those of 17 to 23 h with the fourth.
        (("20241201", "1400"), "20241203", False),
        (("20241201", "1400"), "20241204", True),
        (("20241201", "1700"), "20241204", False),
        (("20241201", "1700"), "20241205", True),
        (("20241128", "1100"), "20241201", False),
        (("20241128", "1400"), "20241201", True),
    ],
)
def test_the_day_of_classes_has_no_amounts(base: tuple[str, str], day: str, classes: bool) -> None:
    """A 3 stands for 9 m/s and more there, or for 15 mm; temperatures are as ever (V5)."""
    head = ITEM | {"baseDate": base[0], "baseTime": base[1], "fcstDate": day, "fcstTime": "0900"}
    given = {"TMP": "3", "WSD": "3", "PCP": "3", "SNO": "2", "POP": "60"}
    items = [head | {"category": name, "fcstValue": text} for name, text in given.items()]
    (row,) = village_table.forecasts(village.parse(_body(*items), 200).rows).rows(named=True)
    assert (row["air_temperature_c"], row["rain_probability_pct"]) == (3.0, 60.0)
    amounts = [row["wind_speed_ms"], row["rain_mm"], row["new_snow_cm"]]
    assert amounts == ([None] * 3 if classes else [3.0, 3.0, 2.0])


def test_sums_of_six_hours_are_no_hourly_sums() -> None:
    """Issues before 2021-06-29 have R06 and S06 in place of PCP and SNO."""
    assert (_value("R06", "5"), _value("S06", "1")) == (5.0, 1.0)
    assert CATEGORIES["R06"] != CATEGORIES["PCP"]
