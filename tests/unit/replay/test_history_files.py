"""Rules H1 to H5 of `edge_agent.replay.history_files`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.errors import BadData, FarmError, InputMissing
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    OBSERVED,
    RAIN,
    RAIN_CHANCE,
    RELATIVE_HUMIDITY,
    STATION_PRESSURE,
    TIME,
)
from edge_agent.replay import history_files
from tests.fakes.history import FIRST, HOUR, SITE, STATION, station_hours, village_forecasts

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, frame: pl.DataFrame) -> Path:
    """A file of the kind that its name says."""
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path)
    return path


def read(*paths: Path, station: int = STATION) -> pl.DataFrame:
    """Observations of files."""
    return history_files.observations(paths, station, SITE)


def test_h1_kmas_names_and_korean_time(tmp_path: Path) -> None:
    """The hour of 09 KST is 00 UTC; every quantity has its column, in KMA's values."""
    hours = station_hours(days=2)
    frame = read(written(tmp_path / "a.parquet", hours))
    assert frame.columns == [TIME, *OBSERVED]
    assert frame[TIME][0] == FIRST
    assert frame[AIR_TEMPERATURE].equals(hours["ta"].alias(AIR_TEMPERATURE))
    assert frame["visibility_m"].equals((hours["vs"] * 10).alias("visibility_m"))


def test_h1_csv_is_read_as_parquet_is(tmp_path: Path) -> None:
    """KMA's names and ours, times as text; the first line of a farm's own export is a comment."""
    parquet = read(written(tmp_path / "a.parquet", station_hours(days=2)))
    assert read(written(tmp_path / "a.csv", station_hours(days=2))).equals(parquet)
    assert read(written(tmp_path / "ours.parquet", parquet)).equals(parquet)
    text = parquet.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ")
    (tmp_path / "ours.csv").write_text(f"# a farm\n{text}")
    assert read(tmp_path / "ours.csv").equals(parquet)


def test_h1_forecasts_in_kmas_names_or_ours(tmp_path: Path) -> None:
    """`tmp`, `reh`, `pop`; columns of the archive; text in CSV. What is impossible is null."""
    issued = datetime(2019, 7, 1, 2, tzinfo=UTC)
    rows = pl.DataFrame(
        {
            "issued_at": [issued, issued],
            "valid_at": [issued + 4 * HOUR, issued + 7 * HOUR],
            "tmp": [24.0, -99.0],
            "reh": [65.0, -1.0],
            "pop": [30.0, 40.0],
            "place": ["Busan", "Busan"],
        }
    )
    frame = history_files.guidance([written(tmp_path / "a.parquet", rows)])
    assert frame.schema == GUIDANCE
    assert frame.select(ISSUED, VALID, AIR_TEMPERATURE, RELATIVE_HUMIDITY, RAIN_CHANCE).rows() == [
        (issued, issued + 4 * HOUR, 24.0, 65.0, 30.0),
        (issued, issued + 7 * HOUR, None, None, 40.0),
    ]
    ours = rows.rename({"tmp": AIR_TEMPERATURE, "reh": RELATIVE_HUMIDITY, "pop": RAIN_CHANCE})
    assert history_files.guidance([written(tmp_path / "b.parquet", ours)]).equals(frame)
    text = rows.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ")
    (tmp_path / "c.csv").write_text(text)
    assert history_files.guidance([tmp_path / "c.csv"]).equals(frame)


def test_h2_files_are_joined(tmp_path: Path) -> None:
    """A later file adds hours and columns, and replaces values where it has some."""
    base = {"station": [STATION] * 3, "tm": ["2019-06-10 09:00", "2019-06-10 10", "2019061011"]}
    first = pl.DataFrame(base | {"ta": [1.0, 2.0, 3.0], "ps": [1000.0, 1001.0, 1002.0]})
    later = pl.DataFrame(
        base | {"ta": [None, 2.5, None], "hm": [50.0, 51.0, 52.0]},
        schema_overrides={"ta": pl.Float64},
    )
    frame = read(
        written(tmp_path / "a.parquet", first), written(tmp_path / "b.parquet", later.head(2))
    )
    assert frame[AIR_TEMPERATURE].to_list() == [1.0, 2.5, 3.0]
    assert frame[RELATIVE_HUMIDITY].to_list() == [50.0, 51.0, None]
    assert frame["sea_level_pressure_hpa"].to_list() == [1000.0, 1001.0, 1002.0]
    assert frame[STATION_PRESSURE].null_count() == 3
    forecasts = village_forecasts(days=4)
    parts = [
        written(tmp_path / "tmp.parquet", forecasts.drop("reh")),
        written(tmp_path / "reh.parquet", forecasts.drop("tmp")),
    ]
    whole = written(tmp_path / "whole.parquet", forecasts)
    assert history_files.guidance(parts).equals(history_files.guidance([whole]))


def test_h3_rows_of_the_wanted_station(tmp_path: Path) -> None:
    """Of several stations one is taken; a file of one station is of wherever the caller says."""
    hours = station_hours(days=2)
    other = hours.with_columns(pl.lit(159, pl.Int32).alias("station"), pl.col("ta") + 5)
    both = written(tmp_path / "both.parquet", pl.concat([hours, other]))
    warmer = read(both, station=159)[AIR_TEMPERATURE] - read(both)[AIR_TEMPERATURE]
    assert warmer.to_list() == pytest.approx([5.0] * hours.height)
    with pytest.raises(BadData, match="rows of stations 108, 159, and none of 90"):
        read(both, station=90)
    assert read(written(tmp_path / "one.parquet", other), station=90).height == other.height


def test_h4_sums_of_six_hours_are_no_hourly_rain(tmp_path: Path) -> None:
    """`r06` is left out."""
    forecasts = village_forecasts(days=4)
    assert forecasts["r06"].max() == 7.5
    frame = history_files.guidance([written(tmp_path / "a.parquet", forecasts)])
    assert frame[RAIN].null_count() == frame.height


def test_h5_rain_of_winter_is_known_at_its_hour(tmp_path: Path) -> None:
    """Cutting the file after an hour changes nothing of it, nor of the hours before."""
    hours = station_hours(datetime(2019, 1, 5, tzinfo=UTC), 3).with_columns(
        pl.when(pl.col("tm").dt.hour() == 15).then(4.0).alias("rn")
    )
    whole = read(written(tmp_path / "whole.parquet", hours))
    assert whole[RAIN].null_count() == 0
    assert whole[RAIN].sum() == 12.0
    for rows in range(4, hours.height):
        part = read(written(tmp_path / "part.parquet", hours.head(rows)))
        assert part.equals(whole.head(part.height))


OBSERVATION = {"tm": ["2019-06-10 09:00"], "ta": [1.0]}
FORECAST = {"issued_at": [FIRST], "valid_at": [FIRST + 4 * HOUR], "tmp": [20.0]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ta": [1.0]}, "no column tm .KMA's names. or time"),
        ({"tm": ["2019-06-10 09:00"]}, "no column of ta, hm"),
        ({"tm": ["2019-06-10 09:30"], "ta": [1.0]}, "not a full hour like"),
        ({"time": [FIRST.replace(tzinfo=None)], AIR_TEMPERATURE: [1.0]}, "column time must be UTC"),
        ({"time": [FIRST + timedelta(minutes=5)], AIR_TEMPERATURE: [1.0]}, "not a full hour"),
        ({"time": ["yesterday"], AIR_TEMPERATURE: [1.0]}, "a time is missing"),
        ({"time": [FIRST], AIR_TEMPERATURE: ["warm"]}, "holds 'warm', which is no number"),
    ],
)
def test_bad_observations_are_named(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    """The file and what is wrong with it, in one line."""
    path = written(tmp_path / "bad.parquet", pl.DataFrame(columns))
    with pytest.raises(BadData, match=message) as fault:
        read(path)
    assert str(fault.value).startswith(str(path))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"issued_at": [FIRST], "tmp": [1.0]}, "no columns issued_at and valid_at"),
        ({"issued_at": [FIRST], "valid_at": [FIRST], "lead_h": [1.0]}, "no column of tmp, reh"),
        (FORECAST | {"valid_at": [FIRST - HOUR]}, "row 1: issued .* that is no forecast"),
        (FORECAST | {"valid_at": [FIRST + 500 * HOUR]}, "row 1: issued .* that is no forecast"),
        (FORECAST | {"issued_at": [FIRST.replace(tzinfo=None)]}, "column issued_at must be UTC"),
        (FORECAST | {AIR_TEMPERATURE: [20.0]}, "stands twice"),
        (FORECAST | {"tmp": ["warm"]}, "holds 'warm', which is no number"),
    ],
)
def test_bad_forecasts_are_named(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    """The same for guidance."""
    path = written(tmp_path / "bad.parquet", pl.DataFrame(columns))
    with pytest.raises(BadData, match=message) as fault:
        history_files.guidance([path])
    assert str(fault.value).startswith(str(path))


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent, of another kind, damaged, too large."""
    with pytest.raises(InputMissing, match=r"none\.parquet: no such file"):
        read(tmp_path / "none.parquet")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(BadData, match=r"unknown kind of file: give \.parquet or \.csv"):
        read(tmp_path / "a.txt")
    good = written(tmp_path / "a.parquet", pl.DataFrame(OBSERVATION)).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(good[:-9])
    with pytest.raises(BadData, match="not a readable Parquet file"):
        read(tmp_path / "cut.parquet")
    (tmp_path / "a.csv").write_bytes(b"tm,ta\n\xff\xfe,1\n")
    with pytest.raises(FarmError, match=r"a\.csv: "):
        read(tmp_path / "a.csv")
    monkeypatch.setattr(history_files, "MAX_ROWS", 0)
    for name in ("a.parquet", "long.csv"):
        (tmp_path / "long.csv").write_text("tm,ta\n2019-06-10 09:00,1\n")
        with pytest.raises(BadData, match=r"more (than 0 )?rows"):
            read(tmp_path / name)


def test_h3_hours_of_another_station_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Only where the files are said to be of the station: a farm's own file may have any number."""
    path = written(tmp_path / "a.parquet", station_hours(days=2))
    for number, relayed, told in ((STATION, True, 0), (7, False, 0), (7, True, 1)):
        caplog.clear()
        history_files.observations([path], number, SITE, relayed=relayed)
        assert len(caplog.messages) == told
    assert caplog.messages == [f"{path}: has hours of station {STATION}: taken for 7"]


def test_h6_what_cannot_be_used_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Kelvin, a missing target, and two rows of one hour, each with the file's name."""
    hours = station_hours(days=2)
    good = written(tmp_path / "good.parquet", hours)
    read(good)
    assert caplog.messages == []
    kelvin = written(tmp_path / "kelvin.parquet", hours.with_columns(pl.col("ta") + 273.15))
    read(kelvin)
    assert f"{kelvin}: {hours.height} of {hours.height} values of {AIR_TEMPERATURE}" in caplog.text
    caplog.clear()
    dry = written(tmp_path / "dry.parquet", hours.drop("hm"))
    read(dry)
    assert caplog.messages == [f"{dry}: has no value of {RELATIVE_HUMIDITY}"]
    caplog.clear()
    twice = written(
        tmp_path / "twice.parquet", pl.concat([hours, hours.head(3).with_columns(pl.col("ta") + 1)])
    )
    read(twice)
    assert caplog.messages == [f"{twice}: 3 rows stand twice and differ: the last one counts"]
    caplog.clear()
    issues = village_forecasts(days=2).with_columns(tmp=pl.lit(-99.0), reh=pl.lit(None))
    wrong = written(tmp_path / "wrong.parquet", issues)
    history_files.guidance([wrong])
    assert f"{wrong}: {issues.height} of {issues.height} values of {AIR_TEMPERATURE}" in caplog.text
    assert f"{wrong}: has no value of {RELATIVE_HUMIDITY}" in caplog.text
