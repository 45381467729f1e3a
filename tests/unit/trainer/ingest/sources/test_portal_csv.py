"""Downloads of KMA's data portal: encodings, headers, flags, damage."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from demo.climate import generate
from demo.places import SEOUL
from edge_agent.contract.errors import BadData, UsageError
from edge_agent.contract.schema import RAIN, SOLAR, TIME, Flag, flag_column
from tests.fakes.portal_file import COLUMNS, download
from trainer.ingest import importer
from trainer.ingest.sources import kma, portal_csv
from trainer.workspace.stations import station

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
    assert tidy.equals(kma.tidy(frame, station(108).site))
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
    assert set(rows.columns) == {"hm", "ta", "tm", "stnId"}
    tidy = importer.read("x.csv", swapped.encode(), 108)[0][108]
    assert tidy["air_temperature_c"].equals(kma.tidy(frame, station(108).site)["air_temperature_c"])
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
        (lambda text: text.replace("시정(10m)", "시정(km)"), "unit 'km', expected 10m"),
        (lambda text: text.replace("일시", "날짜"), "no columns 일시 and 기온"),
        (lambda text: text.replace("기온(°C)", "평균기온(°C)"), "no columns 일시 and 기온"),
        (lambda text: text.replace("습도(%)", "기온(°C)"), "stands twice"),
        (lambda text: text[:-9], "row 4 has"),
        (lambda text: text + "1,2\r\n", "row 5 has 2 fields"),
        (lambda text: text.replace("서울", '"서울', 1), "not a readable CSV"),
        (lambda text: text.replace(" 01:00", " 01:10"), "not a full hour"),
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
