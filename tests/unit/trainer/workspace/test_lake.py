"""Rules L1 to L5 of `trainer.workspace.lake`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from edge_agent.contract import schema
from edge_agent.contract.errors import BadData, StorageError
from edge_agent.contract.schema import Flag, flag_column
from trainer.workspace.lake import Lake, Merge
from trainer.workspace.merge_rules import COLUMNS
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 5, 1, 3, tzinfo=UTC)
T0 = datetime(2023, 12, 31, 22, tzinfo=UTC)
TEMPERATURE = schema.AIR_TEMPERATURE
FLAG = flag_column(TEMPERATURE)


def frame(
    values: list[float | None], *, start: datetime = T0, rain: float | None = None
) -> pl.DataFrame:
    """Hourly rows with temperatures (None = missing) and one amount of rain."""
    columns: dict[str, object] = {
        "time": [start + timedelta(hours=hour) for hour in range(len(values))]
    }
    for name in schema.OBSERVED:
        given = values if name == TEMPERATURE else [None] * len(values)
        if name == schema.RAIN:
            given = [rain] * len(values)
        columns[name] = given
        columns[flag_column(name)] = [
            Flag.MISSING if value is None else Flag.GOOD for value in given
        ]
    types: dict[str, pl.DataType] = {"time": schema.TIME_DTYPE}
    types |= dict.fromkeys(schema.OBSERVED, pl.Float64())
    types |= {flag_column(name): pl.UInt8() for name in schema.OBSERVED}
    return pl.DataFrame(columns, schema_overrides=types)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in a folder."""
    return Lake(FolderStore(tmp_path))


def temperatures(lake: Lake) -> list[float | None]:
    """What the lake has."""
    return lake.observations(108)[TEMPERATURE].to_list()


def revisions(tmp_path: Path, year: int = 2023) -> list[dict[str, object]]:
    """Kept revisions of a year."""
    path = tmp_path / f"revisions/station=108/year={year}.jsonl"
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_rows_lie_by_station_and_utc_year(lake: Lake, tmp_path: Path) -> None:
    """Rows over New Year (UTC) go into two files; both come back as one ascending frame."""
    assert lake.merge(108, frame([1.0, 2.0, 3.0, 4.0]), "asos", NOW) == Merge(added=4)
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.parquet"))
    assert files == [f"observations/station=108/year={year}.parquet" for year in (2023, 2024)]
    rows = lake.observations(108)
    assert tuple(rows.columns) == COLUMNS
    assert rows[TEMPERATURE].to_list() == [1.0, 2.0, 3.0, 4.0]
    assert rows["time"].is_sorted()
    assert rows["source"].unique().to_list() == ["asos"]
    assert lake.stations() == (108,)
    assert (lake.hours(108) * 3600).tolist() == [int(t.timestamp()) for t in rows["time"]]


def test_both_ends_of_a_range_are_included(lake: Lake) -> None:
    """`start` and `end` are hours of the answer, and may lie in a year without a file."""
    lake.merge(108, frame([1.0, 2.0, 3.0, 4.0]), "asos", NOW)
    part = lake.observations(108, T0 + timedelta(hours=1), T0 + timedelta(hours=2))
    assert part[TEMPERATURE].to_list() == [2.0, 3.0]
    assert lake.observations(108, T0 - timedelta(days=900), T0)[TEMPERATURE].to_list() == [1.0]
    assert lake.observations(90).height == 0
    assert lake.observations(90).schema == part.schema


def test_l1_missing_values_are_filled_by_any_source(lake: Lake, tmp_path: Path) -> None:
    """The hub fills what the archive lacks; the row names both; nothing counts as revised."""
    lake.merge(108, frame([None, 2.0], rain=0.0), "asos", NOW)
    assert lake.merge(108, frame([1.5, 9.0]), "hub", NOW) == Merge(changed=1)
    assert temperatures(lake) == [1.5, 2.0]
    assert lake.observations(108)["source"].to_list() == ["asos+hub", "asos"]
    assert not (tmp_path / "revisions").exists()


def test_l2_a_lower_rank_never_replaces(lake: Lake) -> None:
    """Nowcast < hub < archive."""
    lake.merge(108, frame([1.0]), "hub", NOW)
    assert lake.merge(108, frame([7.0]), "nowcast", NOW) == Merge()
    assert lake.merge(108, frame([2.0]), "asos", NOW) == Merge(changed=1, revised=1)
    assert lake.merge(108, frame([3.0]), "hub", NOW) == Merge()
    assert temperatures(lake) == [2.0]
    assert lake.observations(108)["source"].to_list() == ["asos"]


def test_l2_a_higher_rank_takes_over_equal_values(lake: Lake, tmp_path: Path) -> None:
    """What the archive confirms becomes the archive's; no value changed, so no revision."""
    lake.merge(108, frame([1.0]), "hub", NOW)
    assert lake.merge(108, frame([1.0]), "asos", NOW) == Merge(changed=1)
    assert lake.observations(108)["source"].to_list() == ["asos"]
    assert not (tmp_path / "revisions").exists()


def test_l2_the_first_of_equal_rank_stays_named(lake: Lake) -> None:
    """The same values from another archive change nothing."""
    lake.merge(108, frame([1.0]), "parquet", NOW)
    assert lake.merge(108, frame([1.0]), "asos", NOW) == Merge()
    assert lake.observations(108)["source"].to_list() == ["parquet"]


def test_l3_a_blank_erases_nothing_and_a_verdict_does(lake: Lake, tmp_path: Path) -> None:
    """Missing is no news; flag SOURCE says that the value was wrong."""
    lake.merge(108, frame([1.0]), "asos", NOW)
    assert lake.merge(108, frame([None]), "asos", NOW) == Merge()
    withdrawn = frame([None]).with_columns(pl.lit(Flag.SOURCE, pl.UInt8).alias(FLAG))
    assert lake.merge(108, withdrawn, "asos", NOW) == Merge(changed=1, revised=1)
    assert temperatures(lake) == [None]
    assert lake.observations(108)[FLAG].to_list() == [Flag.SOURCE]
    assert revisions(tmp_path)[0]["old"] == 1.0


def test_l4_an_update_keeps_what_it_replaced(lake: Lake, tmp_path: Path) -> None:
    """Old and new value, flags, sources and the time of the update are on record."""
    lake.merge(108, frame([1.0, 2.0]), "asos", NOW)
    assert lake.merge(108, frame([1.0, 2.5]), "asos", NOW) == Merge(changed=1, revised=1)
    assert revisions(tmp_path) == [
        {
            "time": "2023-12-31T23:00:00Z",
            "quantity": TEMPERATURE,
            "old": 2.0,
            "old_flag": 0,
            "old_source": "asos",
            "new": 2.5,
            "new_flag": 0,
            "new_source": "asos",
            "revised_at": "2026-05-01T03:00:00Z",
        }
    ]


def test_l4_a_revision_is_told_once_though_a_kill_repeats_the_merge(
    lake: Lake, tmp_path: Path
) -> None:
    """Killed between the revision and the new value, the next run tells the same step once."""
    path = tmp_path / "observations/station=108/year=2023.parquet"
    lake.merge(108, frame([1.0]), "asos", NOW)
    before = path.read_bytes()
    lake.merge(108, frame([2.0]), "asos", NOW)
    path.write_bytes(before)
    lake.merge(108, frame([2.0]), "asos", NOW + timedelta(hours=1))
    assert [entry["new"] for entry in revisions(tmp_path)] == [2.0]
    lake.merge(108, frame([1.0]), "asos", NOW)
    lake.merge(108, frame([2.0]), "asos", NOW)
    assert [entry["new"] for entry in revisions(tmp_path)] == [2.0, 1.0, 2.0]


def test_l5_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """In any portions and any number of times."""
    whole, parts = Lake(FolderStore(tmp_path / "a")), Lake(FolderStore(tmp_path / "b"))
    rows = frame([float(i) for i in range(100)], start=datetime(2024, 1, 1, tzinfo=UTC))
    whole.merge(108, rows, "asos", NOW)
    parts.merge(108, rows[60:], "asos", NOW)
    parts.merge(108, rows[:70].reverse(), "asos", NOW)
    name = "observations/station=108/year=2024.parquet"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    stamp = (tmp_path / "a" / name).stat().st_mtime_ns
    assert whole.merge(108, rows, "asos", NOW) == Merge()
    assert (tmp_path / "a" / name).stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    "wrong",
    [
        pl.concat([frame([1.0]), frame([2.0])]),
        frame([1.0], start=T0 + timedelta(minutes=30)),
        frame([1.0]).with_columns(pl.lit(None, schema.TIME_DTYPE).alias("time")),
        frame([1.0]).drop(schema.RAIN),
    ],
)
def test_rows_that_are_no_hourly_series_are_refused(lake: Lake, wrong: pl.DataFrame) -> None:
    """Doubled, half-hourly or untimed rows and lacking columns never reach the lake."""
    with pytest.raises(BadData, match="observations from asos"):
        lake.merge(108, wrong, "asos", NOW)
    assert lake.observations(108).height == 0


def test_the_newest_hour_is_found_without_reading_older_years(lake: Lake, tmp_path: Path) -> None:
    """Up to a moment, over the border of a year; none where there is none."""
    border = datetime(2024, 1, 1, tzinfo=UTC)
    hour = timedelta(hours=1)
    assert lake.newest(108, border) is None
    lake.merge(108, frame([1.0], start=datetime(2018, 5, 1, tzinfo=UTC)), "asos", NOW)
    lake.merge(108, frame([1.0, 2.0, 3.0], start=border - hour), "asos", NOW)
    assert lake.newest(108, border + 9 * hour) == border + hour
    assert lake.newest(108, border + 0.1 * hour) == border
    assert lake.newest(108, border - 0.1 * hour) == border - hour
    (tmp_path / "observations/station=108/year=2018.parquet").write_bytes(b"rot")
    assert lake.newest(108, border) == border


def test_a_damaged_file_is_named(lake: Lake, tmp_path: Path) -> None:
    """The error says which file to remove."""
    lake.merge(108, frame([1.0]), "asos", NOW)
    path = tmp_path / "observations/station=108/year=2023.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    named = r"station=108/year=2023\.parquet is damaged: `trainer ingest --rebuild`"
    with pytest.raises(StorageError, match=named):
        lake.observations(108)
