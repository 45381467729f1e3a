"""Rules G1 to G5 on runs whose models are columns of the matrix, over real hours of a lake."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from edge_agent.contract import features, golden
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY
from edge_agent.errors import BadData, GateRefused, InputMissing, NothingNew
from edge_agent.inference import load_predictors
from tests.fakes.clock import FakeClock
from tests.fakes.loaded import manifest as loaded
from tests.fakes.runs import GOOD, POOR, Bench
from tests.fakes.trained import AS_OF, make_workspace
from tests.fakes.weather import STATION, record
from trainer import candidate, gate
from trainer.depot import RUN

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest


@pytest.fixture(scope="module")
def _seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gate")
    make_workspace(root / "farm")
    return root / "farm"


@pytest.fixture
def bench(_seed: Path, tmp_path: Path) -> Bench:
    """A fresh copy of a workspace with two years in its lake."""
    from trainer.workspace import Workspace

    root = shutil.copytree(_seed, tmp_path / "farm")
    return Bench(Workspace.open(root, {}), FakeClock(AS_OF))


def _decision(folder: Path) -> gate.Decision:
    return msgspec.json.decode((folder / "gate-stable.json").read_bytes(), type=gate.Decision)


def test_g1_passes_a_first_candidate_that_beats_all_references(bench: Bench) -> None:
    """Without a champion the run itself goes live, and the decision is on file."""
    folder = bench.run("first", GOOD)
    assert bench.decide(folder) == folder
    decision = _decision(folder)
    assert (decision.passed, decision.champion, decision.reasons) == (True, None, ())
    assert decision.targets[AIR_TEMPERATURE].against == dict.fromkeys(gate.REFERENCES, 3.0)


@pytest.mark.parametrize("own", [3.0, 3.5])
def test_g1_refuses_a_target_that_beats_not_all(bench: Bench, own: float) -> None:
    """Equal is not better: each reference that won is named with both figures."""
    folder = bench.run("first", GOOD, {AIR_TEMPERATURE: 2.0, RELATIVE_HUMIDITY: own})
    with pytest.raises(GateRefused, match="first: refused for stable: G1") as refusal:
        bench.decide(folder)
    for name in gate.REFERENCES:
        line = f"G1 relative_humidity_pct: RMSE {own:.3f} is not below {name}'s 3.000"
        assert line in str(refusal.value)
    assert "air_temperature_c" not in str(refusal.value)
    assert not _decision(folder).passed


def test_g2_a_better_challenger_replaces_both(bench: Bench) -> None:
    """Both targets win on the same hours: the run goes live as it is."""
    bench.publish(bench.run("old", POOR))
    folder = bench.run("new", GOOD)
    assert bench.decide(folder) == folder
    verdict = _decision(folder).targets[AIR_TEMPERATURE]
    assert verdict.challenger < verdict.against["champion"]
    assert verdict.rows > 1500
    assert _decision(folder).champion == 1


def test_g2_figures_are_those_of_the_lake(bench: Bench) -> None:
    """The gate computes RMSE itself, from the lake: persistence of a day and of two days."""
    bench.publish(bench.run("old", POOR))
    folder = bench.run("new", GOOD)
    bench.decide(folder)
    found = _decision(folder).targets[AIR_TEMPERATURE]
    cleaned = record().filter(record()["time"] <= datetime(2021, 12, 31, tzinfo=UTC))
    series = dict(zip(cleaned["time"].to_list(), cleaned[AIR_TEMPERATURE].to_list(), strict=True))
    errors = []
    for at, value in series.items():
        before = [series.get(at - day) for day in (timedelta(days=1), timedelta(days=2))]
        if at < datetime(2021, 10, 2, tzinfo=UTC) or value is None or None in before:
            continue
        errors.append([value - v for v in before if v is not None])
    rmse = np.sqrt(np.mean(np.square(errors), axis=0))
    # A few hours with a gap take the constant instead; inputs are on a grid of 2^-10.
    assert found.challenger == pytest.approx(rmse[0], rel=0.02)
    assert found.against["champion"] == pytest.approx(rmse[1], rel=0.02)


def test_g2_a_worse_challenger_is_refused_with_figures(bench: Bench) -> None:
    """Neither target won: exit 10's text has both numbers, the release and the hours."""
    bench.publish(bench.run("old", GOOD))
    folder = bench.run("new", POOR)
    with pytest.raises(GateRefused) as refusal:
        bench.decide(folder)
    verdict = _decision(folder).targets[AIR_TEMPERATURE]
    assert (
        f"G2 air_temperature_c: RMSE {verdict.challenger:.4f} is not below release 1's "
        f"{verdict.against['champion']:.4f} on the same {verdict.rows} hours"
    ) in str(refusal.value)
    assert "G2 relative_humidity_pct" in str(refusal.value)


def _half(bench: Bench) -> tuple[Path, Manifest]:
    """Challenger that is better at temperature only, and the champion it meets."""
    bench.publish(bench.run("old", {**POOR, RELATIVE_HUMIDITY: GOOD[RELATIVE_HUMIDITY]}))
    champion = gate.champion_of(bench.workspace, "stable", bench.clock)
    assert champion is not None
    return bench.run("new", {**GOOD, RELATIVE_HUMIDITY: POOR[RELATIVE_HUMIDITY]}), champion


def test_g3_winner_and_kept_model_stand_in_one_release(bench: Bench) -> None:
    """The winner's model, the champion's for the other, golden windows that fit both."""
    folder, champion = _half(bench)
    composed = bench.decide(folder)
    assert composed.name == "new-with-1"
    manifest, files, _ = candidate.load(composed)
    assert manifest.models[AIR_TEMPERATURE].version == GOOD[AIR_TEMPERATURE]
    assert manifest.models[RELATIVE_HUMIDITY] == champion.models[RELATIVE_HUMIDITY]
    assert manifest.scores[RELATIVE_HUMIDITY] == champion.scores[RELATIVE_HUMIDITY]
    assert manifest.lineage["kept_relative_humidity_pct"] == "release 1"
    bodies = {t: files[one.file.path] for t, one in manifest.models.items()}
    predictors = load_predictors(bodies, len(NAMES))
    golden.replay(files[manifest.golden.path], {t: p.predict for t, p in predictors.items()})
    assert bench.decide(folder) == composed
    bench.publish(composed)
    live = gate.champion_of(bench.workspace, "stable", bench.clock)
    assert live is not None
    assert live.lineage[RUN] == "new-with-1"
    assert gate.stems_from(live, folder)
    assert not gate.stems_from(live, folder.with_name("ne"))


def test_g4_other_normals_cannot_stand_together(bench: Bench) -> None:
    """A winner on new normals cannot be joined with a model on old ones: refused, and why."""
    folder, champion = _half(bench)
    shutil.rmtree(folder)
    site = champion.sites[str(STATION)]
    other = {t: (c[0] + 0.5, *c[1:]) for t, c in site.coefficients.items()}
    moved = {str(STATION): msgspec.structs.replace(site, coefficients=other)}
    folder = bench.run("new", {**GOOD, RELATIVE_HUMIDITY: POOR[RELATIVE_HUMIDITY]}, sites=moved)
    with pytest.raises(GateRefused, match="G4: normals changed, so a target that lost"):
        bench.decide(folder)


def test_g5_a_model_that_is_not_its_manifests_is_refused(bench: Bench) -> None:
    """One byte changed after training: named before anything is judged."""
    folder = bench.run("first", GOOD)
    path = next((folder / "files" / "models").rglob("model.onnx"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"first: models/.*model.onnx is not the file of its"):
        bench.decide(folder)
    path.unlink()
    with pytest.raises(InputMissing, match="so first is no candidate"):
        bench.decide(folder)


def test_g5_a_run_of_other_feature_code_is_refused(bench: Bench) -> None:
    """What was trained on another matrix cannot be judged on this one."""
    other = msgspec.structs.replace(loaded().features, digest="0" * 64, names=NAMES)
    with pytest.raises(BadData, match="G5 first: trained by other feature code; train again"):
        bench.decide(bench.run("first", GOOD, features=other))


def test_a_champion_of_other_feature_code_gives_way_to_g1(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade of the features the champion cannot be run: the references judge."""
    bench.publish(bench.run("old", GOOD))
    monkeypatch.setattr(features, "REVISION", features.REVISION + 1)
    folder = bench.run("new", POOR)
    assert bench.decide(folder) == folder
    assert _decision(folder).champion is None


def test_the_same_models_are_nothing_new(bench: Bench) -> None:
    """A candidate that came to the champion's very models is no release."""
    bench.publish(bench.run("old", GOOD))
    folder = bench.run("new", GOOD)
    with pytest.raises(NothingNew, match="new: stable holds these models already"):
        bench.decide(folder)
