"""Downloads of past village forecasts: blocks, categories, encodings, damage."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest

from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import BadData, UsageError
from edge_agent.contract.kma_fields import CATEGORIES
from tests.fakes.portal_village import days, name, text, utc
from trainer.ingest.sources import portal_village
from trainer.ingest.sources.portal_village import VALUE
from trainer.ingest.sources.village_table import ISSUED, VALID

TEMPERATURE = name("3시간기온")
TWO_MONTHS = text(
    [("20170601", [(1, 2, 4, 23.0), (30, 23, 64, 24.5)]), ("20170701", [(31, 5, 7, 25.0)])]
)


def test_blocks_give_the_month_of_their_rows() -> None:
    """Times are UTC; the hours ahead run on into the next month (F1)."""
    file = portal_village.parse(TEMPERATURE, TWO_MONTHS.encode())
    assert (file.column, file.cell, file.notes) == (CATEGORIES["TMP"], Cell(97, 74), ())
    assert file.rows.rows() == [
        (utc(2017, 6, 1, 2), utc(2017, 6, 1, 6), "23.000000"),
        (utc(2017, 6, 30, 23), utc(2017, 7, 3, 15), "24.500000"),
        (utc(2017, 7, 31, 5), utc(2017, 7, 31, 12), "25.000000"),
    ]


def test_a_block_that_starts_within_a_month_counts_days_of_the_month() -> None:
    """A block for each day of a download: `Start` gives year and month, the row the day (F1)."""
    content = text(
        [("20230101", [(1, 2, 6, 1.0)]), ("20230102", [(2, 2, 6, 2.0)]), ("20230201", [])]
    )
    rows = portal_village.parse(TEMPERATURE, content.encode()).rows
    assert rows[ISSUED].to_list() == [utc(2023, 1, 1, 2), utc(2023, 1, 2, 2)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_encodings_and_line_ends_change_nothing(encoding: str, line: str) -> None:
    """Korean words in a title, a byte order mark and DOS lines are no rows."""
    content = TWO_MONTHS.replace("location", "지역 location").replace("\n", line).encode(encoding)
    expected = portal_village.parse(TEMPERATURE, TWO_MONTHS.encode())
    file = portal_village.parse(TEMPERATURE, content)
    assert file.rows.equals(expected.rows)
    assert file.cell == expected.cell


def test_text_of_no_encoding_is_refused() -> None:
    """UTF-32, or a program."""
    with pytest.raises(BadData, match="neither UTF-8 nor cp949"):
        portal_village.parse(TEMPERATURE, b"\xff\xfe\x00\x00 Start : 20170601")


@pytest.mark.parametrize(
    ("category", "column"),
    [
        ("1시간기온", "air_temperature_c"),
        ("습도", "relative_humidity_pct"),
        ("풍속", "wind_speed_ms"),
        ("풍향", "wind_from_direction_deg"),
        ("하늘상태", "sky_code"),
        ("강수확률", "rain_probability_pct"),
        ("강수형태", "precipitation_code"),
        ("1시간강수량", "rain_mm"),
        ("6시간강수량", "rain_6h_mm"),
        ("1시간적설", "new_snow_cm"),
        ("6시간적설", "new_snow_6h_cm"),
        ("일최고기온", "air_temperature_max_c"),
        ("일최저기온", "air_temperature_min_c"),
    ],
)
def test_the_name_tells_the_category(category: str, column: str) -> None:
    """Composed, and taken apart as macOS does (F2)."""
    for form in ("NFC", "NFD"):
        file = portal_village.parse(
            unicodedata.normalize(form, name(category)), TWO_MONTHS.encode()
        )
        assert file.column == column


@pytest.mark.parametrize("given", ["download.csv", "감천제1동_황사_201706.csv"])
def test_a_name_without_a_known_category_is_refused(given: str) -> None:
    """The text names the categories (F2)."""
    with pytest.raises(UsageError, match="3시간기온"):
        portal_village.parse(given, TWO_MONTHS.encode())


def test_a_day_that_the_month_has_not_is_left_out_and_told() -> None:
    """31 June, and the rubbish that some files of the portal have; the others count (F4)."""
    rows = days(1, 9, 20.0)
    bad = " 31,0200,+4,1.000000 \n -971917344,0200,+6,0.000000 \n 9,0300,+4,1.000000 \n"
    file = portal_village.parse(TEMPERATURE, (text([("20170601", rows)]) + bad).encode())
    assert file.rows.height == len(rows)
    first = len(rows) + 2
    words = f"3 rows of days or hours that do not exist, the first in line {first}, are left out"
    assert file.notes == (words,)


def test_a_leap_day_is_a_day() -> None:
    """29 February, in leap years only (F4)."""
    rows = [*days(1, 9, 1.0), (29, 2, 4, 5.0)]
    leap = portal_village.parse(TEMPERATURE, text([("20200201", rows)]).encode())
    assert leap.rows[ISSUED][-1] == datetime(2020, 2, 29, 2, tzinfo=UTC)
    common = portal_village.parse(TEMPERATURE, text([("20190201", rows)]).encode())
    assert common.rows.height == len(rows) - 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (" 1,0200,+4,23.000000 \n", "line 1 stands before any line `Start"),
        (TWO_MONTHS + " 31,2300,+6", "line 6 is no row of day,hour,forecast,value"),
        (TWO_MONTHS + " 31,2300,+6,19.2", "line 6: '31,2300,.6,19.2' is cut off"),
        (
            text([("20170601", [*days(1, 31, 20.0), *days(1, 9, 20.0)])]),
            "the day goes back to 1 wi",
        ),
        (TWO_MONTHS + "x,0200,+4,1.0\n", "line 6 is no row"),
        (TWO_MONTHS.replace("20170701", "20171301"), "line 4: 'Start : 20171301' starts no month"),
        (TWO_MONTHS.replace("forecast,", ""), "its columns are 'day,hour,value'"),
        (TWO_MONTHS.replace("97_74", "970_74"), "grid has cells 1 to 149"),
        (text([("20170601", [(1, 2, 4, 1.0), (1, 3, 4, 1.0)])]), "1 of 2 rows are of no day and"),
    ],
)
def test_a_damaged_file_is_refused(content: str, words: str) -> None:
    """The text says where (F1, F4 to F6)."""
    with pytest.raises(BadData, match=words.replace("(", r"\(")):
        portal_village.parse(TEMPERATURE, content.encode())


def test_blocks_of_two_cells_are_refused() -> None:
    """Files that somebody joined (F3)."""
    with pytest.raises(BadData, match="blocks of 2 cells"):
        portal_village.parse(
            TEMPERATURE, (TWO_MONTHS + TWO_MONTHS.replace("97_74", "98_74")).encode()
        )


def test_values_stay_text() -> None:
    """What they mean is not the parser's."""
    content = text([("20170601", [(1, 2, 4, -99.0)])]) + " 1,0200,+7,nan\n 1,0200,+10,\n"
    rows = portal_village.parse(TEMPERATURE, content.encode()).rows
    assert rows[VALUE].to_list() == ["-99.000000", "nan", ""]
    assert rows[VALID].n_unique() == 3
