"""The gate on runs whose models are columns of the matrix, over real hours of a lake."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from edge_agent.contract import features, golden_windows
from edge_agent.contract.errors import BadData, GateRefused, InputMissing, NothingNew
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS
from edge_agent.forecasting.inference import load_predictors
from tests.fakes.clock import FakeClock
from tests.fakes.loaded import manifest as loaded
from tests.fakes.runs import GOOD, POOR, Bench, lower_floor
from tests.fakes.trained import AS_OF, make_workspace
from tests.fakes.weather import STATION, record
from trainer.depot.publisher import RUN
from trainer.evaluation import run_folder
from trainer.gate import attempts, gate
from trainer.gate.decision import Decision

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
    from trainer.workspace.workspace import Workspace

    root = shutil.copytree(_seed, tmp_path / "farm")
    return Bench(Workspace.open(root, {}), FakeClock(AS_OF))


@pytest.fixture
def low(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The same, where single columns pass the floor."""
    lower_floor(monkeypatch)
    return bench


def _decision(folder: Path) -> Decision:
    return msgspec.json.decode((folder / "gate-stable.json").read_bytes(), type=Decision)


def test_g1_refuses_a_column_that_is_a_reference_itself(bench: Bench) -> None:
    """Persistence has no skill against the best reference: each lead is named with figures."""
    folder = bench.run("first", GOOD)
    with pytest.raises(GateRefused, match="first: refused for stable: G1") as refusal:
        bench.decide(folder)
    for target in TARGETS:
        for lead in (6, 12, 24, 48):
            assert f"G1 {target} {lead} h: RMSE" in str(refusal.value)
    assert "against damped_anomaly's" in str(refusal.value)
    assert not _decision(folder).passed


def test_without_a_champion_only_the_floor_is_asked(low: Bench) -> None:
    """A first candidate above the floor goes live as it is, and the decision is on file."""
    folder = low.run("first", GOOD)
    assert low.decide(folder) == folder
    decision = _decision(folder)
    assert (decision.passed, decision.terms.champion, decision.reasons) == (True, None, ())
    assert {one.rule for one in decision.findings} == {"G1", "G10", "G11", "G12", "G13"}


def test_g2_a_better_challenger_replaces_both(low: Bench) -> None:
    """Both targets are better on the same hours: the run goes live as it is."""
    low.publish(low.run("old", POOR))
    folder = low.run("new", GOOD)
    assert low.decide(folder) == folder
    decision = _decision(folder)
    assert decision.routes == dict.fromkeys(TARGETS, "better")
    assert decision.terms.champion == 1
    assert decision.winners == TARGETS


def test_g2_figures_are_those_of_the_lake(low: Bench) -> None:
    """The gate computes RMSE itself, from the lake: persistence of a day and of two days."""
    low.publish(low.run("old", POOR))
    folder = low.run("new", GOOD)
    low.decide(folder)
    text = next(one.text for one in _decision(folder).findings if one.rule == "G2")
    found = [float(text.split()[1]), float(text.split()[5])]
    cleaned = record().filter(record()["time"] <= datetime(2021, 12, 31, tzinfo=UTC))
    series = dict(zip(cleaned["time"].to_list(), cleaned[AIR_TEMPERATURE].to_list(), strict=True))
    errors = []
    for at, value in series.items():
        before = [series.get(at - day) for day in (timedelta(days=1), timedelta(days=2))]
        if at < datetime(2021, 6, 2, tzinfo=UTC) or value is None or None in before:
            continue
        errors.append([value - v for v in before if v is not None])
    rmse = np.sqrt(np.mean(np.square(errors), axis=0))
    # A few hours with a gap take the constant instead; inputs are on a grid of 2^-10.
    assert found == pytest.approx(rmse, rel=0.02)


def test_g2_a_worse_challenger_is_refused_with_figures(low: Bench) -> None:
    """Neither target is as good: the text has both errors, the release, hours and bounds."""
    low.publish(low.run("old", GOOD))
    folder = low.run("new", POOR)
    with pytest.raises(GateRefused) as refusal:
        low.decide(folder)
    said = str(refusal.value)
    assert "G2 air_temperature_c 24 h: RMSE" in said
    assert "against release 1's" in said
    assert "Diebold-Mariano" in said
    assert "G2 relative_humidity_pct" in said
    for rule in ("G6 air_temperature_c DJF", "G8 air_temperature_c CRPS", "G9"):
        assert rule in said


def test_every_decision_can_be_computed_again(low: Bench) -> None:
    """From its terms and its daily sums alone, a pass and a refusal come out to the letter."""
    low.publish(low.run("old", POOR))
    passed = low.run("new", GOOD)
    low.decide(passed)
    low.publish(passed)
    refused = low.run("newer", POOR)
    with pytest.raises(GateRefused):
        low.decide(refused)
    shutil.rmtree(low.workspace.root / "lake")
    for folder in (passed, refused):
        recorded, again = gate.recompute(folder, "stable")
        assert again == recorded
    path = refused / "gate-stable.parquet"
    path.write_bytes((passed / "gate-stable.parquet").read_bytes())
    with pytest.raises(BadData, match="not the evidence of this decision"):
        gate.recompute(refused, "stable")
    with pytest.raises(InputMissing, match="judge the run first"):
        gate.recompute(refused, "canary")


def test_a_candidate_is_one_attempt_however_often_it_is_asked(low: Bench) -> None:
    """The log counts runs before a champion, and the decision says which attempt it was."""
    low.publish(low.run("old", GOOD))
    for number in (1, 2):
        folder = low.run(f"try-{number}", POOR)
        for _ in range(number):
            with pytest.raises(GateRefused):
                low.decide(folder)
        terms = _decision(folder).terms
        assert (terms.attempt, terms.quarter, terms.alpha) == (number, "2021Q4", attempts.ALPHA)
    lines = (low.workspace.root / "attempts.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(one, type=attempts.Attempt).run for one in lines] == [
        "try-1",
        "try-2",
    ]


def test_g13_training_that_reaches_into_the_holdout_is_refused(low: Bench) -> None:
    """A challenger that saw the holdout, or the hours just before it, is caught by its lineage."""
    for name, end in (("saw", "2021-09-01T00:00Z"), ("close", "2021-05-28T00:00Z")):
        folder = low.run(name, GOOD)
        manifest = run_folder.load(folder)[0]
        shutil.rmtree(folder)
        folder = low.run(name, GOOD, lineage={**manifest.lineage, "trained_to": end})
        with pytest.raises(GateRefused, match=f"G13 trained on hours up to {end}, judged on"):
            low.decide(folder)


def test_hours_that_the_champion_was_trained_on_do_not_count(low: Bench) -> None:
    """The holdout begins after the champion's training; too little left is said so."""
    folder = low.run("old", POOR)
    lineage = run_folder.load(folder)[0].lineage
    shutil.rmtree(folder)
    low.publish(low.run("old", POOR, lineage={**lineage, "trained_to": "2021-06-08T00:00Z"}))
    new = low.run("new", GOOD)
    assert low.decide(new) == new
    assert _decision(new).terms.holdout_from == "2021-06-15T00:00Z"
    shutil.rmtree(low.workspace.runs / "old")
    changed = {**lineage, "trained_to": "2021-09-08T00:00Z"}
    low.publish(low.run("old", {**POOR, AIR_TEMPERATURE: "temperature"}, lineage=changed))
    with pytest.raises(GateRefused, match=r"G11 the holdout has 10\d days"):
        low.decide(low.run("newer", GOOD))


def test_g11_a_short_holdout_is_refused(low: Bench) -> None:
    """Less than 180 days, and a summer alone: said with the numbers and what to do."""
    folder = low.run("first", GOOD)
    manifest, files, metrics = run_folder.load(folder)
    for name, start, end, told in (
        ("short", "2021-08-01T00:00Z", "2021-12-31T00:00Z", r"15\d days; at least 180"),
        ("summer", "2021-05-01T00:00Z", "2021-11-10T00:00Z", r"19\d days, 4\d of them from Oct"),
    ):
        changed = msgspec.structs.replace(metrics, holdout_from=start, holdout_to=end)
        early = msgspec.structs.replace(
            manifest, lineage={**manifest.lineage, "trained_to": "2021-04-01T00:00Z"}
        )
        run_folder.write(low.workspace.runs / name, early, files, changed)
        with pytest.raises(GateRefused, match=f"G11 the holdout has {told}.*raise holdout_share"):
            low.decide(low.workspace.runs / name)


def _half(bench: Bench) -> tuple[Path, Manifest]:
    """Challenger that is better at temperature only, and the champion it meets."""
    bench.publish(bench.run("old", {**POOR, RELATIVE_HUMIDITY: GOOD[RELATIVE_HUMIDITY]}))
    champion = gate.champion_of(bench.workspace, "stable", bench.clock)
    assert champion is not None
    return bench.run("new", {**GOOD, RELATIVE_HUMIDITY: POOR[RELATIVE_HUMIDITY]}), champion


def test_g3_winner_and_kept_model_stand_in_one_release(low: Bench) -> None:
    """The winner's model, the champion's for the other, golden windows that fit both."""
    folder, champion = _half(low)
    composed = low.decide(folder)
    assert composed.name == "new-with-1"
    manifest, files, _ = run_folder.load(composed)
    assert manifest.models[AIR_TEMPERATURE].version == GOOD[AIR_TEMPERATURE]
    assert manifest.models[RELATIVE_HUMIDITY] == champion.models[RELATIVE_HUMIDITY]
    assert manifest.scores[RELATIVE_HUMIDITY] == champion.scores[RELATIVE_HUMIDITY]
    assert manifest.lineage["kept_relative_humidity_pct"] == "release 1"
    bodies = {t: files[one.file.path] for t, one in manifest.models.items()}
    predictors = load_predictors(bodies, len(NAMES))
    golden_windows.replay(
        files[manifest.golden.path], {t: p.predict for t, p in predictors.items()}
    )
    assert low.decide(folder) == composed
    low.publish(composed)
    live = gate.champion_of(low.workspace, "stable", low.clock)
    assert live is not None
    assert live.lineage[RUN] == "new-with-1"
    assert gate.stems_from(live, folder)
    assert not gate.stems_from(live, folder.with_name("ne"))


def test_g3_as_good_does_not_go_in_alone(low: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one target failed, the other must be better: as good changes nothing for the farm."""
    from trainer.gate import rules_champion

    folder, _ = _half(low)
    monkeypatch.setattr(rules_champion, "diebold_mariano", lambda _: 0.0)
    with pytest.raises(GateRefused, match="G3 air_temperature_c is not better, so it does not"):
        low.decide(folder)


def test_g4_other_normals_cannot_stand_together(low: Bench) -> None:
    """A winner on new normals cannot be joined with a model on old ones: refused, and why."""
    folder, champion = _half(low)
    shutil.rmtree(folder)
    site = champion.sites[str(STATION)]
    other = {t: (c[0] + 0.5, *c[1:]) for t, c in site.coefficients.items()}
    moved = {str(STATION): msgspec.structs.replace(site, coefficients=other)}
    folder = low.run("new", {**GOOD, RELATIVE_HUMIDITY: POOR[RELATIVE_HUMIDITY]}, sites=moved)
    with pytest.raises(GateRefused, match="G4 normals changed, so a target that lost"):
        low.decide(folder)


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
    """What was trained on another matrix, or without saying until when, cannot be judged."""
    other = msgspec.structs.replace(loaded().features, digest="0" * 64, names=NAMES)
    with pytest.raises(BadData, match="G5 first: trained by other feature code; train again"):
        bench.decide(bench.run("first", GOOD, features=other))
    with pytest.raises(BadData, match="G5 old: trained before the gate knew its rules"):
        bench.decide(bench.run("old", GOOD, lineage={"stations": str(STATION)}))


def test_a_champion_of_other_feature_code_gives_way_to_the_floor(
    low: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade of the features the champion cannot be run: the references judge."""
    low.publish(low.run("old", GOOD))
    monkeypatch.setattr(features, "REVISION", features.REVISION + 1)
    folder = low.run("new", POOR)
    assert low.decide(folder) == folder
    assert _decision(folder).terms.champion is None


def test_the_same_models_are_nothing_new(low: Bench) -> None:
    """A candidate that came to the champion's very models is no release."""
    low.publish(low.run("old", GOOD))
    folder = low.run("new", GOOD)
    with pytest.raises(NothingNew, match="new: stable holds these models already"):
        low.decide(folder)
