"""Real stations as they are, by the commands that a person calls: one training of a short record.

`../shared/data/asos` has stations with every instrument, without pyranometer and barometer, and
with no more than temperature, humidity, rain and cloud; Decembers and single days are missing.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from edge_agent.contract.schema import TARGETS
from edge_agent.system.console import run
from tests.fakes.trained import shrink
from tests.fakes.weather import STATION, kma_record
from trainer import cli

DATA = Path(__file__).parents[3] / "shared" / "data" / "asos"
RECORDS = sorted(DATA.glob("asos_hourly_[0-9]*.parquet"))
HOURS = 800 * 24
"""Of each record, the newest: little more than the shortest that is trained on."""

BARE = ("wind", "pressure", "solar")
UNGUIDED = (
    "KMA's forecasts are not corrected: the archive has no KMA forecasts of the stations' cells "
    "before training ends"
)
STATIONS: dict[int, tuple[str, ...]] = {
    108: (),
    112: BARE,
    129: ("pressure", "solar"),
    133: BARE,
    136: (),
    143: (),
    146: (),
    152: ("pressure", "solar"),
    156: (),
    159: BARE,
    252: (),
}
"""Station -> groups of inputs that its record lacks."""

ALWAYS = (108, 159)
"""The others take a minute."""

needs_data = pytest.mark.skipif(not RECORDS, reason="needs the stations' records (../shared)")


def _trainer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["trainer", *words])
    code = run(cli.cli, "trainer")
    return code, *capsys.readouterr()


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, rounds=8)
    monkeypatch.setenv("TRAINER__TRAINING__THREADS", "1")


def _short(station: int) -> pl.DataFrame:
    parts = [pl.read_parquet(path).filter(pl.col("station") == station) for path in RECORDS]
    rows = pl.concat(part for part in parts if part.height).sort("tm")
    newest = rows["tm"][-1]
    return rows.filter(pl.col("tm") > newest - pl.duration(hours=HOURS))


@needs_data
def test_every_station_is_known_here() -> None:
    """A record that comes to the folder is to be trained on too."""
    held = pl.concat(pl.read_parquet(path, columns=["station"]) for path in RECORDS)
    assert sorted(held["station"].unique().to_list()) == sorted(STATIONS)


@needs_data
@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(
    "station",
    [
        one if one in ALWAYS else pytest.param(one, marks=pytest.mark.slow)
        for one in sorted(STATIONS)
    ],
)
def test_a_station_as_it_is_gets_a_model(
    station: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its candidate beats persistence, and the command names what the station does not measure."""
    farm = str(tmp_path / "farm")
    _short(station).write_parquet(tmp_path / "short.parquet")
    monkeypatch.setenv("TRAINER__STATIONS", f"[{station}]")
    assert _trainer(capsys, monkeypatch, "init", "--single-key", farm)[0] == 0
    code, _, said = _trainer(
        capsys, monkeypatch, "import", "--config", farm, str(tmp_path / "short.parquet")
    )
    assert code == 0, said
    code, out, said = _trainer(capsys, monkeypatch, "train", "--config", farm, "--json")
    assert code == 0, said
    found = json.loads(out)
    absent = STATIONS[station]
    note = f"inputs without values, or always with the same one, take no part: {', '.join(absent)}"
    assert found["notes"] == [*([note] if absent else []), UNGUIDED]
    for target in TARGETS:
        scores = found["scores"][target]
        assert scores["rmse_24h_model"] < scores["rmse_24h_persistence"]


@pytest.mark.usefixtures("_small")
def test_the_command_names_who_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0 with the others' models; exit 65 with what to do where no station is left."""
    farm = str(tmp_path / "farm")
    rows = kma_record().with_columns(station=pl.lit(STATION))
    dry = rows.with_columns(pl.lit(None, pl.Float64).alias("hm"), station=pl.lit(112))
    pl.concat([rows, dry]).write_parquet(tmp_path / "both.parquet")
    _trainer(capsys, monkeypatch, "init", "--single-key", farm)
    code, _, said = _trainer(
        capsys, monkeypatch, "import", "--config", farm, str(tmp_path / "both.parquet")
    )
    assert code == 0, said
    left_out = "station 112: left out, most of its hours lack relative_humidity_pct"
    monkeypatch.setenv("TRAINER__STATIONS", "[108, 112]")
    code, out, said = _trainer(capsys, monkeypatch, "train", "--config", farm)
    assert code == 0, said
    assert f"  {left_out}\n" in out
    assert f"  {UNGUIDED}\ncandidate " in out
    assert f"train: {left_out} (" in said
    monkeypatch.setenv("TRAINER__STATIONS", "[112]")
    code, out, said = _trainer(capsys, monkeypatch, "train", "--config", farm)
    assert (code, out) == (65, "")
    assert "trainer: no station measures what is forecast: station 112: most of its hours" in said
