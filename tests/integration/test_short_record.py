"""A year and a half of observations and forecasts, trained on and judged on the months after."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from polars.testing import assert_frame_equal

from edge_agent.cli import cli as agent
from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.dfs_grid import cell_of
from edge_agent.contract.errors import GateRefused
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RELATIVE_HUMIDITY,
    SKY,
    TARGETS,
    TIME,
    WIND_SPEED,
)
from tests.fakes import guided as fakes
from tests.fakes.trained import shrink
from tests.fakes.weather import FIRST, SITE, STATION, kma_record, record
from trainer import setup
from trainer.cli import cli as trainer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import click
    from click.testing import Result

KMA_NAMES = {
    ISSUED: "issued_at",
    VALID: "valid_at",
    AIR_TEMPERATURE: "tmp",
    RELATIVE_HUMIDITY: "reh",
    WIND_SPEED: "wsd",
    SKY: "sky",
}
AS_OF = date(2021, 7, 1)
FILES = ("--observations", "station.parquet", "--guidance", "village.parquet")
PERIOD = ("--from", "2021-07-01", "--to", "2021-07-10")
PLACE = ("--station", str(STATION))


def call(program: click.Command, *args: str) -> Result:
    """Run a command."""
    done = CliRunner().invoke(program, args, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh workspace into which both files were imported and in which a run was trained."""
    root = tmp_path_factory.mktemp("short") / "farm"
    setup.create(root, single_key=True)
    kma_record().with_columns(station=pl.lit(STATION, pl.Int32)).write_parquet(
        root / "station.parquet"
    )
    forecasts = fakes.guidance().rename(KMA_NAMES).select(KMA_NAMES.values())
    forecasts.write_parquet(root / "village.parquet")
    (root / "agent.toml").write_text('[storage]\npath = "state"\n')
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        fakes.shrink(patch, rounds=40)
        patch.chdir(root)
        call(trainer, "import", "station.parquet")
        cell = cell_of(SITE.latitude, SITE.longitude)
        call(trainer, "import", "village.parquet", "--cell", f"{cell.nx},{cell.ny}")
        done = call(trainer, "train", "--as-of", str(AS_OF), "--json")
        (root / "train.json").write_text(done.stdout)
        yield root


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of the run, with its workspace as working folder."""
    monkeypatch.chdir(folder)
    name: str = json.loads((folder / "train.json").read_text())["run"]
    return name


@pytest.mark.usefixtures("run")
def test_the_run_says_that_its_record_is_short(folder: Path) -> None:
    """How many days, and what it means; nothing after the day was read."""
    said = json.loads((folder / "train.json").read_text())
    days = (AS_OF - FIRST.date()).days - 1
    assert f"short record: {days} days of observations, 730 are usual; " in said["notes"][-1]
    assert "some seasons once" in said["notes"][-1]
    manifest = json.loads((folder / "runs" / said["run"] / "manifest.json").read_text())
    for newest in ("data_to", "guidance_to"):
        assert manifest["lineage"][newest] <= "2021-06-30T15:00Z"


def test_later_months_are_forecast_and_the_run_is_called_not_approved(run: str) -> None:
    """Better than KMA's forecasts; the device's replay of the folder gives the same file."""
    done = call(trainer, "forecast", *PLACE, "--run", run, *FILES, *PERIOD, "--out", "o.parquet")
    assert f"warning: {run} is not approved: the gate has not judged it; `trainer ev" in done.stderr
    rows = pl.read_parquet("o.parquet")
    warmth = rows.filter(pl.col("quantity") == AIR_TEMPERATURE)
    assert warmth.filter(pl.col("lead_h") == 24)["source"].unique().to_list() == ["guided"]
    raw, own = _errors(warmth)
    assert own < 0.95 * raw
    replayed = call(
        agent, "replay", "--config", "agent.toml", "--release", f"runs/{run}", *PLACE, *FILES,
        *PERIOD, "--forecasts", "device.parquet",
    )  # fmt: skip
    assert f"warning: runs/{run} is a training run and no release" in replayed.stderr
    assert_frame_equal(pl.read_parquet("device.parquet"), rows, check_exact=True)


def test_the_gate_says_what_it_lacks_and_the_run_stays_readable(run: str) -> None:
    """Too short a holdout is refused with its days; forecasts from the run name the refusal."""
    with pytest.raises(GateRefused, match=r"G11 the holdout has 3\d days.* 180 are needed"):
        call(trainer, "promote", run, "--channel", "stable")
    args = (*PLACE, "--run", run, *FILES, "--from", "2021-07-01", "--to", "2021-07-02")
    done = call(trainer, "forecast", *args, "--out", "p.parquet", "--json")
    assert not json.loads(done.stdout)["approved"]
    assert f"warning: {run} is not approved: refused for stable: G11 the holdout" in done.stderr
    assert set(pl.read_parquet("p.parquet")["quantity"]) == set(TARGETS)


def _errors(rows: pl.DataFrame) -> tuple[float, float]:
    """RMSE of KMA's newest readable forecast, and of the rows, on the hours that both have."""
    readable = fakes.guidance().select(
        pl.col(ISSUED) + timedelta(minutes=10), pl.col(VALID), raw=AIR_TEMPERATURE
    )
    joined = (
        rows.join(record().select(TIME, truth=AIR_TEMPERATURE), left_on="valid_at", right_on=TIME)
        .sort("issued_at")
        .join_asof(
            readable.sort(ISSUED),
            left_on="issued_at",
            right_on=ISSUED,
            by_left="valid_at",
            by_right=VALID,
            check_sortedness=False,
        )
        .drop_nulls(("raw", "truth"))
    )
    truth = joined["truth"].to_numpy()
    raw, own = (joined[name].to_numpy() - truth for name in ("raw", "value"))
    return float(np.sqrt(np.mean(raw**2))), float(np.sqrt(np.mean(own**2)))
