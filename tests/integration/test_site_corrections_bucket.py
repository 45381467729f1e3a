"""Farms, runs and depot in one bucket: one machine corrects, the other finds it done."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract import features
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import run
from tests.fakes.bucket import bucket
from tests.fakes.clock import FakeClock
from tests.fakes.depot import Device
from tests.fakes.own_hours import Character, hours, settle, shared_run
from tests.fakes.runs import Bench
from trainer import cli, setup
from trainer.depot.releases import publish_run
from trainer.gate import gate

pytest.importorskip("moto.server", reason="moto is not installed")
s3_store = pytest.importorskip("trainer.workspace.s3", reason="obstore is not installed")

if TYPE_CHECKING:
    from pathlib import Path

PLACE = "s3://farm/work"
COLD = Character({AIR_TEMPERATURE: -2.0, RELATIVE_HUMIDITY: 9.0}, swing=1.5, seed=5)


def test_farms_are_corrected_where_all_lies_in_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings and keys are enough to tune; the first machine goes on from what that published."""

    def trainer(machine: str, *words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["trainer", *words, "--config", str(tmp_path / machine)])
        capsys.readouterr()
        code = run(cli.cli, "trainer")
        return code, "".join(capsys.readouterr())

    with bucket() as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        clock = FakeClock(SystemClock().now())
        one = setup.create(tmp_path / "one", bucket=PLACE, single_key=True)
        folder = one.run_store.folder(shared_run(Bench(one, clock)).name)
        settle(one.lake, "hill", hours(COLD, gate.load(folder).manifest))
        publish_run(one, folder, "stable", "first", clock)
        (tmp_path / "two").mkdir()
        shutil.copy(one.root / "trainer.toml", tmp_path / "two")
        shutil.copytree(one.root / "keys", tmp_path / "two" / "keys")

        assert trainer("two", "tune", "--dry-run")[0] == 0
        assert trainer("one", "status")[1].count("release 1") == 1
        code, told = trainer("two", "tune")
        assert (code, "release 2 is published on stable" in told) == (0, True), told
        assert trainer("one", "tune")[0] == 11
        assert "farms: 1 corrected; 1 tried, 1 better" in trainer("one", "status")[1]
        assert _corrected(tmp_path, "before", clock) == {AIR_TEMPERATURE, RELATIVE_HUMIDITY}
        assert trainer("one", "rollback", "--to", "1", "--reason", "trial")[0] == 0
        assert _corrected(tmp_path, "after", clock) == set()
        shutil.rmtree(one.runs)
        assert trainer("one", "tune")[0] == 0
        assert _corrected(tmp_path, "again", clock) == {AIR_TEMPERATURE, RELATIVE_HUMIDITY}


def _corrected(tmp_path: Path, name: str, clock: FakeClock) -> set[str]:
    """What a new device of the farm has corrections of."""
    store, depot = s3_store.open_bucket(f"{PLACE}/depot"), tmp_path / name / "depot"
    for key in store.names(""):
        (depot / key).parent.mkdir(parents=True, exist_ok=True)
        (depot / key).write_bytes(store.read(key) or b"")
    pinned = (tmp_path / "one" / "root.json").read_bytes()
    device = Device(tmp_path / name, pinned, clock, digest=features.digest(), id="hill/edge-1")
    device.sync(depot)
    installed = device.slots.load()
    assert installed is not None
    tuning = installed.tuning("hill/edge-1")
    return set(tuning.corrections) if tuning else set()
