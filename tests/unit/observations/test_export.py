"""The farm's own hours as they are handed on: files, columns, and the command that writes them."""

from __future__ import annotations

import io
import json
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from click.testing import CliRunner

from edge_agent.commands.history import history
from edge_agent.contract import farm_identity
from edge_agent.contract.errors import BadData, CannotCreate, InputMissing, UsageError
from edge_agent.contract.schema import AIR_TEMPERATURE, SOIL_MOISTURE, TIME, TIME_DTYPE
from edge_agent.core.runtime import DATABASE
from edge_agent.messages import status
from edge_agent.observations import export as history_export
from edge_agent.observations.store import Store
from edge_agent.settings import Device
from edge_agent.system.database import connect
from tests.fakes.forecasts import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = timedelta(hours=1)
WHOSE = history_export.identity(Device(site="hill", id="edge-1", latitude=37.5, longitude=127.0))
SENSOR = '[[sensors]]\ntopic = "roof"\nquantity = "air_temperature_c"\nunit = "C"\n'


def frame(values: dict[int, float | None], name: str = AIR_TEMPERATURE) -> pl.DataFrame:
    """Values by hours after `NOW`."""
    return pl.DataFrame(
        {TIME: [NOW + hour * HOUR for hour in values], name: list(values.values())},
        schema={TIME: TIME_DTYPE, name: pl.Float64},
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with own hours, a gap between, and a station's."""
    with closing(connect(tmp_path / DATABASE)) as db:
        store = Store(db)
        store.put_hourly(history_export.SOURCE, frame({0: 20.12345, 1: -0.5, 3: 1e-9}))
        store.put_hourly(history_export.SOURCE, frame({4: 30.0}, SOIL_MOISTURE))
        store.put_hourly("station:108", frame({0: 5.0, 2: 6.0}))
        yield store


def test_only_what_the_farm_measured_outdoors_is_handed_on(store: Store) -> None:
    """Not a relayed station, not the soil; to a thousandth; hours without a value are absent."""
    found = history_export.hours(store, NOW, NOW + 9 * HOUR)
    assert found.columns == [TIME, AIR_TEMPERATURE]
    assert found.rows() == [(NOW, 20.123), (NOW + HOUR, -0.5), (NOW + 3 * HOUR, 0.0)]
    assert history_export.hours(store, NOW + 4 * HOUR, NOW + 9 * HOUR).is_empty()
    assert status.series(found) == {AIR_TEMPERATURE: (20.123, -0.5, None, 0.0)}


def test_files_say_whose_they_are(store: Store) -> None:
    """Parquet in its metadata, CSV in its first line; both hold the hours as they are."""
    found = history_export.hours(store, NOW, NOW + 9 * HOUR)
    parquet = io.BytesIO(history_export.to_parquet(found, WHOSE))
    assert pl.read_parquet(parquet).equals(found)
    assert farm_identity.decode(pl.read_parquet_metadata(parquet)[farm_identity.EXPORT]) == WHOSE
    lines = history_export.to_csv(found, WHOSE).decode().splitlines()
    assert lines[0].startswith(f"# {farm_identity.EXPORT} {{")
    assert farm_identity.decode(lines[0].removeprefix(f"# {farm_identity.EXPORT} ")) == WHOSE
    assert lines[1:3] == [f"time,{AIR_TEMPERATURE}", "2026-07-01T05:00:00Z,20.123"]


@pytest.mark.parametrize(
    "text", ["", "{", '{"site":"hill"}', farm_identity.encode(WHOSE).replace("37.5", "137.5")]
)
def test_an_identity_from_elsewhere_is_checked(text: str) -> None:
    """No JSON, no farm, or a place that is not on earth is bad data."""
    with pytest.raises(BadData, match="who the hours are of"):
        farm_identity.decode(text)


def run(folder: Path, *args: str, sensors: str = SENSOR) -> str:
    """Output of `history export` on a device of a folder."""
    (folder / "c.toml").write_text(f'[storage]\npath = "."\n{sensors}', "utf-8")
    done = CliRunner().invoke(
        history, ["export", "--config", str(folder / "c.toml"), *args], catch_exceptions=False,
        standalone_mode=False,
    )  # fmt: skip
    return done.stdout


@pytest.mark.usefixtures("store")
def test_export_writes_beside_an_open_database(tmp_path: Path) -> None:
    """The service's own connection stays open; days are the farm's, both ends included."""
    target = tmp_path / "out.parquet"
    said = json.loads(run(tmp_path, str(target), "--json"))
    assert (said["hours"], said["quantities"]) == (3, [AIR_TEMPERATURE])
    assert pl.read_parquet(target).height == 3
    run(tmp_path, str(tmp_path / "day.csv"), "--from", "2026-07-01", "--to", "2026-07-01")
    assert len((tmp_path / "day.csv").read_text("utf-8").splitlines()) == 2 + 3
    with pytest.raises(InputMissing, match="nothing is stored of the farm's own"):
        run(tmp_path, str(tmp_path / "none.csv"), "--from", "2026-07-02")
    assert not (tmp_path / "none.csv").exists()


@pytest.mark.usefixtures("store")
def test_export_says_what_is_wrong(tmp_path: Path) -> None:
    """A file that is there stays; no sensors, days the wrong way round, an unknown ending."""
    target = tmp_path / "out.csv"
    target.write_text("mine", "utf-8")
    with pytest.raises(CannotCreate, match=r"out\.csv: is there already"):
        run(tmp_path, str(target))
    assert target.read_text("utf-8") == "mine"
    with pytest.raises(UsageError, match=r"name a \.parquet or a \.csv file"):
        run(tmp_path, str(tmp_path / "out.txt"))
    with pytest.raises(UsageError, match="--from lies after --to"):
        run(tmp_path, "new.csv", "--from", "2026-07-02", "--to", "2026-07-01")
    with pytest.raises(InputMissing, match="no outdoor sensor is configured"):
        run(tmp_path, "new.csv", sensors=SENSOR + 'role = "indoor"\n')
    with pytest.raises(CannotCreate, match="choose another place"):
        run(tmp_path, "/proc/nothing/new.csv")


def test_a_device_that_never_ran_has_nothing(tmp_path: Path) -> None:
    """No database is made by asking."""
    with pytest.raises(InputMissing, match="the agent has not run yet"):
        run(tmp_path, str(tmp_path / "new.csv"))
    assert not (tmp_path / DATABASE).exists()
