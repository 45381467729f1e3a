"""A run that corrects KMA's forecasts, from training through the gate to the report."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.contract import guidance_features
from edge_agent.contract.errors import BadData, NothingNew
from edge_agent.contract.manifest import FORMAT, GUIDED_FORMAT
from edge_agent.contract.schema import LEADS, TARGETS
from edge_agent.core.update_setup import golden_check
from tests.fakes import guided as fakes
from tests.fakes.clock import FakeClock
from tests.fakes.runs import lower_floor
from tests.fakes.trained import AS_OF, make_workspace, shrink, train
from trainer.depot.releases import publish_run
from trainer.evaluation import run_folder
from trainer.evaluation.daily_sums import GUIDED, OBSERVATIONS, RAW_GUIDANCE
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


def test_other_code_of_guidance_is_refused(
    run: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose inputs this code does not compute is trained again."""
    made, folder = run
    monkeypatch.setattr(guidance_features, "digest", lambda: "other")
    with pytest.raises(BadData, match="corrects KMA's forecasts by other code"):
        gate.decide(made, folder, "stable", FakeClock(AS_OF))
