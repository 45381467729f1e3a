"""`edge-agent replay --forecasts`, as its help says."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import polars as pl
import pytest
from click.testing import CliRunner

from edge_agent.commands.replay import replay
from edge_agent.contract.errors import BadData, InputMissing, UsageError
from edge_agent.replay.forecast_table import SCHEMA
from tests.fakes.farm import install_release
from tests.fakes.history import station_hours, village_forecasts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a device with a release, and files of past hours and forecasts in it."""
    (tmp_path / "c.toml").write_text('[storage]\npath = "state"\n')
    install_release(tmp_path / "state")
    station_hours().write_parquet(tmp_path / "station.parquet")
    village_forecasts().write_parquet(tmp_path / "village.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE_AGENT_CONFIG", "c.toml")
    return tmp_path


def call(*args: str) -> list[dict[str, object]]:
    """JSON lines that the command prints."""
    result = CliRunner().invoke(replay, args, catch_exceptions=False, standalone_mode=False)
    return [json.loads(line) for line in result.stdout.splitlines()]


PERIOD = ("--from", "2019-07-01", "--to", "2019-07-01T05:00Z")


def example() -> list[str]:
    """Words of the second example of the help."""
    assert replay.help is not None
    text = re.sub(r"\s+", " ", replay.help.split("Example: edge-agent replay ")[2])
    return shlex.split(text)


def test_the_example_of_the_help_writes_the_table(farm: Path) -> None:
    """Exactly the columns of the documentation; alerts and scores are printed as ever."""
    lines = call(*example())
    assert lines[-1]["hours"] == 49
    assert lines[-1]["release"] == 3
    assert "heat" in [line.get("rule") for line in lines]
    frame = pl.read_parquet(farm / "forecasts.parquet")
    assert frame.schema == SCHEMA
    assert frame.height == 49 * 48 * 2
    assert frame["release"].unique().to_list() == [3]


def test_without_the_option_nothing_is_written(farm: Path) -> None:
    """The lines are the same with it and without."""
    before = sorted(farm.iterdir())
    plain = call("--observations", "station.parquet", *PERIOD)
    assert sorted(farm.iterdir()) == before
    written = call("--observations", "station.parquet", *PERIOD, "--forecasts", "o.parquet")
    assert [{**line, "seconds": 0} for line in written] == [
        {**line, "seconds": 0} for line in plain
    ]


def test_own_hours_and_another_release_and_place(farm: Path) -> None:
    """From `--own` the forecast is by the models themselves; CSV does as well."""
    station_hours().write_csv(farm / "own.csv")
    folder = farm / "state" / "releases" / "3"
    folder.rename(farm / "release")
    (farm / "state" / "slots.json").unlink()
    args = ("--own", "own.csv", *PERIOD, "--forecasts", "o.parquet")
    with pytest.raises(InputMissing, match="no release is installed"):
        call(*args)
    call(*args, "--release", "release", "--place", "37.57,126.97,86")
    assert pl.read_parquet(farm / "o.parquet")["source"].unique().to_list() == ["model"]
    call("--observations", "station.parquet", *args[2:], "--release", "release", "--station", "90")
    assert "model_relayed_station" in pl.read_parquet(farm / "o.parquet")["source"]


def test_releases_that_cannot_be_used(farm: Path) -> None:
    """No folder of a release, a file that is gone, one that was changed: each by name."""
    args = ("--observations", "station.parquet", *PERIOD, "--release", "r")
    with pytest.raises(InputMissing, match=r"r/manifest\.json: No such file"):
        call(*args)
    (farm / "state" / "releases" / "3").rename(farm / "r")
    model = next((farm / "r" / "files").rglob("model.onnx"))
    whole = model.read_bytes()
    model.write_bytes(whole + b"0")
    with pytest.raises(BadData, match=r"model\.onnx: is not the file of its manifest"):
        call(*args)
    model.unlink()
    with pytest.raises(InputMissing, match=r"model\.onnx: No such file"):
        call(*args)
    (farm / "r" / "manifest.json").write_text("{}")
    with pytest.raises(BadData, match=r"^r: "):
        call(*args)


def test_bad_calls(farm: Path) -> None:
    """Files that are none, periods that are none."""
    with pytest.raises(InputMissing, match=r"none\.parquet: no such file"):
        call("--observations", "none.parquet", *PERIOD)
    with pytest.raises(BadData, match=r"station\.parquet: no columns issued_at"):
        call("--observations", "station.parquet", "--guidance", "station.parquet", *PERIOD)
    with pytest.raises(UsageError, match="is before the first"):
        call("--observations", "station.parquet", "--from", "2019-07-02", "--to", "2019-07-01")
    with pytest.raises(UsageError, match="give a time such as"):
        call("--observations", "station.parquet", "--from", "x", "--to", "2019-07-01")
    before = (farm / "station.parquet").read_bytes()
    with pytest.raises(UsageError, match="would be replaced by the forecasts"):
        call("--observations", "station.parquet", *PERIOD, "--forecasts", "station.parquet")
    assert (farm / "station.parquet").read_bytes() == before
    assert not (farm / "forecasts.parquet").exists()
