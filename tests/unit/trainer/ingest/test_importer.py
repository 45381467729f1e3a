"""What `trainer.ingest.importer` takes and refuses."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData, InputMissing, UsageError
from edge_agent.contract.schema import AIR_TEMPERATURE, Flag, flag_column
from tests.fakes.clock import FakeClock
from trainer.ingest import importer
from trainer.ingest.importer import Import
from trainer.workspace.config import Config
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

HOUR = datetime(2023, 7, 1, 3, tzinfo=UTC)


def parquet(frame: pl.DataFrame) -> bytes:
    """The bytes of a Parquet file."""
    target = io.BytesIO()
    frame.write_parquet(target)
    return target.getvalue()


def kma_rows() -> pl.DataFrame:
    """Two stations in KMA's names."""
    return pl.DataFrame(
        {
            "station": [108, 108, 90],
            "tm": [datetime(2023, 7, 1, hour) for hour in (12, 13, 12)],  # noqa: DTZ001 - KST
            "ta": [20.0, 21.0, 19.0],
        }
    )


def test_parquet_in_kma_names_goes_by_station() -> None:
    """Each station gets its own rows, in UTC."""
    frames, source = importer.read("a.parquet", parquet(kma_rows()), None)
    assert (source, sorted(frames)) == ("parquet", [90, 108])
    assert frames[108]["time"].to_list() == [HOUR, HOUR.replace(hour=4)]
    assert frames[90][schema.AIR_TEMPERATURE].to_list() == [19.0]


def test_one_station_can_be_picked() -> None:
    """`--station` takes only that one's rows, and says so when there are none."""
    frames, _ = importer.read("a.parquet", parquet(kma_rows()), 90)
    assert list(frames) == [90]
    with pytest.raises(BadData, match="no rows of station 95"):
        importer.read("a.parquet", parquet(kma_rows()), 95)


def test_rows_without_a_station_need_one() -> None:
    """The error names the option."""
    content = parquet(kma_rows().drop("station"))
    with pytest.raises(UsageError, match="--station"):
        importer.read("a.parquet", content, None)
    assert list(importer.read("a.parquet", content, 108)[0]) == [108]


def test_csv_in_our_names() -> None:
    """Times are ISO 8601 with a zone; blanks are missing; text that is no number is said wrong."""
    name, humidity = schema.AIR_TEMPERATURE, schema.RELATIVE_HUMIDITY
    content = (
        f"time,{name},{humidity}\n2023-07-01T03:00:00Z,20.5,\n2023-07-01T13:00:00+09:00,x,50\n"
    )
    frames, source = importer.read("a.csv", content.encode(), 108)
    frame = frames[108]
    assert source == "csv"
    assert frame["time"].to_list() == [HOUR, HOUR.replace(hour=4)]
    assert frame[name].to_list() == [20.5, None]
    assert frame[flag_column(name)].to_list() == [Flag.GOOD, Flag.SOURCE]
    assert frame[humidity].to_list() == [None, 50.0]
    assert frame[flag_column(schema.RAIN)].to_list() == [Flag.MISSING] * 2


def test_csv_in_kma_names() -> None:
    """`tm` makes it KMA's."""
    frames, source = importer.read("a.csv", b"stnId,tm,ta\n108,2023-07-01 12:00,20.5\n", None)
    assert (source, frames[108]["time"].to_list()) == ("csv", [HOUR])


def test_our_own_flags_are_kept() -> None:
    """What was exported from a lake comes back with its flags; a blank never counts as good."""
    flag = flag_column(schema.RAIN)
    frame = pl.DataFrame(
        {
            "time": [HOUR, HOUR.replace(hour=4)],
            schema.RAIN: [1.5, None],
            flag: [Flag.ACCUMULATED, Flag.GOOD],
        },
        schema_overrides={"time": schema.TIME_DTYPE},
    )
    found = importer.read("a.parquet", parquet(frame), 108)[0][108]
    assert found[flag].to_list() == [Flag.ACCUMULATED, Flag.MISSING]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.xlsx", b"", "unknown kind"),
        ("a.parquet", b"PAR1", "not a readable Parquet"),
        ("a.csv", b"time,air_temperature_c\n2023-07-01T03:30:00Z,1\n", "no full hour"),
        ("a.csv", b"time,air_temperature_c\nnever,1\n", "no full hour"),
        ("a.csv", b"time,other\n2023-07-01T03:00:00Z,1\n", "no column of"),
        ("a.csv", b"station,time,air_temperature_c\nx,2023-07-01T03:00:00Z,1\n", "station number"),
        ("a.csv", b"tm,ta\n2023-07-01 99:00,1\n", "not a full hour"),
    ],
)
def test_what_is_no_observation_file_is_refused(name: str, content: bytes, text: str) -> None:
    """One line that says what is wrong."""
    with pytest.raises(BadData, match=text):
        importer.read(name, content, 108)


def test_times_without_a_zone_are_not_guessed() -> None:
    """Naive `time` could be Korean or UTC."""
    frame = pl.DataFrame({"time": [datetime(2023, 7, 1)], schema.RAIN: [0.0]})  # noqa: DTZ001 - meant
    with pytest.raises(BadData, match="must be UTC"):
        importer.read("a.parquet", parquet(frame), 108)


FOREIGN = ("1_2", "\u0661\u0662", "\uff11\uff12", "0x10", "1,5", "nan", "inf", "1e999")


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("time,air_temperature_c", '2024-01-31T{0:02}:00:00Z,"{1}"'),
        ("tm,stnId,ta", '2024-01-31 {0:02}:00,108,"{1}"'),
        ("지점,지점명,일시,기온(°C)", '108,서울,2024-01-31 {0:02}:00,"{1}"'),
    ],
)
def test_a_number_in_another_form_is_none(head: str, row: str) -> None:
    """Other scripts' digits, underlines, hexadecimal, commas, infinities: null, flag SOURCE."""
    rows = [row.format(hour, text) for hour, text in enumerate((*FOREIGN, "1.5", "+2", " 3 "))]
    frames, _ = importer.read("a.csv", "\n".join([head, *rows]).encode(), 108)
    values = frames[108][AIR_TEMPERATURE].to_list()
    assert values == [None] * len(FOREIGN) + [1.5, 2.0, 3.0]
    flags = frames[108][flag_column(AIR_TEMPERATURE)].to_list()
    assert flags == [Flag.SOURCE] * len(FOREIGN) + [Flag.GOOD] * 3


@pytest.mark.parametrize(
    "time", ["2024-01-31 \uff10\uff11:00", "2024-01-31 1_0:00", "\uff120240131 01"]
)
@pytest.mark.parametrize("head", ["tm,stnId,ta\n{0},108,1", "지점,일시,기온(°C)\n108,{0},1"])
def test_a_time_in_digits_of_another_script_is_refused(head: str, time: str) -> None:
    """By row, not by an internal error."""
    with pytest.raises(
        BadData, match=r"line 2, header counted: observations: tm .* is not a full hour"
    ):
        importer.read("a.csv", head.format(time).encode(), None)


def test_a_file_is_brought_in_once(tmp_path: Path) -> None:
    """The second time changes nothing; the journal tells name, hash and counts once."""
    workspace = Workspace(tmp_path, Config())
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(kma_rows()))
    brought = Import(workspace, FakeClock()).bring(path)
    assert [(row["station"], row["added"]) for row in brought] == [(90, 1), (108, 2)]
    again = Import(workspace, FakeClock()).bring(path)
    assert [(row["added"], row["changed"]) for row in again] == [(0, 0), (0, 0)]
    journal = (tmp_path / "lake" / "imports.jsonl").read_text().splitlines()
    assert len(journal) == 1
    assert "sha256" in journal[0]


def test_a_file_with_a_fault_changes_nothing(tmp_path: Path) -> None:
    """All of its stations, or none; the error names the file."""
    workspace = Workspace(tmp_path, Config())
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(kma_rows().with_columns(pl.Series("station", [108, 108, 7]))))
    with pytest.raises(UsageError, match=r"a\.parquet: station 7 is not one"):
        Import(workspace, FakeClock()).bring(path)
    assert workspace.lake.stations() == ()
    with pytest.raises(InputMissing, match=r"none\.parquet"):
        Import(workspace, FakeClock()).bring(tmp_path / "none.parquet")
