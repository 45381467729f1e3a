"""A run that corrects KMA's forecasts, from training through the gate to the report."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec
import onnx
import pytest

from edge_agent.contract import guidance_features
from edge_agent.contract.errors import BadData, NothingNew
from edge_agent.contract.manifest import FORMAT, GUIDED_FORMAT
from edge_agent.contract.schema import LEADS, TARGETS
from edge_agent.core.loaded_release import load_release
from edge_agent.core.update_setup import golden_check
from edge_agent.updates.installed_release import open_folder
from tests.fakes import guided as fakes
from tests.fakes.clock import FakeClock
from tests.fakes.runs import lower_floor
from tests.fakes.trained import AS_OF, make_workspace, shrink, train
from trainer.depot.releases import publish_run
from trainer.evaluation import daily_sums, run_folder
from trainer.evaluation.daily_sums import GUIDED, LOSSES, NEW_PLACE, OBSERVATIONS, RAW_GUIDANCE
from trainer.evaluation.hindcast import ReleaseModels
from trainer.evaluation.holdout_scores import SCORED_LEADS
from trainer.gate import gate, rules_guided
from trainer.gate.decision import Decision
from trainer.report import report
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Name of a run in a workspace with an archive, trained once."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        fakes.shrink(patch, rounds=40)
        root = make_workspace(tmp_path_factory.mktemp("guided") / "farm").root
        made = Workspace.open(root, {"TRAINER__TRAINING__HOLDOUT_SHARE": "0.3"})
        fakes.archive(made)
        yield train(made)


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, Path]:
    """A fresh copy of it, where the floor of the models of observations is low."""
    lower_floor(monkeypatch)
    root = shutil.copytree(trained.parents[1], tmp_path / "farm")
    made = Workspace.open(root, {})
    return made, made.run_store.folder(trained.name)


def _decision(folder: Path) -> Decision:
    return msgspec.json.decode((folder / "gate-stable.json").read_bytes(), type=Decision)


def test_the_run_has_models_windows_and_scores(run: tuple[Workspace, Path]) -> None:
    """Format 2, small files, windows that a device computes alike, errors below raw guidance's."""
    manifest, files, metrics = run_folder.load(run[1])
    guidance = manifest.guidance
    assert guidance is not None
    assert manifest.schema == GUIDED_FORMAT
    assert guidance.digest == guidance_features.digest()
    assert all(len(shares) == len(LEADS) for shares in guidance.shares.values())
    assert all(0.0 <= share <= 1.0 for shares in guidance.shares.values() for share in shares)
    assert sum(len(files[ref.path]) for ref in guidance.files()) < 250_000
    golden_check(manifest, files)
    for target in TARGETS:
        scores = {name: by_lead[24] for name, by_lead in metrics.guided[target].items()}
        assert scores[GUIDED].rmse < scores[RAW_GUIDANCE].rmse < scores[OBSERVATIONS].rmse
        assert len({score.rows for score in scores.values()}) == 1
        assert guidance.scores[target]["rmse_24h_guided"] == round(scores[GUIDED].rmse, 4)
        assert metrics.parity[f"{target} guided"] < 1e-3
    assert "guidance_sha256" in manifest.lineage


def test_it_goes_live_with_them(run: tuple[Workspace, Path]) -> None:
    """Better than each simple use of the same forecasts; the decision can be computed again."""
    made, folder = run
    chosen = gate.decide(made, folder, "stable", FakeClock(AS_OF))
    decision = _decision(folder)
    assert decision.unguided == ""
    assert chosen == folder
    assert {finding.rule for finding in decision.guided} == {"G14"}
    text = "\n".join(finding.text for finding in decision.guided)
    for name in ("raw_guidance", "mean_corrected_guidance", "damped_guidance", "observations"):
        assert f"of {name}: ratio" in text
    new = [finding for finding in decision.guided if finding.part.endswith("h new place")]
    assert len(new) == len(TARGETS) * len(SCORED_LEADS)
    found = daily_sums.from_bytes((folder / "gate-stable.parquet").read_bytes())
    for target in TARGETS:
        own, there = (found.losses[target, "lead:24", name] for name in (NEW_PLACE, GUIDED))
        assert own[:, 0].tolist() == there[:, 0].tolist()
        # Without the newest errors these cannot be as good.
        assert own[:, LOSSES.index("squared")].sum() > there[:, LOSSES.index("squared")].sum()
    recorded, again = gate.recompute(folder, "stable")
    assert recorded == again
    page = report.build(made, folder).decode()
    assert "KMA's forecasts, corrected" in page


def test_it_goes_without_them_where_they_fail(
    run: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models of observations go live; manifest, decision and report say why, and it is once."""
    made, folder = run
    clock = FakeClock(AS_OF)
    monkeypatch.setattr(rules_guided, "LEAK_RATIO", 0.999)
    chosen = gate.decide(made, folder, "stable", clock)
    assert chosen != folder
    manifest, files, _ = run_folder.load(chosen)
    assert (manifest.schema, manifest.guidance) == (FORMAT, None)
    assert not any("guided" in path for path in files)
    why = manifest.lineage[run_folder.UNGUIDED]
    assert "of raw guidance's RMSE; below 0.999 is a leak alarm" in why
    assert any(why in note for note in run_folder.notes(manifest.lineage))
    assert _decision(folder).passed
    golden_check(manifest, files)
    publish_run(made, chosen, "stable", "test", clock)
    live = gate.champion_of(made, "stable", clock)
    assert live is not None
    assert gate.stems_from(live, folder)
    assert gate.run_of(made, live) == folder
    with pytest.raises(NothingNew, match="holds these models already; G14"):
        gate.decide(made, folder, "stable", clock)
    assert "are not corrected: " in report.build(made, folder).decode()


def _again(made: Workspace, folder: Path, *, guided: bool = True) -> Path:
    """A run that forecasts the same: its corrections are other files, or it has none."""
    manifest, files, metrics = run_folder.load(folder)
    guidance = manifest.guidance
    assert guidance is not None
    if not guided:
        manifest = msgspec.structs.replace(manifest, schema=FORMAT, guidance=None)
    else:
        refs = {}
        for target, model in guidance.models.items():
            graph = onnx.load_model_from_string(files[model.file.path])
            graph.doc_string = "again"
            path = f"models/{target}-guided/again/model.onnx"
            files[path] = graph.SerializeToString(deterministic=True)
            file = run_folder.file_ref(path, files[path])
            refs[target] = msgspec.structs.replace(model, version="again", file=file)
        manifest = msgspec.structs.replace(
            manifest, guidance=msgspec.structs.replace(guidance, models=refs)
        )
    again = made.runs / "20220106-again"
    named = {ref.path: files[ref.path] for ref in manifest.all_files()}
    run_folder.write(again, manifest, named, metrics)
    return again


def test_they_are_compared_with_the_live_ones_on_the_same_hours(
    run: tuple[Workspace, Path],
) -> None:
    """The live release's, joined with the candidate's models of observations: here the same."""
    made, folder = run
    publish_run(made, folder, "stable", "test", FakeClock(AS_OF))
    again = _again(made, folder)
    assert gate.decide(made, again, "stable", FakeClock(AS_OF)) == again
    decision = _decision(again)
    live = [finding.text for finding in decision.guided if finding.part.endswith("h live")]
    assert len(live) == len(TARGETS) * len(SCORED_LEADS)
    assert all("ratio 1.0000 (upper" in text for text in live)
    recorded, computed = gate.recompute(again, "stable")
    assert recorded == computed


def test_where_they_are_worse_the_live_ones_stay(
    run: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release has the candidate's models of observations and the live corrections."""
    made, folder = run
    publish_run(made, folder, "stable", "test", FakeClock(AS_OF))
    live = run_folder.load(folder)[0]
    again = _again(made, folder)
    monkeypatch.setattr(rules_guided, "SAME_RECIPE", 0.99)
    with pytest.raises(NothingNew, match=r"holds these models already; G14 .* 24 h live: RMSE"):
        gate.decide(made, again, "stable", FakeClock(AS_OF))
    manifest, files, _ = run_folder.load(again.with_name(f"{again.name}-with-guidance-1"))
    assert (manifest.schema, manifest.guidance) == (GUIDED_FORMAT, live.guidance)
    golden_check(manifest, files)
    (note,) = (note for note in run_folder.notes(manifest.lineage) if "release 1" in note)
    assert note.startswith("KMA's forecasts are corrected by the models of release 1: G14 ")


def test_a_candidate_without_any_does_not_take_them_from_devices(
    run: tuple[Workspace, Path],
) -> None:
    """An archive that was lost since: the live corrections stay, and the decision says so."""
    made, folder = run
    publish_run(made, folder, "stable", "test", FakeClock(AS_OF))
    bare = _again(made, folder, guided=False)
    with pytest.raises(NothingNew, match="holds these models already; the candidate has none"):
        gate.decide(made, bare, "stable", FakeClock(AS_OF))
    manifest, _, _ = run_folder.load(bare.with_name(f"{bare.name}-with-guidance-1"))
    assert manifest.guidance == run_folder.load(folder)[0].guidance
    assert len(_decision(bare).live_guided) == 2 * len(TARGETS)


def test_other_code_of_guidance_is_refused(
    run: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose inputs this code does not compute is trained again."""
    made, folder = run
    monkeypatch.setattr(guidance_features, "digest", lambda: "other")
    with pytest.raises(BadData, match="corrects KMA's forecasts by other code"):
        gate.decide(made, folder, "stable", FakeClock(AS_OF))


def test_a_device_leaves_models_of_other_inputs_alone(
    run: tuple[Workspace, Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The program was upgraded under a release: forecasts go on, and the log says how."""
    _, folder = run
    installed = open_folder(folder)
    assert load_release(installed, "a/b").guided.keys() == set(TARGETS)
    assert not caplog.messages
    monkeypatch.setattr(guidance_features, "digest", lambda: "other")
    release = load_release(installed, "a/b")
    assert release.predictors.keys() == set(TARGETS)
    assert not release.guided
    assert "their bias is taken off until the next release" in caplog.text
    manifest, files, _ = run_folder.load(folder)
    assert not ReleaseModels.tried(manifest, files).guided
