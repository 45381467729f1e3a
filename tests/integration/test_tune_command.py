"""`trainer tune` as a person calls it, and the farm's own agent on what it published."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_agent.contract import features, site_correction
from edge_agent.contract.forecast import NoForecast
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY, TARGETS
from edge_agent.core.loaded_release import DeviceRelease, load_release
from edge_agent.forecasting import forecaster
from edge_agent.forecasting.forecaster import CheckedSeries, place_of
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import run
from tests.fakes.clock import FakeClock
from tests.fakes.depot import Device
from tests.fakes.own_hours import FIRST, Character, hours, settle, shared_run
from tests.fakes.runs import GOOD, Bench
from tests.fakes.weather import SITE
from trainer import cli, setup
from trainer.depot.releases import publish_run
from trainer.gate import gate

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.forecast import Forecast
    from trainer.workspace.workspace import Workspace

COLD = Character({AIR_TEMPERATURE: -2.0, RELATIVE_HUMIDITY: 9.0}, swing=1.5, seed=5)
HILL, OTHER = "hill/edge-1", "other/edge-1"
AT = FIRST + timedelta(days=380)


@pytest.fixture
def central(tmp_path: Path) -> Workspace:
    """A workspace with a live release and the history of one farm."""
    made = setup.create(tmp_path / "central", single_key=True)
    clock = FakeClock(SystemClock().now())
    folder = shared_run(Bench(made, clock))
    settle(made.lake, "hill", hours(COLD, gate.load(folder).manifest))
    publish_run(made, folder, "stable", "first", clock)
    return made


def _trainer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["trainer", *words])
    code = run(cli.cli, "trainer")
    return code, *capsys.readouterr()


def _loaded(tmp_path: Path, central: Workspace, name: str) -> DeviceRelease:
    """What a farm's device has in memory after a sync."""
    pinned = (central.root / "root.json").read_bytes()
    clock = FakeClock(SystemClock().now())
    device = Device(tmp_path / name, pinned, clock, digest=features.digest(), id=name)
    assert device.sync(central.depot) == 2
    installed = device.slots.load()
    assert installed is not None
    return load_release(installed, name)


def _forecast(loaded: DeviceRelease) -> Forecast:
    made = forecaster.make(hours(COLD, loaded.manifest), SITE, loaded, AT)
    assert not isinstance(made, NoForecast)
    return made


def test_a_farm_hears_what_its_history_taught(
    central: Workspace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Published, pulled and applied: the farm's values move by its correction, nobody else's do."""
    config = ("--config", str(central.root / "trainer.toml"))
    code, out, _ = _trainer(capsys, monkeypatch, "tune", "--dry-run", *config)
    assert (code, out) == (0, "1 tried, 1 better, 0 as good without, 0 not judged\n")
    code, out, _ = _trainer(capsys, monkeypatch, "tune", "--json", *config)
    assert code == 0
    told = json.loads(out)
    assert (told["release"], told["channel"], told["better"]) == (2, "stable", 1)
    own, plain = (_forecast(_loaded(tmp_path, central, name)) for name in (HILL, OTHER))
    loaded = _loaded(tmp_path / "again", central, HILL)
    place = place_of(SITE, loaded.manifest.sites)
    frame = hours(COLD, loaded.manifest).filter(hours(COLD, loaded.manifest)["time"] <= AT)
    series = CheckedSeries.of(clean(frame), place)
    leads = np.array(LEADS)
    matrix = features.matrix(series.table, np.full(len(leads), int(series.usable[-1])), leads)
    for target in TARGETS:
        change = site_correction.change(loaded.tuning[target], matrix, leads)
        moved = own.targets[target].values - plain.targets[target].values
        assert moved == pytest.approx(change[-len(moved) :], abs=1e-4)
    assert _forecast(loaded).targets[AIR_TEMPERATURE].values.mean() == pytest.approx(
        plain.targets[AIR_TEMPERATURE].values.mean() - 2.0, abs=1.0
    )
    code, _, said = _trainer(capsys, monkeypatch, "tune", *config)
    assert code == 11, said
    code, out, _ = _trainer(capsys, monkeypatch, "status", *config)
    assert "farms: 1 corrected; 1 tried, 1 better, 0 as good without, 0 not judged" in out
    # The page is about the models; written for the run with farms it would not be found.
    assert "report: none; write it: trainer report shared\n" in out
    monkeypatch.setattr(gate, "decide", lambda _, folder, *__: folder)
    newer = Bench(central, FakeClock(SystemClock().now())).run("newer", GOOD)
    code, _, said = _trainer(
        capsys, monkeypatch, "promote", newer.name, "--channel", "stable", *config
    )
    assert (code, "of release 2 fitted its models alone: `trainer tune" in said) == (0, True)
    code, _, said = _trainer(
        capsys, monkeypatch, "promote", "shared", "--channel", "stable", *config
    )
    assert (code, "trainer tune" in said) == (0, False)


def test_an_unknown_farm_and_a_bad_name_are_said(
    central: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 66 with how to bring hours in; exit 64 for what cannot be a name."""
    config = ("--config", str(central.root / "trainer.toml"))
    code, _, said = _trainer(capsys, monkeypatch, "tune", "--farm", "no/such", *config)
    assert code == 66
    assert "trainer farm import" in said
    code, _, said = _trainer(capsys, monkeypatch, "tune", "--farm", "../x", *config)
    assert code == 64
