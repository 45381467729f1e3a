"""Rows dated in the future: refused by every import, ignored by all that reads, and removable."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl
import pytest

from edge_agent.contract import schema
from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import BadData, InputMissing
from edge_agent.contract.farm_identity import Identity
from edge_agent.observations import export
from edge_agent.system import console
from tests.fakes import portal_file, portal_village
from tests.fakes.clock import FakeClock
from trainer import relay, setup
from trainer.cli import cli
from trainer.ingest import farm_files, importer, rebuild
from trainer.ingest.guidance import Archive
from trainer.ingest.importer import Import
from trainer.ingest.kma_client import KmaClient
from trainer.ingest.sources.village_table import ISSUED, VALID
from trainer.workspace.config import Config
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

NOW: Final = datetime(2026, 7, 1, 5, 10, tzinfo=UTC)
AIR, WET = schema.AIR_TEMPERATURE, schema.RELATIVE_HUMIDITY
FIRST: Final = datetime(2018, 3, 1, 2, tzinfo=UTC)
CELL: Final = Cell(97, 74)
LATE: Final = "2099-01-01 01:00"
WHOSE: Final = Identity(
    site="hill", device="edge-1", latitude=37.5, longitude=127.0, elevation_m=86.0, source="csv"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "work", Config())


def parquet(frame: pl.DataFrame) -> bytes:
    """The bytes of a Parquet file."""
    target = io.BytesIO()
    frame.write_parquet(target)
    return target.getvalue()


def in_kma_names(late: str = LATE) -> pl.DataFrame:
    """Two hours that are past, and one of this time; KST."""
    times = ["2026-06-30 01:00", "2026-06-30 02:00", late]
    return pl.DataFrame(
        {"tm": times, "station": [108] * 3, "ta": [1.0, 2.0, 3.0], "hm": [50.0] * 3}
    )


def issues(late: datetime = datetime(2099, 1, 1, 2, tzinfo=UTC)) -> pl.DataFrame:
    """An issue that is past and one of this time."""
    issued = [FIRST, late]
    valid = [at + timedelta(hours=4) for at in issued]
    return pl.DataFrame({ISSUED: issued, VALID: valid, "tmp": [1.0, 2.0]})


READ: Final = pl.col("tm").str.to_datetime("%Y-%m-%d %H:%M")
OURS: Final = (
    f"time,station,{AIR}\n2026-06-30T01:00:00Z,108,1\n2026-06-30T02:00:00Z,108,2\n"
    "2099-01-01T01:00:00Z,108,3\n"
)
TEXT: Final = in_kma_names().write_csv()
FILES: Final = {
    "KMA's names": ("a.csv", TEXT.encode(), 4),
    "KMA's names, two stations": ("a.csv", TEXT.replace("02:00,108", "02:00,90").encode(), 4),
    "our names": ("a.csv", OURS.encode(), 4),
    "our names, two stations": ("a.csv", OURS.replace("02:00:00Z,108", "02:00:00Z,90").encode(), 4),
    "Parquet": ("a.parquet", parquet(in_kma_names().with_columns(READ)), 4),
    "past forecasts in Parquet": ("a.parquet", parquet(issues()), 3),
    "past forecasts": (
        portal_village.name("습도"),
        portal_village.text([("20990101", portal_village.days(1, 1, 5.0))]).encode(),
        None,
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_import_refuses_them_with_line_and_reason(
    workspace: Workspace, tmp_path: Path, kind: str
) -> None:
    """The whole file is refused, and the lake stays empty. Lines are counted alike everywhere."""
    name, content, line = FILES[kind]
    (tmp_path / name).write_bytes(content)
    number = line or "[0-9]+"
    where = rf"line {number}, header counted: 20(98|99)-.* UTC is still to come.*clock"
    with pytest.raises(BadData, match=where):
        Import(workspace, FakeClock(NOW)).bring(tmp_path / name, cell=None if line == 4 else CELL)
    assert not workspace.store.names("observations")
    assert not workspace.store.names("guidance")
    assert not workspace.store.names("raw")


def test_the_portals_files_too(workspace: Workspace, tmp_path: Path) -> None:
    """KMA's hourly download."""
    frame = in_kma_names().with_columns(READ)
    path = tmp_path / "OBS_ASOS_TIM.csv"
    path.write_bytes(portal_file.download(frame, encoding="utf-8"))
    with pytest.raises(BadData, match="line 4, header counted: 2098-12-31 16:00 UTC is still to"):
        Import(workspace, FakeClock(NOW)).bring(path)


@pytest.mark.parametrize("given", [WHOSE, None])
def test_a_farms_file_too(workspace: Workspace, tmp_path: Path, given: Identity | None) -> None:
    """An export has one more line above."""
    path = tmp_path / "a.csv"
    times = [NOW.replace(minute=0), datetime(2099, 1, 1, tzinfo=UTC)]
    frame = pl.DataFrame({"time": times, AIR: [1.0, 2.0]})
    path.write_bytes(export.to_csv(frame, WHOSE))
    if given is not None:
        path.write_bytes(path.read_bytes().partition(b"\n")[2])
    line = 4 if given is None else 3
    with pytest.raises(
        BadData, match=f"line {line}, header counted: 2099-01-01 00:00 UTC is still"
    ):
        farm_files.bring(workspace, FakeClock(NOW), path, given)


def test_the_hour_that_has_just_begun_by_another_clock_is_taken(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Clocks differ by minutes; an hour ahead is no such difference."""
    path = tmp_path / "a.csv"
    clock = FakeClock(datetime(2026, 7, 1, 4, 56, tzinfo=UTC))
    path.write_text(in_kma_names("2026-07-01 14:00").write_csv())
    assert Import(workspace, clock).bring(path)[0]["added"] == 3
    path.write_text(in_kma_names("2026-07-01 15:00").write_csv())
    with pytest.raises(BadData, match="still to come"):
        Import(workspace, clock).bring(path)


def seed(workspace: Workspace) -> None:
    """A lake as an import of before left it: with a row of 2099, and an issue."""
    content = in_kma_names().write_csv().encode()
    (frames, source) = importer.read("a.csv", content, None)
    about = {"file": "a.csv", "stations": "108"}
    workspace.raw.keep_once(importer.IMPORTS, 0, about, content, NOW)
    workspace.lake.merge(108, frames[108], source, NOW)
    kept = issues().rename({"tmp": AIR})
    Archive(workspace.store).append(CELL, kept)
    workspace.raw.keep_once("guidance", 97074, {"file": "a.parquet"}, parquet(issues()), NOW)


def test_a_rebuild_removes_them_and_nothing_else(workspace: Workspace) -> None:
    """Rows that no raw answer holds are still no reason to lose others."""
    seed(workspace)
    before = workspace.lake.observations(108, end=NOW)
    done = rebuild.rebuild(workspace, NOW)
    assert any("year=2098" in name for name in done.replaced)
    assert workspace.lake.observations(108).equals(before)
    assert Archive(workspace.store).read(CELL)[ISSUED].to_list() == [FIRST]
    assert rebuild.rebuild(workspace, NOW).replaced == ()
    lost = before.with_columns(pl.col("time") - timedelta(hours=9))
    workspace.lake.merge(108, lost, "csv", NOW)
    with pytest.raises(InputMissing, match="that no raw answer"):
        rebuild.rebuild(workspace, NOW)


def test_status_ignores_them_and_says_how_to_remove_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And it tells of the archive of forecasts."""
    root = tmp_path / "work"
    workspace = setup.create(root, single_key=True)
    seed(workspace)
    assert console.run(cli, "trainer", ["status", "--json", "--config", str(root)]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["stations"]["108"]["hours"] == 2
    assert told["stations"]["108"]["to"] == "2026-06-29 17:00Z"
    assert told["forecasts"]["97,74"]["rows"] == 1
    assert console.run(cli, "trainer", ["status", "--config", str(root)]) == 0
    shown = capfd.readouterr()
    assert "cell 97,74: 1 past forecasts" in shown.out
    for place in ("station 108", "cell 97,74"):
        assert f"warning: {place}: a row is still to come, the first of 20" in shown.err
    assert "trainer ingest --rebuild" in shown.err
    assert console.run(cli, "trainer", ["ingest", "--rebuild", "--config", str(root)]) == 0
    capfd.readouterr()
    assert console.run(cli, "trainer", ["status", "--config", str(root)]) == 0
    assert "still to come" not in capfd.readouterr().err


def test_the_relay_passes_none_on(tmp_path: Path) -> None:
    """Neither hours nor issues: the newest is the newest of the past."""
    workspace = setup.create(tmp_path / "work", single_key=True)
    seed(workspace)
    client = KmaClient(workspace, FakeClock(NOW), {})
    at = relay.relay(client, [108])
    assert at.newest[108] == datetime(2026, 6, 29, 17, tzinfo=UTC)
    newest = Archive(workspace.store).newest(CELL, NOW)
    assert newest == FIRST


@pytest.mark.parametrize("value", ["abc", "inf", "nan", "1_0"])
@pytest.mark.parametrize("kind", ["csv", "ours", "parquet", "portal"])
def test_what_is_no_number_is_told_once_a_column(
    workspace: Workspace, tmp_path: Path, kind: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    """How many, and the first with its line; blanks are none. `1_0` is no number in any file."""
    frame = in_kma_names("2026-06-30 03:00").with_columns(ta=pl.Series(["1.0", value, value]))
    path = tmp_path / "a.csv"
    column = "ta"
    if kind == "csv":
        path.write_text(frame.write_csv())
    elif kind == "ours":
        column = AIR
        times = pl.Series([f"2026-06-30T0{hour}:00:00Z" for hour in range(3)])
        named = frame.select(times.alias("time"), "station", pl.col("ta").alias(AIR))
        path.write_text(named.write_csv())
    elif kind == "parquet":
        path = tmp_path / "a.parquet"
        path.write_bytes(parquet(frame))
    else:
        read = frame.with_columns(READ)
        path.write_bytes(portal_file.download(read, encoding="utf-8"))
    Import(workspace, FakeClock(NOW)).bring(path, 108)
    told = [record.getMessage() for record in caplog.records if "no number" in record.getMessage()]
    begin = f"station 108: column {column}: 2 of 3 values are no number and are left out; the first"
    assert told == [f"{begin} is {value!r} in line 3, header counted"]
