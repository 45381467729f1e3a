"""Farms are tried on a real Dask cluster: the corrections of the local run, byte for byte."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.contract.schema import AIR_TEMPERATURE
from tests.fakes.clock import FakeClock
from tests.fakes.own_hours import FIRST, Character, hours, settle, shared_run
from tests.fakes.runs import Bench
from trainer import setup
from trainer.gate import gate
from trainer.site_corrections import all_farms
from trainer.site_corrections.outcomes import NAME
from trainer.workspace.config import Compute
from trainer.workspace.workspace import Workspace

pytest.importorskip("distributed", reason="Dask is not installed")

from tests.integration.test_dask import Cluster

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.site_corrections.all_farms import CorrectedRun

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
UNTIL = FIRST + timedelta(days=700)


def _tune(root: Path, compute: Compute) -> tuple[CorrectedRun, bytes]:
    made = Workspace.open(root, {})
    config = msgspec.structs.replace(made.config, compute=compute)
    done = all_farms.correct_farms(
        replace(made, config=config),
        all_farms.CorrectionRequest(made.runs / "shared", "stable", UNTIL),
        FakeClock(UNTIL),
        progress=lambda _: None,
    )
    return done, (done.folder / NAME).read_bytes()


def test_farms_on_a_cluster_are_corrected_as_here(tmp_path: Path) -> None:
    """The same run, decisions and outcome from two workers, a damaged farm included."""
    made = setup.create(tmp_path / "here", single_key=True)
    manifest = gate.load(shared_run(Bench(made, FakeClock(UNTIL)))).manifest
    for seed, name in enumerate(("hill", "dale", "brook", "broken")):
        like = Character({AIR_TEMPERATURE: 2.0 * seed}, swing=1.0, seed=seed)
        settle(made.lake, name, hours(like, manifest))
    (made.root / "lake" / "farms" / "broken" / "edge-1.json").write_bytes(b"{")
    shutil.copytree(made.root, tmp_path / "there")
    here, record = _tune(tmp_path / "here", Compute())
    assert here.outcome.better == 2
    assert "broken/edge-1.json is damaged" in here.outcome.left_out["broken/edge-1"]
    with Cluster(tmp_path) as cluster:
        address = Compute(backend="dask", scheduler=cluster.address)
        there, same = _tune(tmp_path / "there", address)
    assert (there.folder.name, there.outcome, same) == (here.folder.name, here.outcome, record)
