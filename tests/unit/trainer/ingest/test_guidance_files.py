"""Files of past village forecasts into the archive: import, bounds, rebuild, KMA's own files."""

from __future__ import annotations

import io
import logging
import re
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import BadData, FarmError, UsageError
from edge_agent.contract.kma_fields import CATEGORIES
from tests.fakes.clock import FakeClock
from tests.fakes.portal_village import days, name, text, utc, write
from trainer.ingest import guidance_files, rebuild, tables
from trainer.ingest.guidance import Archive
from trainer.ingest.importer import Import
from trainer.ingest.sources.village_table import ISSUED, VALID
from trainer.workspace.config import Config
from trainer.workspace.workspace import Workspace

SHARED = Path(__file__).parents[5] / "shared" / "data"
PORTAL = SHARED / "kma_samples" / "portal_village"
ARCHIVE = SHARED / "guidance" / "kma_village_busan_gamcheon_201706_202006.parquet"
CELL = Cell(97, 74)
AIR, RAIN_6H = "air_temperature_c", "rain_6h_mm"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "work", Config())


def bring(workspace: Workspace, path: Path, cell: Cell | None = None) -> tuple[int, int, int]:
    """Rows added and completed, and values that differ."""
    (entry,) = Import(workspace, FakeClock()).bring(path, cell=cell)
    return entry["added"], entry["completed"], entry["differing"]


def parquet(frame: pl.DataFrame) -> bytes:
    """The bytes of a Parquet file."""
    target = io.BytesIO()
    frame.write_parquet(target)
    return target.getvalue()


def past(**columns: list[float | None]) -> pl.DataFrame:
    """An issue in the columns of the data set."""
    issued = utc(2018, 3, 1, 2)
    count = len(next(iter(columns.values())))
    valid = [utc(2018, 3, 1, 6 + 3 * at) for at in range(count)]
    frame = pl.DataFrame({ISSUED: [issued] * count, VALID: valid, **columns})
    return frame.cast(dict.fromkeys(columns, pl.Float32))


def test_files_of_several_categories_become_one_table(workspace: Workspace, tmp_path: Path) -> None:
    """The file tells its cell; a second import of the same adds nothing.

    06 UTC is 4, 7 or 10 hours ahead of three issues a day: nine extremes join a temperature.
    """
    files = [
        write(tmp_path, "3시간기온", days(1, 3, 20.0)),
        write(tmp_path, "6시간강수량", days(1, 3, 5.0, [7])),
        write(tmp_path, "일최고기온", days(1, 3, 25.0, [4, 7])),
    ]
    assert [bring(workspace, path) for path in files] == [(72, 0, 0), (0, 24, 0), (39, 9, 0)]
    journal = workspace.store.read("imports.jsonl")
    assert [bring(workspace, path) for path in files] == [(0, 0, 0)] * 3
    assert workspace.store.read("imports.jsonl") == journal
    assert len(workspace.raw.names("guidance", 97074)) == 3
    rows = Archive(workspace.store).read(CELL)
    assert rows.filter(pl.col(RAIN_6H).is_not_null())[AIR].to_list() == [20.0] * 24
    assert rows["rain_mm"].null_count() == rows.height


def test_parquet_comes_in_the_same_columns(workspace: Workspace, tmp_path: Path) -> None:
    """Its cell is given by the caller; other columns of the file are not read."""
    path = tmp_path / "past.parquet"
    frame = past(tmp=[1.0, 2.2], r06=[None, 5.0], tmx=[7.0, 8.0])
    path.write_bytes(parquet(frame.with_columns(place=pl.lit("x"), lead_h=4)))
    with pytest.raises(UsageError, match=r"past\.parquet: the file does not say its cell.*--cell"):
        bring(workspace, path)
    assert bring(workspace, path, CELL) == (3, 0, 0)
    rows = Archive(workspace.store).read(CELL)
    assert rows.select(VALID, AIR, RAIN_6H, "air_temperature_max_c").rows() == [
        (utc(2018, 3, 1, 6), 1.0, None, 7.0),
        (utc(2018, 3, 1, 9), 2.2, 5.0, None),
        (utc(2018, 3, 2, 6), None, None, 8.0),
    ]


def test_a_file_of_another_cell_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    """The file says 97_74; nothing is kept of it."""
    path = write(tmp_path, "습도", days(1, 3, 50.0))
    with pytest.raises(BadData, match="it is of cell 97-74, not 60-127"):
        bring(workspace, path, Cell(60, 127))
    assert not workspace.store.names("")
    assert bring(workspace, path, CELL) == (72, 0, 0)


def test_parquet_that_tells_its_place_is_of_that_cell(workspace: Workspace, tmp_path: Path) -> None:
    """Another cell is refused, as with the portal's files; without the option it is taken."""
    path = tmp_path / "past.parquet"
    busan = past(tmp=[1.0, 2.2]).with_columns(latitude=pl.lit(35.0836), longitude=pl.lit(129.0056))
    path.write_bytes(parquet(busan))
    with pytest.raises(BadData, match="it is of cell 97-74, not 60-127"):
        bring(workspace, path, Cell(60, 127))
    assert not workspace.store.names("")
    assert bring(workspace, path) == (2, 0, 0)
    assert Archive(workspace.store).read(CELL).height == 2
    several = busan.with_columns(latitude=pl.Series([35.0836, 37.5]))
    path.write_bytes(parquet(several))
    with pytest.raises(BadData, match="forecasts of 2 cells"):
        bring(workspace, path, CELL)


def test_a_value_that_differs_stays_as_it_was(
    workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was there first counts; it is told how many differ, and the first."""
    bring(workspace, write(tmp_path, "3시간기온", days(1, 1, 20.0)))
    rows = [*days(1, 1, 20.0)[:-1], (1, 23, 10, 21.0), (2, 2, 4, 19.0)]
    assert bring(workspace, write(tmp_path, "3시간기온", rows)) == (1, 0, 1)
    (message,) = caplog.messages
    assert "the archive has 1 values otherwise, and its own stay" in message
    assert f"the first is {AIR} of 2017-06-02 09:00, issued 2017-06-01 23:00 UTC" in message
    assert Archive(workspace.store).read(CELL)[AIR].to_list() == [20.0] * 24 + [19.0]


def test_codes_and_days_that_do_not_exist_are_told_and_left_out(
    workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad thing harms nothing beside it."""
    caplog.set_level(logging.WARNING)
    rows = [*days(1, 3, 20.0), (4, 2, 4, -99.0), (31, 2, 4, 20.0), (3, 23, 10, 21.0)]
    assert bring(workspace, write(tmp_path, "3시간기온", rows)) == (72, 0, 0)
    told = "\n".join(caplog.messages)
    assert "1 rows of days or hours that do not exist, the first in line 75" in told
    assert re.search(rf"1 of \d+ values of {AIR} are codes for missing ones", told)
    assert f"a row stands twice with another {AIR}, of which the last counts" in told
    assert Archive(workspace.store).read(CELL)[AIR][-1] == 21.0


@pytest.mark.parametrize(
    ("given", "content", "words"),
    [
        (name("3시간기온"), b" 1,0200,+4,23.000000 \n", "stands before any line `Start"),
        (name("3시간기온"), b"\xff\xff\x00 Start : 20170601\n", "neither UTF-8 nor cp949"),
        (name("3시간기온"), text([("20170601", [])]).encode(), "no forecast in it"),
        ("x.csv", text([("20170601", [(1, 2, 4, 1.0)])]).encode(), "does not say which category"),
        (name("3시간기온"), b"\n" * 5_000_002, "more than 5000000 rows"),
        (name("3시간기온"), b" " * 20_000 + b"Start : 20170601\n", "its first line is longer"),
        ("a.parquet", parquet(past(other=[1.0])), "no column of tmp, reh"),
        ("a.parquet", parquet(past(tmp=[1.0], air_temperature_c=[1.0])), "stands twice, as tmp"),
        (
            "a.parquet",
            parquet(past(tmp=[1.0]).with_columns(pl.col(ISSUED).dt.replace_time_zone(None))),
            "must be of times with a time zone",
        ),
    ],
)
def test_a_file_with_a_fault_changes_nothing(
    workspace: Workspace, tmp_path: Path, given: str, content: bytes, words: str
) -> None:
    """One line with the file and what is wrong."""
    (tmp_path / given).write_bytes(content)
    with pytest.raises(FarmError, match=words) as fault:
        bring(workspace, tmp_path / given, CELL)
    assert given in str(fault.value)
    assert "\n" not in str(fault.value)
    assert not workspace.store.names("")


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parquet of one repeated row, and CSV of many lines, by the memory that they would take."""
    long = past(tmp=[1.0]).select(pl.all().repeat_by(500_000).explode())
    (tmp_path / "a.parquet").write_bytes(parquet(long))
    (tmp_path / name("습도")).write_bytes(text([("20170601", days(1, 30, 50.0))]).encode() * 30)
    monkeypatch.setattr(tables, "MAX_MEMORY", 5_000_000)
    monkeypatch.setattr(pl, "read_parquet", lambda *_, **__: pytest.fail("it was unpacked"))
    for given in ("a.parquet", name("습도")):
        with pytest.raises(BadData, match="more than 5000000 bytes of memory"):
            bring(workspace, tmp_path / given, CELL)
    assert not workspace.store.names("")


def test_utf_16_as_spreadsheets_save_it(workspace: Workspace, tmp_path: Path) -> None:
    """The bytes are kept as they came, and read again by a rebuild."""
    path = tmp_path / name("습도")
    path.write_bytes(text([("20170601", days(1, 3, 50.0))]).encode("utf-16"))
    assert bring(workspace, path) == (72, 0, 0)
    assert rebuild.rebuild(workspace).replaced == ()


def test_a_rebuild_makes_the_archive_from_the_files(workspace: Workspace, tmp_path: Path) -> None:
    """Byte for byte, the value that came first; lost and damaged files alike."""
    bring(workspace, write(tmp_path, "3시간기온", days(1, 3, 20.0)))
    bring(workspace, write(tmp_path, "3시간기온", days(2, 4, 21.0)))
    bring(workspace, write(tmp_path, "습도", days(1, 30, 50.0), "20170701"))
    store = workspace.store
    before = {path: store.read(path) for path in store.names("guidance")}
    assert len(before) == 2
    assert rebuild.rebuild(workspace).replaced == ()
    store.remove(min(before))
    store.write(max(before), b"rot")
    assert rebuild.rebuild(workspace).replaced == tuple(sorted(before))
    assert {path: store.read(path) for path in store.names("guidance")} == before


@pytest.mark.skipif(not PORTAL.is_dir(), reason="needs KMA's sample files (../shared)")
def test_the_portals_own_files_are_the_archive_bit_for_bit(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Two months as the portal hands them out, and the same months of the Parquet archive."""
    files = sorted(PORTAL.glob("*.csv"))
    assert len(files) == 11
    for path in files:
        bring(workspace, path)
    other = Workspace(tmp_path / "other", Config())
    bring(other, ARCHIVE, CELL)
    portal, table = (Archive(each.store).read(CELL) for each in (workspace, other))
    assert (portal.height, table.height) == (9028, 166_475)
    assert portal.equals(table.filter(pl.col(ISSUED) < utc(2017, 8, 1, 2)))
    months = [name for name in workspace.store.names("guidance") if "2017-0" in name]
    assert len(months) == 2
    assert all(workspace.store.read(name) == other.store.read(name) for name in months)
    # Where the file has no other meaning: the number that stands in it.
    row = portal.row(1, named=True)
    assert (row[ISSUED], row[VALID]) == (utc(2017, 6, 1, 2), utc(2017, 6, 1, 9))
    known = {key: value for key, value in row.items() if isinstance(value, float)}
    assert known == {
        AIR: 22.0,
        "relative_humidity_pct": 80.0,
        "wind_speed_ms": 3.8,
        "wind_from_direction_deg": 243.0,
        "rain_probability_pct": 60.0,
        "precipitation_code": 1.0,
        "sky_code": 4.0,
        RAIN_6H: 5.0,
        "new_snow_6h_cm": 0.0,
    }


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="needs the archive of forecasts (../shared)")
def test_daily_extremes_fit_the_temperatures_of_their_day() -> None:
    """What rule P3 says of three years: with days mixed up they would be 2 K off."""
    rows = guidance_files.read(ARCHIVE.name, ARCHIVE.read_bytes(), CELL).rows
    day = pl.col(VALID).dt.offset_by("9h").dt.date()
    issues = rows.group_by(ISSUED, day).agg(
        pl.len(),
        (pl.col(CATEGORIES["TMX"]).max() - pl.col(AIR).max()).abs().alias("highest"),
        (pl.col(CATEGORIES["TMN"]).max() - pl.col(AIR).min()).abs().alias("lowest"),
    )
    errors = issues.filter(pl.col("len") >= 8).select("highest", "lowest").mean()
    assert [round(value, 2) for value in errors.row(0)] == [0.98, 0.45]


def test_the_reader_is_pure(tmp_path: Path) -> None:
    """Notes come back in place of a log."""
    path = write(tmp_path, "3시간기온", [*days(1, 3, 20.0), (4, 2, 4, 99.0)])
    file = guidance_files.read(path.name, path.read_bytes(), None)
    assert (file.cell, file.rows.height, len(file.notes)) == (CELL, 72, 1)
    assert isinstance(file.rows[ISSUED][0], datetime)
