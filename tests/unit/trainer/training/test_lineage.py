"""Two candidates of different code are different candidates, whatever the version says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.trained import AS_OF, make_workspace
from trainer.gate import gate
from trainer.training import lineage
from trainer.training.lake_source import TrainingData
from trainer.workspace import code_identity

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace

ROOT = Path(__file__).parents[4]
ASK = "from trainer.workspace.code_identity import training_code; print(training_code())"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With the generated record."""
    return make_workspace(tmp_path_factory.mktemp("lineage") / "farm")


def _lineage(workspace: Workspace) -> dict[str, str]:
    data = TrainingData.of(workspace, AS_OF, {}, lambda _: None)
    return lineage.lineage_of(workspace.config.training, data)


def test_other_code_is_another_run_and_another_recipe(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's name follows from the code, and the gate does not take it for a mere retrain."""
    one, again = _lineage(workspace), _lineage(workspace)
    monkeypatch.setattr(lineage, "training_code", lambda: "f" * 64)
    other = _lineage(workspace)
    assert one == again
    assert lineage.digest(one) != lineage.digest(other)
    recipes = [{key: each[key] for key in gate.RECIPE} for each in (one, again, other)]
    assert recipes[0] == recipes[1] != recipes[2]


def _told(folder: Path) -> str:
    """What an installation in a folder says of its own code."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_digest_follows_the_content_alone(tmp_path: Path) -> None:
    """Equal in a copy elsewhere; one line of a feature or of the training makes another one."""
    for package in ("edge_agent", "trainer"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    before = _told(tmp_path)
    assert before == code_identity.training_code()
    changed = {before}
    for name in ("trainer/training/trees.py", "edge_agent/contract/features.py"):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write("# another line\n")
        changed.add(_told(tmp_path))
    assert len(changed) == 3
    with (tmp_path / "trainer/commands/daily.py").open("a", encoding="utf-8") as file:
        file.write("# another line\n")
    assert _told(tmp_path) in changed
