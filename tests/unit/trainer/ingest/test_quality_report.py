"""The quality report and the comparison with neighbours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from edge_agent.contract import kma_fields, quality, schema
from edge_agent.contract.schema import Flag, Site, flag_column
from edge_agent.contract.stations import stations
from trainer.ingest.quality_report import COLUMNS, report
from trainer.ingest.spatial_check import disagreeing

WEEK = Path(__file__).parents[5] / "shared/data/asos/asos_hourly_all_stations_2022w32.parquet"
START = datetime(2023, 6, 30, 12, tzinfo=UTC)
SITES = {
    number: Site(37.0 + number * 0.1, 127.0, 50.0) for number in range(5)
} | {9: Site(37.0, 127.0, 900.0), 10: Site(33.0, 127.0, 50.0)}  # fmt: skip


def rows(offset: float = 0.0, hours: int = 48) -> pl.DataFrame:
    """Two days of a warm and a cool half, moved by `offset`."""
    times = [START + timedelta(hours=hour) for hour in range(hours)]
    values = [20.0 + offset + (5.0 if hour % 24 < 12 else 0.0) + hour % 3 for hour in range(hours)]
    return pl.DataFrame(
        {"time": times, schema.AIR_TEMPERATURE: values},
        schema_overrides={"time": schema.TIME_DTYPE},
    )


def suspects(frames: dict[int, pl.DataFrame]) -> dict[int, int]:
    """Number of temperatures that part from the neighbours, by station."""
    found = disagreeing({n: quality.clean(f) for n, f in frames.items()}, SITES)
    return {number: int(frame[schema.AIR_TEMPERATURE].sum()) for number, frame in found.items()}


def test_a_value_that_parts_from_all_neighbours_is_suspect() -> None:
    """One hour of one station; its neighbours, who see one another, are not blamed."""
    frames = {number: rows(number * 0.5, hours=240) for number in range(5)}
    spoilt = pl.when(pl.int_range(pl.len()) == 30).then(pl.col(schema.AIR_TEMPERATURE) + 9.0)
    frames[2] = frames[2].with_columns(
        spoilt.otherwise(pl.col(schema.AIR_TEMPERATURE)).alias(schema.AIR_TEMPERATURE)
    )
    assert suspects(frames) == {0: 0, 1: 0, 2: 1, 3: 0, 4: 0}


def test_a_habit_is_no_fault() -> None:
    """A station that is always far colder than those around it is at a cold place."""
    frames = {number: rows() for number in range(4)} | {4: rows(-15.0)}
    assert suspects(frames) == dict.fromkeys(range(5), 0)


def test_mountains_and_far_places_are_no_neighbours() -> None:
    """With fewer than three neighbours nothing is judged."""
    frames = {0: rows(), 1: rows(), 9: rows(30.0), 10: rows(30.0)}
    frames[0] = frames[0].with_columns(pl.Series(schema.AIR_TEMPERATURE, [20.0] * 47 + [44.0]))
    assert suspects(frames) == {0: 0, 1: 0, 9: 0, 10: 0}


def test_flags_are_counted_by_korean_month() -> None:
    """15 UTC is midnight in Korea: the last hours of June (UTC) belong to July."""
    frame = rows().with_columns(
        pl.when(pl.int_range(pl.len()) == 40).then(99.0)
        .otherwise(pl.col(schema.AIR_TEMPERATURE)).alias(schema.AIR_TEMPERATURE),
        pl.when(pl.int_range(pl.len()) == 41).then(Flag.SOURCE).otherwise(Flag.GOOD)
        .cast(pl.UInt8).alias(flag_column(schema.AIR_TEMPERATURE)),
    ).filter(pl.int_range(pl.len()) != 42)  # fmt: skip
    found = report({0: frame}, SITES)
    assert tuple(found.columns) == COLUMNS
    june, july = found.filter(pl.col("quantity") == schema.AIR_TEMPERATURE).iter_rows(named=True)
    assert (june["month"], june["hours"], june["usable"]) == ("2023-06", 3, 3)
    assert (july["month"], july["hours"], july["usable"]) == ("2023-07", 45, 42)
    assert (july["range"], july["source"], july["missing"]) == (1, 1, 1)


def test_an_empty_lake_has_an_empty_report() -> None:
    """Nothing to say is not an error."""
    assert report({}, {}).height == 0
    assert report({0: rows().clear()}, SITES).height == 0


@pytest.mark.skipif(not WEEK.is_file(), reason="the real week of all stations is not at hand")
def test_the_real_week_of_all_stations_is_accounted_for() -> None:
    """Every value sent is usable or flagged, and none of the real week is called suspect."""
    source = pl.read_parquet(WEEK)
    frames = {
        int(number): kma_fields.tidy(part, stations()[int(number)].site)
        for (number,), part in source.partition_by("station", as_dict=True).items()
    }
    found = report(frames, {number: station.site for number, station in stations().items()})
    assert found["station"].n_unique() == 95
    flags = [flag.name.lower() for flag in Flag if flag not in {Flag.GOOD, Flag.ACCUMULATED}]
    assert found.select(
        (pl.col("usable") + pl.sum_horizontal(flags) == pl.col("hours")).all()
    ).item()
    assert found["neighbours"].sum() == 0
    sums = {row[0]: row[1] for row in found.group_by("quantity").agg(pl.col("usable").sum()).rows()}
    stuck = {row[0]: row[1] for row in found.group_by("quantity").agg(pl.col("stuck").sum()).rows()}
    for field, name in kma_fields.NAMES.items():
        if field not in {"rn", "ss", "icsr"}:
            assert sums[name] + stuck[name] == source[field].count(), name
    assert sums[schema.RAIN] == source.height
