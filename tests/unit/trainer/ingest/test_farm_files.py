"""Files of farms' hours: what is taken and what is refused."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData, FarmError, InputMissing, UsageError
from edge_agent.contract.farm_identity import Identity
from edge_agent.contract.schema import Flag, flag_column
from edge_agent.observations import export
from tests.fakes.clock import FakeClock
from trainer.ingest import farm_files
from trainer.workspace import farms
from trainer.workspace.config import Config
from trainer.workspace.lake import Merge
from trainer.workspace.places import FarmId
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 7, 1, 5, 10, tzinfo=UTC)
HILL = FarmId("hill", "edge-1")
WHOSE = Identity(
    site="hill", device="edge-1", latitude=37.5, longitude=127.0, elevation_m=86.0, source="csv"
)
HOURS = pl.DataFrame(
    {
        "time": [NOW.replace(minute=0) - timedelta(hours=back) for back in (3, 1, 0)],
        schema.AIR_TEMPERATURE: [20.5, None, 21.0],
        schema.RELATIVE_HUMIDITY: [60.0, 61.0, None],
    },
    schema_overrides={"time": schema.TIME_DTYPE},
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path, Config())


def bring(
    workspace: Workspace, name: str, content: bytes, given: Identity | None = None
) -> tuple[FarmId, Merge]:
    """Bring in a file of these bytes."""
    (workspace.root / name).write_bytes(content)
    return farm_files.bring(workspace, FakeClock(NOW), workspace.root / name, given)


@pytest.mark.parametrize(
    ("name", "encode"), [("a.parquet", export.to_parquet), ("a.csv", export.to_csv)]
)
def test_an_export_comes_in_as_it_went_out(
    workspace: Workspace, name: str, encode: type[object]
) -> None:
    """Whose it is, every value and every gap; twice is once."""
    content = encode(HOURS, WHOSE)  # type: ignore[call-arg]
    assert isinstance(content, bytes)
    assert bring(workspace, name, content) == (HILL, Merge(added=3))
    rows = workspace.lake.observations(HILL)
    assert rows.select(HOURS.columns).equals(HOURS)
    assert rows[flag_column(schema.AIR_TEMPERATURE)].to_list() == [
        Flag.GOOD,
        Flag.MISSING,
        Flag.GOOD,
    ]
    assert rows["source"].unique().to_list() == [name.rpartition(".")[2]]
    assert farms.farm(workspace.lake, HILL).site == schema.Site(37.5, 127.0, 86.0)
    assert bring(workspace, name, content) == (HILL, Merge())


def test_a_table_from_elsewhere_needs_to_be_named(workspace: Workspace) -> None:
    """Its hours come in with the caller's word; a file that speaks for itself takes none."""
    plain = export.to_csv(HOURS, WHOSE).partition(b"\n")[2]
    with pytest.raises(UsageError, match=r"a\.csv: it does not say whose.*--elevation"):
        bring(workspace, "a.csv", plain)
    assert bring(workspace, "a.csv", b"\xef\xbb\xbf" + plain, WHOSE) == (HILL, Merge(added=3))
    for name, content in (
        ("b.csv", export.to_csv(HOURS, WHOSE)),
        ("b.parquet", export.to_parquet(HOURS, WHOSE)),
    ):
        with pytest.raises(UsageError, match="it says itself whose hours"):
            bring(workspace, name, content, WHOSE)


def bad_files() -> dict[str, tuple[str, bytes, str]]:
    """What is wrong: file name, bytes, what the error says."""
    head = export.to_csv(HOURS, WHOSE).partition(b"\n")[0]
    columns = b"time,air_temperature_c\n"
    good = b"2026-07-01T01:00:00Z,20.5\n"
    ahead = HOURS.with_columns(pl.col("time") + timedelta(hours=1))
    naive = io.BytesIO()
    HOURS.with_columns(pl.col("time").dt.replace_time_zone(None)).write_parquet(
        naive, metadata={"farm-edge/history/1": msgspec.json.encode(WHOSE).decode()}
    )
    return {
        "half an hour": (
            "a.csv",
            head + b"\n" + columns + good + b"2026-07-01T01:30:00Z,1\n",
            r"line 4, header counted: time '2026-07-01T01:30:00Z' is no full hour",
        ),
        "no time": (
            "a.csv",
            head + b"\n" + columns + good + b",1\n",
            "line 4, header counted: time ''",
        ),
        "no quantity": ("a.csv", head + b"\ntime,x\n" + good, "no column of air_temperature_c"),
        "no time column": ("a.csv", head + b"\nair_temperature_c\n1\n", "no column time"),
        "nobody": (
            "a.csv",
            head.replace(b"hill", b"../x") + b"\n" + columns + good,
            "who the hours are of",
        ),
        "a tale": (
            "a.csv",
            head.replace(b'"source":"', b'"source":"' + b"x" * 101) + b"\n" + columns + good,
            "who the hours are of",
        ),
        "nothing": ("a.csv", head + b"\n" + columns, "has no hours"),
        "to come": (
            "a.csv",
            export.to_csv(ahead, WHOSE),
            "line 5, header counted: 2026-07-01 06:00 UTC is still to come",
        ),
        "no zone": ("a.parquet", naive.getvalue(), "time must be UTC"),
        "no numbers": (
            "a.parquet",
            export.to_parquet(HOURS.with_columns(pl.concat_list(schema.AIR_TEMPERATURE)), WHOSE),
            r"column air_temperature_c is of List\(Float64\): numbers are needed",
        ),
        "cut off": ("a.parquet", export.to_parquet(HOURS, WHOSE)[:-9], "not a readable Parquet"),
        "wide": (
            "a.csv",
            head + b"\ntime,air_temperature_c" + b",a" * 5000 + b"\n",
            "first line is longer than 10000 bytes",
        ),
        "no table": ("a.csv", head + b"\n" + columns + b"1,2,3\n", "not a readable CSV file"),
        "no ending": ("a.txt", b"", "unknown kind of file"),
    }


@pytest.mark.parametrize("case", bad_files())
def test_a_bad_file_changes_nothing(workspace: Workspace, case: str) -> None:
    """One line with the file, the place within and what is expected; the lake stays empty."""
    name, content, text = bad_files()[case]
    with pytest.raises(BadData, match=rf"{name}: .*{text}") as fault:
        bring(workspace, name, content)
    assert "\n" not in str(fault.value)
    assert farms.farms(workspace.lake) == ()
    assert not workspace.store.names("observations")


def test_files_have_limits(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes or rows than any farm has are refused; a file that is not there is said so."""
    monkeypatch.setattr(farm_files, "MAX_ROWS", 2)
    for name, content in (
        ("a.csv", export.to_csv(HOURS, WHOSE)),
        ("a.parquet", export.to_parquet(HOURS, WHOSE)),
    ):
        with pytest.raises(BadData, match="more than 2 rows"):
            bring(workspace, name, content)
    monkeypatch.setattr(farm_files, "MAX_BYTES", 100)
    with pytest.raises(BadData, match="more than 100 bytes"):
        bring(workspace, "a.csv", export.to_csv(HOURS, WHOSE))
    with pytest.raises(InputMissing, match="no such file"):
        farm_files.bring(workspace, FakeClock(NOW), workspace.root / "none.csv")


def test_columns_that_are_nobodys_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of one value costs a Parquet file some bytes, and 4 MB where it is unpacked."""
    read, wanted = pl.read_parquet, []

    def watched(*args: object, columns: list[str], **others: object) -> pl.DataFrame:
        wanted.extend(columns)
        return read(*args, columns=columns, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(pl, "read_parquet", watched)
    wide = HOURS.with_columns(pl.lit(1).alias(f"x{number}") for number in range(20))
    _, frame, _ = farm_files.read("a.parquet", export.to_parquet(wide, WHOSE))
    assert wanted == HOURS.columns
    assert frame.height == HOURS.height


def test_what_is_no_number_is_said_wrong() -> None:
    """As in all imports: null with the source's flag, and the hour stays."""
    content = export.to_csv(HOURS, WHOSE).replace(b"20.5", b"warm")
    _, frame, _ = farm_files.read("a.csv", content)
    flags = frame[flag_column(schema.AIR_TEMPERATURE)].to_list()
    assert flags == [Flag.SOURCE, Flag.MISSING, Flag.GOOD]


def test_another_unit_is_doubted(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    """Degrees Fahrenheit come in, as values out of range do, but not without a word."""
    bring(workspace, "a.csv", export.to_csv(HOURS, WHOSE))
    assert not caplog.records
    fahrenheit = HOURS.with_columns(pl.col(schema.AIR_TEMPERATURE) * 1.8 + 32)
    bring(workspace, "a.csv", export.to_csv(fahrenheit, WHOSE))
    (record,) = caplog.records
    assert "a.csv: 100% of air_temperature_c lie outside -40 to 45 °C" in record.getMessage()


def test_faults_are_of_this_project() -> None:
    """Nothing of a library gets through for bytes that are no table at all."""
    for content in (b"", b"\x00" * 50, b"# farm-edge/history/1 {}\n", b"time\n"):
        for name in ("a.csv", "a.parquet"):
            with pytest.raises(FarmError):
                farm_files.read(name, content)
