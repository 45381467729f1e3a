"""The forecasts of a replay as a table, and that they rest on nothing of the future."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from edge_agent.contract.bundles import ISSUED
from edge_agent.contract.errors import CannotCreate, InputMissing, UsageError
from edge_agent.contract.forecast import NoForecast, Source
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, TIME
from edge_agent.core.cycle import Decision
from edge_agent.replay import history
from edge_agent.replay.forecast_table import SCHEMA, ForecastTable, past_forecasts
from edge_agent.replay.history import HistoryFiles
from edge_agent.replay.places import device_at
from edge_agent.settings import Device
from tests.fakes.forecasts import NOW, forecast
from tests.fakes.history import (
    FIRST,
    HOUR,
    STATION,
    echo,
    station_hours,
    village_forecasts,
)
from tests.fakes.loaded import FakeRelease, Says

if TYPE_CHECKING:
    from pathlib import Path

START = FIRST + 21 * 24 * HOUR
END = START + 40 * HOUR
DEVICE = device_at(Device(), None, STATION)


def played(
    folder: Path,
    *,
    until: datetime | None = None,
    first: datetime = START,
    last: datetime = END,
    seasons_first: datetime = FIRST,
) -> pl.DataFrame:
    """Forecasts by models that look at every input; files are cut after an hour."""
    hours, issues = station_hours(seasons_first), village_forecasts(seasons_first, every=1)
    if until is not None:
        korean = until.replace(tzinfo=None) + 9 * HOUR
        hours = hours.filter(pl.col("tm") <= korean)
        # KMA publishes ten minutes later.
        issues = issues.filter(pl.col("issued_at") < until)
    hours.write_parquet(folder / "station.parquet")
    issues.write_parquet(folder / "village.parquet")
    files = HistoryFiles(
        station=[folder / "station.parquet"], guidance=[folder / "village.parquet"]
    )
    release = FakeRelease(predictors={t: Says(echo) for t in TARGETS})
    past = history.read(files, DEVICE, first, last)
    return past_forecasts(DEVICE, release, past).frame()


def test_rows_are_what_was_forecast() -> None:
    """One row a decision, hour and quantity, with its quantiles, source and release."""
    said = forecast([20.0, 21.0, 22.0], now=NOW)
    table = ForecastTable()
    at = NOW + timedelta(minutes=2)
    table.add(Decision(at, said, "", (), (), (), None, ()))
    table.add(Decision(at, NoForecast(at, "no release"), "", (), (), (), None, ()))
    frame = table.frame()
    assert frame.schema == SCHEMA
    assert frame.columns == [
        "issued_at", "valid_at", "lead_h", "quantity", "value", "p10", "p50", "p90", "source",
        "release",
    ]  # fmt: skip
    warm = frame.filter(pl.col("quantity") == AIR_TEMPERATURE)
    assert warm["valid_at"].to_list() == list(said.valid_at)
    assert warm["value"].to_list() == [20.0, 21.0, 22.0]
    target = said.targets[AIR_TEMPERATURE]
    for name, level in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9)):
        assert warm[name].to_list() == target.quantile(level).tolist()
    assert frame["source"].unique().to_list() == [str(said.source)]
    assert frame["release"].unique().to_list() == [said.release]
    assert frame["quantity"].unique(maintain_order=True).to_list() == list(said.targets)
    assert ForecastTable().frame().schema == SCHEMA


def test_each_hour_names_what_made_it() -> None:
    """A joined forecast has hours of more than one source, by quantity."""
    said = forecast([20.0, 21.0, 22.0], now=NOW)
    made = [Source.GUIDED, Source.GUIDED, Source.MODEL]
    table = ForecastTable()
    joined = replace(said, sources={AIR_TEMPERATURE: made})
    table.add(Decision(NOW, joined, "", (), (), (), None, ()))
    frame = table.frame()
    warm = frame.filter(pl.col("quantity") == AIR_TEMPERATURE)
    assert warm["source"].to_list() == [str(source) for source in made]
    moist = frame.filter(pl.col("quantity") == RELATIVE_HUMIDITY)
    assert set(moist["source"]) == {str(said.source)}


def test_hours_ahead_count_from_the_decisions_full_hour(tmp_path: Path) -> None:
    """Each hour of the period has 48 hours of both quantities, two minutes after it."""
    frame = played(tmp_path)
    hours = frame["issued_at"].dt.truncate("1h")
    assert hours.unique(maintain_order=True).to_list() == [START + n * HOUR for n in range(41)]
    assert (frame["issued_at"] - hours).unique().to_list() == [timedelta(minutes=2)]
    assert (frame["valid_at"] - hours).dt.total_hours().cast(pl.Int32).equals(frame["lead_h"])
    assert frame.group_by("issued_at", "quantity").len()["len"].unique().to_list() == [48]
    assert frame["lead_h"].unique().sort().to_list() == list(range(1, 49))
    assert set(frame["source"]) == {Source.GUIDANCE, Source.MODEL_RELAYED}
    assert (frame["p10"] <= frame["p50"]).all()
    assert (frame["p50"] <= frame["p90"]).all()


@pytest.mark.parametrize("first", [FIRST, datetime(2019, 1, 3, tzinfo=UTC)])
def test_nothing_of_the_future_is_read(tmp_path: Path, first: datetime) -> None:
    """Inputs that end with an hour give the same forecasts up to it, in winter too."""
    start = first + 20 * 24 * HOUR
    end = start + 6 * 24 * HOUR
    whole = played(tmp_path, first=start, last=end, seasons_first=first)
    for back in (1, 2, 3, 26):
        cut = end - back * HOUR
        part = played(tmp_path, until=cut, first=start, last=cut, seasons_first=first)
        known = whole.filter(pl.col("issued_at") <= cut + timedelta(minutes=2))
        assert_frame_equal(part, known, check_exact=True)


def test_guidance_is_used_once_it_is_out(tmp_path: Path) -> None:
    """An issue changes no forecast of its own hour, and changes those after it."""
    issued = START + 5 * 24 * HOUR + 2 * HOUR
    assert village_forecasts().filter(pl.col("issued_at") == issued).height
    last = issued + 3 * HOUR
    whole = played(tmp_path, last=last)
    issues = village_forecasts(every=1).with_columns(
        pl.when(pl.col("issued_at") == issued).then(pl.col("tmp") - 3).otherwise("tmp").alias("tmp")
    )
    issues.write_parquet(tmp_path / "village.parquet")
    files = HistoryFiles(
        station=[tmp_path / "station.parquet"], guidance=[tmp_path / "village.parquet"]
    )
    release = FakeRelease(predictors={t: Says(echo) for t in TARGETS})
    changed = past_forecasts(DEVICE, release, history.read(files, DEVICE, START, last)).frame()
    differs = (whole["value"] != changed["value"]) & (whole["quantity"] == AIR_TEMPERATURE)
    first = whole.filter(differs)["issued_at"].min()
    assert first == issued + HOUR + timedelta(minutes=2)


def test_a_new_device_has_the_days_before(tmp_path: Path) -> None:
    """Twenty days of hours and two days of issues before the first hour, no more."""
    station_hours().write_parquet(tmp_path / "s.parquet")
    village_forecasts().write_parquet(tmp_path / "v.parquet")
    files = HistoryFiles(own=[tmp_path / "s.parquet"], guidance=[tmp_path / "v.parquet"])
    past = history.read(files, DEVICE, START, END)
    assert list(past.observations) == ["sensor:outdoor"]
    assert past.observations["sensor:outdoor"][TIME][0] == START - history.HISTORY
    assert past.guidance is not None
    assert past.guidance[ISSUED][0] == START - 2 * 24 * HOUR + 2 * HOUR
    assert past.guidance[RELATIVE_HUMIDITY].null_count() == 0


def test_files_without_the_period_are_named(tmp_path: Path) -> None:
    """So is a period that ends before it begins, and a file that cannot be written."""
    station_hours().write_parquet(tmp_path / "s.parquet")
    village_forecasts(days=4).write_parquet(tmp_path / "v.parquet")
    files = HistoryFiles(station=[tmp_path / "s.parquet"])
    later = START + 400 * 24 * HOUR
    with pytest.raises(InputMissing, match="no observations between"):
        history.read(files, DEVICE, later, later)
    both = HistoryFiles(station=files.station, guidance=[tmp_path / "v.parquet"])
    with pytest.raises(InputMissing, match="no guidance between"):
        history.read(both, DEVICE, START, END)
    with pytest.raises(UsageError, match="is before the first"):
        history.read(files, DEVICE, END, START)
    with pytest.raises(CannotCreate, match="choose another place"):
        ForecastTable().write(tmp_path / "s.parquet" / "out.parquet")


def test_places_of_a_replay() -> None:
    """A station's own place, the station nearest to a place, both; else as it was."""
    assert device_at(Device(), None, None) == Device()
    busan = device_at(Device(), None, 159)
    assert (busan.latitude, busan.longitude, busan.station) == (35.10468, 129.03203, 159)
    near = device_at(Device(), "35.10,129.03,70", None)
    assert (near.latitude, near.elevation_m, near.station) == (35.1, 70.0, 159)
    assert device_at(Device(), "35.10,129.03,70", 152).station == 152
    for wrong in ("35.1,129.0", "x,y,z", "35,129,nan", "91,129,0", ""):
        with pytest.raises(UsageError, match=r"--place .*: give latitude, longitude and metres"):
            device_at(Device(), wrong, None)
    with pytest.raises(UsageError, match="station 7 is not one of"):
        device_at(Device(), None, 7)
