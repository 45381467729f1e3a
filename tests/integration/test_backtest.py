"""Rolling-origin backtest on really trained, very small candidates."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from edge_agent.contract.errors import BadData, InputMissing
from edge_agent.contract.schema import LEADS, TARGETS
from tests.fakes.trained import AS_OF, FEW_PAIRS, make_workspace, shrink
from trainer import setup
from trainer.cli import cli
from trainer.training import backtest

if TYPE_CHECKING:
    from pathlib import Path


def test_each_fold_sees_only_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folds five days apart: each judged on its newest hours, trained an embargo before."""
    shrink(monkeypatch, rounds=2, pairs=FEW_PAIRS)
    made = make_workspace(tmp_path / "farm")
    arguments = ["--config", str(made.root), "--folds", "2", "--step-days", "5", "--json"]
    found = CliRunner().invoke(cli, ["backtest", *arguments])
    assert found.exit_code == 0, found.output
    folds = json.loads(found.stdout)
    assert len({fold["run"] for fold in folds}) == 2
    ends = [datetime.fromisoformat(fold["holdout_to"]) for fold in folds]
    assert ends[1] - ends[0] == timedelta(days=5)
    for fold in folds:
        start, trained = (datetime.fromisoformat(fold[k]) for k in ("holdout_from", "trained_to"))
        assert start - trained >= timedelta(hours=max(LEADS))
        assert set(fold["scores"]) == set(TARGETS)
        assert (made.runs / fold["run"] / "metrics.json").exists()
    shown = CliRunner().invoke(cli, ["backtest", *arguments[:-1]])
    assert shown.stdout.count("RMSE 24 h ahead") == 4
    assert f"{folds[0]['holdout_from'][:10]} to {folds[0]['holdout_to'][:10]}" in shown.stdout


def test_a_record_too_short_for_its_folds(tmp_path: Path) -> None:
    """What is missing is said, with what to do; an empty lake as well."""
    made = make_workspace(tmp_path / "farm")
    nothing = setup.create(tmp_path / "empty", single_key=True)
    year = timedelta(days=365)
    with pytest.raises(
        BadData, match=r"observations of 3\d\d days are too few.* more are needed.*ingest or import"
    ):
        backtest.backtest(made, AS_OF, folds=2, step=year, progress=lambda _: None)
    with pytest.raises(InputMissing, match="holds no observations; run `trainer ingest`"):
        backtest.backtest(nothing, AS_OF, folds=1, step=year, progress=lambda _: None)
