"""Downloads of KMA's data portal: encodings, headers, flags, damage."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from demo.climate import generate
from demo.places import SEOUL
from edge_agent.contract import kma_fields
from edge_agent.contract.errors import BadData, UsageError
from edge_agent.contract.schema import RAIN, SOLAR, TIME, Flag, flag_column
from edge_agent.contract.stations import station
from tests.fakes.portal_file import COLUMNS, download
from trainer.ingest import importer
from trainer.ingest.sources import portal_csv

if TYPE_CHECKING:
    from collections.abc import Callable

FLAGS = tuple(header for header in COLUMNS if header.endswith("QC플래그"))


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Three months over a turn of winter."""
    return generate([SEOUL], datetime(2021, 2, 1, 1), datetime(2021, 5, 1), seed=6)  # noqa: DTZ001 - KST


@pytest.mark.parametrize("encoding", ["cp949", "utf-8", "utf-8-sig"])
def test_every_value_of_a_download_arrives(frame: pl.DataFrame, encoding: str) -> None:
    """Whatever the encoding, the rows are those of the record (C1)."""
    content = download(frame, encoding=encoding, leave_out=FLAGS)
    (number, tidy), *others = importer.read("OBS_ASOS_TIM.csv", content, None)[0].items()
    assert (number, others) == (108, [])
    assert tidy.equals(kma_fields.tidy(frame, station(108).site))
    assert tidy.height == frame.height


def test_flags_rule_over_values(frame: pl.DataFrame) -> None:
    """QC flags of the file go with their column: 1 and 9 drop a value, blank rain is dry (C2)."""
    marked = frame.head(6).with_columns(
        pl.Series("taQcflg", ["", "1", "9", "0", "", ""]),
        pl.Series("rn", [None, None, 0.0, 1.5, None, None], dtype=pl.Float64),
        pl.Series("rnQcflg", ["", "9", "", "", "", "9"]),
    )
    tidy = importer.read("x.csv", download(marked), None)[0][108]
    assert tidy[flag_column("air_temperature_c")].to_list() == [
        *(Flag.GOOD, Flag.SOURCE, Flag.MISSING, Flag.GOOD, Flag.GOOD, Flag.GOOD)
    ]
    assert tidy[RAIN].to_list() == [0.0, None, 0.0, 1.5, 0.0, None]


def test_a_flag_without_a_name_belongs_to_the_column_before_it(frame: pl.DataFrame) -> None:
    """Older downloads head every flag column with the bare word (C2)."""
    marked = frame.head(2).with_columns(pl.Series("wsQcflg", ["", "1"]))
    text = download(marked, encoding="utf-8").decode()
    head, _, rows = text.partition("\n")
    bare = ",".join("QC플래그" if cell.endswith("QC플래그") else cell for cell in head.split(","))
    assert portal_csv.parse(f"{bare}\n{rows}".encode()).equals(portal_csv.parse(text.encode()))


def test_a_doubtful_irradiation_is_dropped(frame: pl.DataFrame) -> None:
    """The portal flags irradiation, which the service does not: the verdict counts."""
    noon = frame.filter(pl.col("tm").dt.hour() == 12).head(2)
    text = download(noon, encoding="utf-8").decode().split("\r\n")
    header = text[0].split(",")
    fields = text[1].split(",")
    fields[header.index("일사 QC플래그")] = "1"
    text[1] = ",".join(fields)
    tidy = importer.read("x.csv", "\n".join(text).encode(), None)[0][108]
    assert tidy[SOLAR].is_null().to_list() == [True, False]


def test_columns_come_in_any_order_and_choice(frame: pl.DataFrame) -> None:
    """A user ticks what is wanted; columns that are not there are missing, not wrong."""
    content = download(
        frame.select("station", "tm", "hm", "ta"),
        leave_out=[h for h in COLUMNS if h not in {"기온(°C)", "습도(%)"}],
    )
    text = content.decode("cp949").split("\r\n")
    swapped = "\n".join(",".join(reversed(line.split(","))) for line in text if line)
    rows = portal_csv.parse(swapped.encode())
    assert set(rows.columns) == {"line", "hm", "ta", "tm", "stnId"}
    tidy = importer.read("x.csv", swapped.encode(), 108)[0][108]
    assert tidy["air_temperature_c"].equals(
        kma_fields.tidy(frame, station(108).site)["air_temperature_c"]
    )
    assert tidy["wind_speed_ms"].null_count() == tidy.height


def test_the_station_is_taken_from_the_file_or_from_the_caller(frame: pl.DataFrame) -> None:
    """Rows without a station need one; rows of another station are not taken for it."""
    text = download(frame.head(3), encoding="utf-8").decode()
    nameless = "\n".join(line.partition(",")[2] for line in text.split("\r\n") if line)
    with pytest.raises(UsageError, match="--station"):
        importer.read("x.csv", nameless.encode(), None)
    assert list(importer.read("x.csv", nameless.encode(), 119)[0]) == [119]
    with pytest.raises(BadData, match="no rows of station 119"):
        importer.read("x.csv", text.encode(), 119)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _text: "", "an empty file"),
        (lambda text: text.replace("기온(°C)", "기온(°F)"), "unit '°F', expected °C"),
        (lambda text: text.replace("일시", "날짜"), "no columns 일시 and 기온"),
        (lambda text: text.replace("기온(°C)", "평균기온(°C)"), "no columns 일시 and 기온"),
        (lambda text: text.replace("습도(%)", "기온(°C)"), "stands twice"),
        (lambda text: text[:-9], "line 4 has"),
        (lambda text: text + "1,2\r\n", "line 5 has 2 fields"),
        (lambda text: text.replace("서울", '"서울', 1), "not a readable CSV"),
        (lambda text: text.replace(" 01:00", " 01:10"), "line 2, .*not a full hour"),
        (lambda text: text.replace(" 01:00", ""), "not a full hour"),
    ],
)
def test_other_files_are_refused_with_the_reason(
    frame: pl.DataFrame, change: object, message: str
) -> None:
    """A file that is not what was agreed is not used, not even in part (C3)."""
    text = download(frame.head(3), encoding="utf-8").decode()
    with pytest.raises(BadData, match=message) as caught:
        importer.read("x.csv", change(text).encode(), None)  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    """Neither UTF-8 nor cp949."""
    with pytest.raises(BadData, match="neither UTF-8 nor cp949"):
        portal_csv.parse(b"\xff\xff\xff,\x80\n")


def test_a_download_is_known_as_the_portals(frame: pl.DataFrame) -> None:
    """The lake is told where the rows come from."""
    assert importer.read("x.csv", download(frame.head(2)), None)[1] == "portal"
    assert importer.read("x.csv", download(frame.head(2)), None)[0][108][TIME].len() == 2


VARIANTS: dict[str, Callable[[str], str | bytes]] = {
    "tabs": lambda text: text.replace(",", "\t"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 and tabs": lambda text: text.replace(",", "\t").encode("utf-16"),
    "slashes": lambda text: re.sub(r"(\d{4})-(\d\d)-(\d\d)", r"\1/\2/\3", text),
    "points": lambda text: re.sub(r"(\d{4})-0?(\d+)-0?(\d+)", r"\1. \2. \3.", text),
    "digits": lambda text: re.sub(r"(\d{4})-(\d\d)-(\d\d) (\d\d):00", r"\1\2\3\4", text),
    "halves": lambda text: re.sub(r" (\d\d):00", _in_halves, text),
    "24:00": lambda text: text.replace("2023-03-02 00:00", "2023-03-01 24:00"),
    "a title": lambda text: "종관기상관측 시간자료\n\n" + text,
    "closing commas": lambda text: re.sub(r"(?<=,)(?=\r\n)", ",,", text),
    "rows of commas": lambda text: text + ",,,\r\n,,,\r\n",
    "units": lambda text: text.replace("(m/s)", "(m·s^-1)"),
}


def _in_halves(match: re.Match[str]) -> str:
    hour = int(match[1])
    return f" {'오후' if hour >= 12 else '오전'} {hour % 12 or 12}:00"


def hourly() -> str:
    """Thirty hours over a midnight, as the portal writes them."""
    start = datetime(2023, 3, 1)  # noqa: DTZ001 - KST
    rows = pl.DataFrame(
        {
            "station": [108] * 30,
            "tm": [start + timedelta(hours=hour) for hour in range(30)],
            "ta": [hour / 10 for hour in range(30)],
            "ws": [1.5] * 30,
        }
    )
    return download(rows, encoding="utf-8").decode()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_file_as_people_have_it_says_the_same(name: str) -> None:
    """Excel, pandas and text editors change the form and not the hours."""
    text = hourly()
    expected = importer.read("x.csv", text.encode(), None)[0][108]
    changed = VARIANTS[name](text)
    assert changed != text
    content = changed if isinstance(changed, bytes) else changed.encode()
    assert importer.read("x.csv", content, None)[0][108].equals(expected)


def test_another_unit_leaves_its_column_out(caplog: pytest.LogCaptureFixture) -> None:
    """Temperature is needed; a column besides is named and not read (C2)."""
    text = hourly()
    found = importer.read("x.csv", text.replace("풍속(m/s)", "풍속(knot)").encode(), None)[0][108]
    assert found["wind_speed_ms"].null_count() == 30
    assert found["air_temperature_c"].null_count() == 0
    assert "unit 'knot', expected m/s or ms-1 or ㎧: the column is left out" in caplog.text


def test_an_hour_that_stands_twice_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """With other values, also where it is written otherwise; the same row again says nothing."""
    text = hourly()
    last = text.splitlines()[-1]
    importer.read("x.csv", f"{text}{last}\r\n".encode(), None)
    assert caplog.text == ""
    other = last.replace(",2.9,", ",99.9,").replace("2023-03-02 05", "2023/3/2 5")
    assert other != last
    importer.read("x.csv", f"{text}{other}\r\n".encode(), None)
    assert "station 108: an hour stands twice with other values" in caplog.text
    assert "2023-03-02 05:00" in caplog.text


def test_the_row_of_a_fault_is_the_line_in_the_file() -> None:
    """Also below titles and blank rows, and in KMA's names."""
    text = "title\n\n" + hourly().replace("2023-03-01 02:00", "yesterday")
    with pytest.raises(BadData, match=r"^line 6, header counted: .*'yesterday' is not a full hour"):
        importer.read("x.csv", text.encode(), None)
    with pytest.raises(BadData, match=r"^line 3, header counted: .*'never' is not a full hour"):
        importer.read("x.csv", b"tm,ta\n2023-07-01 12:00,1\nnever,1\n,\n", 108)
