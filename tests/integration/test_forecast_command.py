"""`trainer forecast`, as its help says, beside `edge-agent replay` with the same models."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner
from polars.testing import assert_frame_equal

from edge_agent.commands.replay import replay
from edge_agent.contract.errors import BadData, FarmError, InputMissing, UsageError
from edge_agent.contract.schema import TARGETS
from edge_agent.replay.forecast_table import SCHEMA, ForecastTable
from tests.fakes.clock import FakeClock
from tests.fakes.history import echo, station_hours, village_forecasts
from tests.fakes.loaded import Says
from tests.fakes.runs import GOOD, Bench
from tests.fakes.trained import AS_OF
from trainer import setup
from trainer.commands.forecast import forecast
from trainer.evaluation import run_folder
from trainer.evaluation.hindcast import ReleaseModels
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.manifest import Manifest
    from edge_agent.forecasting.forecaster import LoadedRelease


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A workspace with a run, and files of past hours and forecasts beside its settings."""
    setup.create(tmp_path / "farm", single_key=True)
    monkeypatch.chdir(tmp_path / "farm")
    station_hours().with_columns(station=pl.lit(159, pl.Int32)).write_parquet("station.parquet")
    village_forecasts().write_parquet("village.parquet")
    made = Bench(Workspace.open(tmp_path / "farm", {}), FakeClock(AS_OF))
    made.run("20220105-columns", GOOD)
    return made


def call(*args: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(forecast, args, catch_exceptions=False, standalone_mode=False)
    return result.stdout


def example() -> list[str]:
    """Words of the help's example."""
    assert forecast.help is not None
    return shlex.split(re.sub(r"\s+", " ", forecast.help.split("Example: trainer forecast ")[1]))


FILES = ("--observations", "station.parquet", "--guidance", "village.parquet")
PERIOD = ("--from", "2019-07-01", "--to", "2019-07-03")


def test_the_example_of_the_help_is_what_a_device_forecasts(bench: Bench) -> None:
    """The columns, rows and numbers of `edge-agent replay` with the run's folder."""
    said = call(*example())
    assert said == f"forecasts.parquet: {49 * 48 * 2} rows by 20220105-columns\n"
    frame = pl.read_parquet("forecasts.parquet")
    assert frame.schema == SCHEMA
    (bench.workspace.runs.parent / "c.toml").write_text('[storage]\npath = "state"\n')
    folder = str(bench.workspace.runs / "20220105-columns")
    device = ("--config", "c.toml", "--release", folder, "--station", "159")
    result = CliRunner().invoke(
        replay,
        [*device, *FILES, *PERIOD, "--forecasts", "device.parquet"],
        catch_exceptions=False,
        standalone_mode=False,
    )
    assert result.exit_code == 0
    assert_frame_equal(pl.read_parquet("device.parquet"), frame, check_exact=True)


def test_a_release_at_a_place(bench: Bench) -> None:
    """By channel; its number stands in the file."""
    bench.publish(bench.workspace.runs / "20220105-columns")
    place = ("--place", "35.2,129.1,20")
    said = call(*place, *FILES, *PERIOD, "--out", "o.parquet", "--channel", "stable", "--json")
    assert json.loads(said)["models"] == "release 1"
    assert pl.read_parquet("o.parquet")["release"].unique().to_list() == [1]


@pytest.mark.parametrize(
    ("args", "fault", "message"),
    [
        ((), UsageError, "Name --station N or --place"),
        (("--station", "159", "--run", "a", "--channel", "stable"), UsageError, "not both"),
        (("--station", "159", "--channel", "canary"), InputMissing, "nothing is published on"),
        (("--station", "159", "--run", "none"), InputMissing, "is no candidate"),
        (("--station", "7"), UsageError, "station 7 is not one of"),
        (("--place", "35,129"), UsageError, "give latitude, longitude and metres"),
        (("--station", "159", "--guidance", "station.parquet"), BadData, "no columns issued_at"),
    ],
)
@pytest.mark.usefixtures("bench")
def test_bad_calls(args: tuple[str, ...], fault: type[FarmError], message: str) -> None:
    """One line each, and nothing is written."""
    with pytest.raises(fault, match=message):
        call(*args, *FILES, *PERIOD, "--out", "o.parquet")


@pytest.mark.parametrize("out", ["station.parquet", "village.parquet", "./x/../village.parquet"])
def test_what_is_read_is_never_replaced(bench: Bench, out: str) -> None:
    """A slip of the keyboard must not cost an archive."""
    (bench.workspace.runs.parent / "x").mkdir(exist_ok=True)
    before = Path(out).read_bytes()
    with pytest.raises(UsageError, match="would be replaced by the forecasts"):
        call("--station", "159", *FILES, *PERIOD, "--out", out)
    with pytest.raises(UsageError, match=r"give a name that ends in \.parquet"):
        call("--station", "159", *FILES, *PERIOD, "--out", "o.csv")
    assert Path(out).read_bytes() == before


@pytest.mark.usefixtures("bench")
def test_models_that_correct_guidance_take_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that has them forecasts with them, as a device does."""
    at_hand = ReleaseModels.tried

    def guided(manifest: Manifest, files: Mapping[str, bytes]) -> ReleaseModels:
        return replace(at_hand(manifest, files), guided=dict.fromkeys(TARGETS, Says(echo)))

    monkeypatch.setattr(ReleaseModels, "tried", guided)
    used: list[LoadedRelease] = []

    def past(_device: object, release: LoadedRelease, _history: object) -> ForecastTable:
        used.append(release)
        return ForecastTable()

    monkeypatch.setattr("edge_agent.replay.forecast_table.past_forecasts", past)
    call(*example())
    assert used[0].guided.keys() == set(TARGETS)


def test_a_run_of_other_features_is_refused(bench: Bench) -> None:
    """Models that would get other numbers than they were trained on."""
    manifest, _, _ = run_folder.load(bench.workspace.runs / "20220105-columns")
    features = msgspec.structs.replace(manifest.features, digest="0" * 64)
    other = bench.run("20220106-other", GOOD, features=features)
    with pytest.raises(BadData, match="20220106-other: has other features than this program"):
        call("--station", "159", *FILES, *PERIOD, "--out", "o.parquet", "--run", other.name)
