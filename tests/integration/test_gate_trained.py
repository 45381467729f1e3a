"""The gate and `trainer evaluate` on really trained, very small candidates."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from edge_agent.contract import features
from edge_agent.contract.errors import GateRefused
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS
from tests.fakes.clock import FakeClock
from tests.fakes.hostile_farms import add_hostile_farm
from tests.fakes.runs import lower_floor
from tests.fakes.trained import AS_OF, make_workspace, shrink, train
from trainer.cli import cli
from trainer.depot.releases import publish_run
from trainer.evaluation import dataset, run_folder
from trainer.evaluation.daily_sums import CHALLENGER, LOSSES, from_bytes
from trainer.evaluation.holdout_scores import SCORED_LEADS
from trainer.gate import gate
from trainer.gate.decision import Decision
from trainer.gate.rules_champion import Route
from trainer.training import farm_check, lake_source
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

# One worker trains once for all of them.


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, list[Path]]]:
    """A workspace and three candidates of one recipe that differ by their seed."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        lower_floor(patch)
        made = make_workspace(tmp_path_factory.mktemp("gate") / "farm")
        settings = made.root / "trainer.toml"
        text = settings.read_text().replace("# holdout_share = 0.2", "holdout_share = 0.3")
        folders = []
        for seed in (1, 2, 3):
            settings.write_text(text.replace("# seed = 20240417", f"seed = {seed}"))
            made = Workspace.open(made.root, {})
            folders.append(train(made))
        yield made, folders


def _decide(made: Workspace, folder: Path) -> Decision:
    with contextlib.suppress(GateRefused):
        gate.decide(made, folder, "stable", FakeClock(AS_OF))
    return msgspec.json.decode((folder / "gate-stable.json").read_bytes(), type=Decision)


def test_other_seeds_are_not_better(farm: tuple[Workspace, list[Path]]) -> None:
    """Trained on the same hours with other seeds, temperature is never called better.

    Humidity of a dozen trees really differs by its seed: there the days are right to say so.
    """
    made, folders = farm
    assert len({folder.name for folder in folders}) == 3
    first = _decide(made, folders[0])
    assert first.passed, first.reasons
    publish_run(made, folders[0], "stable", "test", FakeClock(AS_OF))
    for folder in folders[1:]:
        decision = _decide(made, folder)
        assert decision.terms.same_recipe
        assert decision.routes[AIR_TEMPERATURE] is not Route.BETTER
        recorded, again = gate.recompute(folder, "stable")
        assert recorded == again == decision


def test_evidence_agrees_with_the_scores_of_training(farm: tuple[Workspace, list[Path]]) -> None:
    """Two ways to the same figures: the metrics of the run, and the gate's daily sums."""
    made, folders = farm
    metrics = run_folder.load(folders[0])[2]
    _, content = gate.examine(made, folders[0])
    sums = from_bytes(content)
    for target in TARGETS:
        for lead in SCORED_LEADS:
            for name, ours in ((CHALLENGER, "model"), *((n, n) for n in ("persistence",
                               "climatology", "damped_anomaly"))):  # fmt: skip
                total = sums.losses[target, f"lead:{lead}", name].sum(axis=0)
                rmse = float(np.sqrt(total[LOSSES.index("squared")] / total[0]))
                # The seed recipe may lack a few more hours.
                assert rmse == pytest.approx(metrics.scores[target][ours][lead].rmse, rel=2e-3)
        total = sums.losses[target, "lead:24", CHALLENGER].sum(axis=0)
        whole = metrics.detail[target].spread[24]["all"]
        assert total[LOSSES.index("crps")] / total[0] == pytest.approx(whole.crps, rel=2e-3)
        share = total[LOSSES.index("inside_80")] / total[0]
        assert share == pytest.approx(whole.coverage_80, abs=2e-3)
        assert share == pytest.approx(metrics.coverage_80[target][24], abs=2e-3)


def test_detail_covers_every_slice(farm: tuple[Workspace, list[Path]]) -> None:
    """Seasons add up to the whole; every block, station, event and PIT tenth is there."""
    metrics = run_folder.load(farm[1][0])[2]
    found = metrics.detail[AIR_TEMPERATURE]
    for name in ("model", "persistence", "climatology", "damped_anomaly"):
        assert set(found.parts[name]) == set(SCORED_LEADS)
        parts = found.parts[name][24]
        rows = {part: score.rows for part, score in parts.items()}
        whole = metrics.scores[AIR_TEMPERATURE][name][24]
        assert sum(rows.get(s, 0) for s in ("DJF", "MAM", "JJA", "SON")) == whole.rows
        assert sum(rows[f"{3 * block:02d}"] for block in range(8)) == whole.rows
        assert parts["station 108"].rmse == pytest.approx(whole.rmse, abs=1e-4)
    assert "JJA 15" in found.parts["model"][24]
    assert set(found.events) == {"heat", "frost"}
    assert set(metrics.detail[RELATIVE_HUMIDITY].events) == {"dryness", "damp"}
    for spread in found.spread[24].values():
        assert sum(spread.pit) == pytest.approx(1.0, abs=1e-3)
    heat = found.events["heat"][24]
    total = heat.reliability - heat.resolution + heat.uncertainty
    assert 0.0 < heat.base_rate < 0.2
    assert total == pytest.approx(heat.brier, abs=0.01)


def test_a_challenger_trained_on_the_holdout_is_caught(
    farm: tuple[Workspace, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training that went on into the hours it is judged on is refused by its own lineage."""
    made, _ = farm
    shrink(monkeypatch)
    lower_floor(monkeypatch)

    def cheat(first: datetime, last: datetime, share: float, embargo: int) -> dataset.Split:
        borders = dataset.split(first, last, share, embargo)
        return replace(borders, train_end=borders.holdout + timedelta(days=90))

    monkeypatch.setattr(lake_source, "split", cheat)
    folder = train(made)
    with pytest.raises(GateRefused, match="G13 trained on hours up to 2021-08-27"):
        gate.decide(made, folder, "canary", FakeClock(AS_OF))


def test_what_hostile_farms_cost_the_stations_is_seen(
    farm: tuple[Workspace, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were they trained on, the release would be refused: it is judged by stations alone (I2)."""
    shrink(monkeypatch)
    lower_floor(monkeypatch)
    monkeypatch.setattr(farm_check, "fault_of", lambda *_: "")
    made = Workspace.open(shutil.copytree(farm[0].root, tmp_path / "farm"), {})
    for device in "abc":
        add_hostile_farm(made, "mirrored", device)
    publish_run(made, made.runs / farm[1][0].name, "canary", "test", FakeClock(AS_OF))
    training = msgspec.structs.replace(made.config.training, farms=True)
    made = Workspace(made.root, msgspec.structs.replace(made.config, training=training))
    folder = train(made)
    assert run_folder.load(folder)[0].lineage["trained_farms"] == "3"
    with pytest.raises(GateRefused, match="G2 air_temperature_c"):
        gate.decide(made, folder, "canary", FakeClock(AS_OF))


def test_evaluate_alarms_at_a_planted_future_feature(
    farm: tuple[Workspace, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs of a day later, here and in training: too good to be true, and told where to look."""
    shrink(monkeypatch)
    root = shutil.copytree(farm[0].root, tmp_path / "farm")
    settings = root / "trainer.toml"
    settings.write_text(settings.read_text().replace("seed = 3", "seed = 4"))
    inputs = features._inputs
    # Not quite the truth, as a real leak would not be either.
    noise = ((pl.int_range(pl.len()) * 7919) % 129 - 64) / 32.0
    monkeypatch.setattr(
        features, "_inputs", lambda: [series.shift(-24) + noise for series in inputs()]
    )
    folder = train(Workspace.open(root, {}))
    found = CliRunner().invoke(cli, ["evaluate", folder.name, "--config", str(root)])
    assert found.exit_code == 1, found.output
    alarms = [line for line in found.stdout.splitlines() if line.startswith("FAIL G10")]
    assert any("air_temperature_c 24 h" in line for line in alarms)
    assert any("relative_humidity_pct 24 h" in line for line in alarms)
    assert all("look for the future among the inputs" in line for line in alarms)


def test_evaluate_says_what_the_gate_would(farm: tuple[Workspace, list[Path]]) -> None:
    """Every rule on one line and exit 1 below the floor; as JSON the whole decision; no trace."""
    made, folders = farm
    before = sorted(path for path in made.root.rglob("*") if path.is_file())
    arguments = ["evaluate", folders[0].name, "--config", str(made.root)]
    shown = CliRunner().invoke(cli, arguments)
    assert shown.exit_code == 0, shown.output
    assert "ok   G1 air_temperature_c 24 h: RMSE" in shown.stdout
    assert "ok   G10 air_temperature_c 24 h" in shown.stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.gate.rules_floor.FLOOR", {24: 0.9})
        refused = CliRunner().invoke(cli, [*arguments, "--json"])
    assert refused.exit_code == 1
    document = json.loads(refused.stdout)
    assert document["passed"] is False
    assert document["reasons"][0].startswith("G1 air_temperature_c 24 h: RMSE")
    assert sorted(path for path in made.root.rglob("*") if path.is_file()) == before
