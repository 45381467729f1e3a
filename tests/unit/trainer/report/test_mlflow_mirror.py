"""What tracking does where MLflow is not wanted, not installed, or not well."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import ConfigError, GateRefused
from edge_agent.contract.schema import TARGETS
from tests.fakes.trained import make_workspace
from trainer.evaluation.point_scores import Score
from trainer.report import mlflow_mirror
from trainer.workspace.config import decode
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def farm(tmp_path: Path) -> Workspace:
    """A workspace that wants its runs in MLflow."""
    root = make_workspace(tmp_path / "farm", days=1).root
    return Workspace.open(root, {"TRAINER__TRACKING__MLFLOW_URI": "http://127.0.0.1:9"})


def _fake(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    """An MLflow whose client fails."""

    def client(**_: object) -> None:
        raise fault

    module = ModuleType("mlflow")
    module.MlflowClient = client  # type: ignore[attr-defined]  # that is what the fake is for
    monkeypatch.setitem(sys.modules, "mlflow", module)


def test_without_an_address_mlflow_is_not_even_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The default costs nothing: an import would fail here, and a warning would show it."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    mlflow_mirror.mirror(make_workspace(tmp_path / "farm", days=1))
    assert caplog.messages == []


def test_a_missing_package_is_one_line_that_says_what_to_install(
    farm: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A setting without its package breaks no run."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    mlflow_mirror.mirror(farm)
    (line,) = caplog.messages
    assert "mlflow is not installed" in line
    assert "pip install" in line


def test_any_fault_of_mlflow_is_one_line_and_no_more(
    farm: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What MLflow raises, its many lines included, ends in one warning."""
    _fake(monkeypatch, RuntimeError("no\nroute\nto host"))
    mlflow_mirror.mirror(farm)
    (line,) = caplog.messages
    assert "RuntimeError: no route to host" in line
    assert "the files are whole" in line


def test_a_refusal_is_mirrored_and_stays_a_refusal(
    farm: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The gate's exit code is not hidden by tracking, and the refused run is news too."""
    _fake(monkeypatch, RuntimeError("away"))
    with pytest.raises(GateRefused), mlflow_mirror.mirrored(farm):
        raise GateRefused("too warm")
    assert len(caplog.messages) == 1


def test_a_bug_is_not_delayed_by_mlflow(
    farm: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Only outcomes are mirrored; a crash or Ctrl-C ends at once."""
    _fake(monkeypatch, RuntimeError("away"))
    with pytest.raises(KeyboardInterrupt), mlflow_mirror.mirrored(farm):
        raise KeyboardInterrupt
    assert caplog.messages == []


@pytest.mark.parametrize(
    "uri", ["http://me:secret@host:5000", "ftp://host", "https://host/?token=1", "mlruns"]
)
def test_an_address_with_a_password_or_of_another_kind_is_refused(uri: str) -> None:
    """A password in the settings would end in logs; MLflow has its own variables for it."""
    with pytest.raises(ConfigError, match=r"tracking\.mlflow_uri"):
        decode(f'[tracking]\nmlflow_uri = "{uri}"'.encode(), "trainer.toml")


def test_figures_carry_the_names_and_steps_that_dashboards_read() -> None:
    """RMSE at 24 h by short name, their mean as rmse, and a point for each lead."""
    found = {(name, step): value for name, value, step in mlflow_mirror._figures(_Measured())}  # type: ignore[arg-type]  # only what is read
    assert found["rmse_temp", 0] == 3.0
    assert found["rmse_humid", 0] == 15.0
    assert found["rmse", 0] == 9.0
    assert found["rmse_temp_by_lead", 6] == 2.0
    assert found["temp_bias_24h", 0] == 0.5
    assert not any("r2" in name for name, _ in found), "SQL knows no NaN"


class _Measured:
    """The part of `Metrics` that is read."""

    @property
    def scores(self) -> dict[str, dict[str, dict[int, Score]]]:
        """RMSE 2 and 3 C, 10 and 15 %."""
        return {
            target: {"model": {6: Score(9, low, 1, 0, 0.5), 24: Score(9, high, 1, 0, 0.5)}}
            for target, low, high in zip(TARGETS, (2.0, 10.0), (3.0, 15.0), strict=True)
        }

    def headline(self) -> dict[str, dict[str, float]]:
        """One number, and one that is none."""
        return {target: {"bias_24h": 0.5, "r2_24h": float("nan")} for target in TARGETS}
