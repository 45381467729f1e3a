"""Wind speed from training through the gate into a release, beside targets that do not change."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import TARGETS, TIME, WIND_SPEED
from edge_agent.core.update_setup import golden_check
from edge_agent.forecasting import optional_models
from tests.fakes.clock import FakeClock
from tests.fakes.runs import lower_floor
from tests.fakes.trained import AS_OF, WHEN, make_workspace, shrink, train
from tests.fakes.weather import STATION, record
from trainer.depot.releases import publish_run
from trainer.evaluation import run_folder
from trainer.gate import gate, rules_floor
from trainer.gate.composed_run import Champion, Replaced, compose
from trainer.gate.decision import Decision
from trainer.training import optional_fit
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A run with wind speed, and one of the same hours from a workspace without."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        plain = train(_workspace(tmp_path_factory.mktemp("plain")))
        patch.setattr(optional_fit, "FEWEST", 1000)
        patch.setattr(optional_fit, "ROUNDS", 20)
        yield train(_workspace(tmp_path_factory.mktemp("wind"))), plain


@pytest.fixture
def run(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Workspace, Path]:
    """A fresh copy, where the floor is low."""
    lower_floor(monkeypatch)
    root = shutil.copytree(trained[0].parents[1], tmp_path / "farm")
    made = Workspace.open(root, {})
    return made, made.run_store.folder(trained[0].name)


def _workspace(folder: Path) -> Workspace:
    """Whose holdout is long enough for the gate."""
    root = make_workspace(folder / "farm").root
    return Workspace.open(root, {"TRAINER__TRAINING__HOLDOUT_SHARE": "0.3"})


def _decision(folder: Path) -> Decision:
    return msgspec.json.decode((folder / "gate-stable.json").read_bytes(), type=Decision)


def test_the_other_models_are_the_same_bytes(trained: tuple[Path, Path]) -> None:
    """Whether wind is trained changes nothing of temperature and humidity."""
    more, plain = (run_folder.load(folder) for folder in trained)
    assert set(more[0].optional) == {WIND_SPEED}
    assert plain[0].optional == {}
    assert more[0].models == plain[0].models
    assert more[0].residuals == plain[0].residuals
    assert more[0].golden == plain[0].golden
    for target in TARGETS:
        assert more[2].scores[target] == plain[2].scores[target]


def test_a_device_computes_what_was_trained(trained: tuple[Path, Path]) -> None:
    """Parity, golden windows on this processor, and scores below the simple forecasts'."""
    manifest, files, metrics = run_folder.load(trained[0])
    golden_check(manifest, files)
    assert metrics.parity[WIND_SPEED] < 1e-3
    wind = manifest.optional[WIND_SPEED]
    assert sum(len(files[ref.path]) for ref in wind.files()) < 600_000
    assert wind.scores["rows_24h"] > 1000
    assert set(metrics.scores[WIND_SPEED]) == {
        "model", "persistence", "climatology", "damped_anomaly",
    }  # fmt: skip
    wrong = dict(files)
    body = bytearray(files[wind.golden.path])
    start = body.index(b'"predictions":{"wind_speed_ms":[') + 32
    wrong[wind.golden.path] = bytes(body[:start]) + b"9" + bytes(body[start:])
    with pytest.raises(BadData, match="wind_speed_ms"):
        golden_check(manifest, wrong)


def test_it_goes_live_by_the_rules_of_the_others(run: tuple[Workspace, Path]) -> None:
    """Once alone, and once beside the release that is live; decisions can be computed again."""
    made, folder = run
    clock = FakeClock(AS_OF)
    assert gate.decide(made, folder, "stable", clock) == folder
    decision = _decision(folder)
    assert decision.terms.optional == (WIND_SPEED,)
    assert {f.rule for f in decision.optional} == {"G1", "G10", "G12"}
    assert {f.target for f in decision.optional} == {WIND_SPEED}
    recorded, again = gate.recompute(folder, "stable")
    assert recorded == again
    publish_run(made, folder, "stable", "test", clock)
    live = gate.champion_of(made, "stable", clock)
    assert live is not None
    assert set(optional_models.computable(live)) == {WIND_SPEED}


def test_the_release_goes_without_it_where_it_fails(
    run: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other targets go live; manifest and decision say why."""
    made, folder = run
    monkeypatch.setattr(rules_floor, "LEAST_PRESENT", 0.0)
    floor = rules_floor.floor

    def strict(sums: object, target: str, *, counted: bool) -> object:
        findings = floor(sums, target, counted=counted)  # type: ignore[arg-type]
        return [
            msgspec.structs.replace(f, passed=f.passed and target != WIND_SPEED) for f in findings
        ]

    monkeypatch.setattr(rules_floor, "floor", strict)
    chosen = gate.decide(made, folder, "stable", FakeClock(AS_OF))
    assert chosen != folder
    manifest, files, _ = run_folder.load(chosen)
    assert manifest.optional == {}
    assert not any(WIND_SPEED in path for path in files)
    assert "G1 wind_speed_ms 6 h: RMSE" in manifest.lineage["without_wind_speed_ms"]
    assert "wind_speed_ms is not forecast: G1" in "".join(run_folder.notes(manifest.lineage))
    assert _decision(folder).passed
    golden_check(manifest, files)


def test_its_model_is_that_of_the_release_that_is_live(run: tuple[Workspace, Path]) -> None:
    """A run composed beside one release does not stand in for that beside another, or for none."""
    made, folder = run
    own = gate.load(folder)
    replaced = Replaced("", "", {WIND_SPEED: "G1 fails"})
    lineages = []
    for number in (5, 6):
        live = Champion(msgspec.structs.replace(own.manifest, release=number), own.files)
        composed = compose(made.run_store, own, live, set(TARGETS), replaced)
        manifest, files, _ = run_folder.load(composed)
        golden_check(manifest, files)
        assert manifest.optional == own.manifest.optional
        lineages.append(manifest.lineage[f"kept_{WIND_SPEED}"])
    assert lineages == ["release 5", "release 6"]
    manifest, _, _ = run_folder.load(compose(made.run_store, own, None, set(TARGETS), replaced))
    assert manifest.optional == {}
    assert manifest.lineage[f"without_{WIND_SPEED}"] == "G1 fails"


def test_a_station_without_wind_trains_the_other_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Busan's record, which has temperature and humidity only."""
    shrink(monkeypatch)
    monkeypatch.setattr(optional_fit, "FEWEST", 1000)
    made = make_workspace(tmp_path / "farm", days=0)
    bare = record()[: 740 * 24].with_columns(pl.lit(None, pl.Float64).alias(WIND_SPEED))
    made.lake.merge(STATION, bare, "asos", WHEN)
    manifest, files, _ = run_folder.load(train(made))
    assert manifest.optional == {}
    assert set(manifest.models) == set(TARGETS)
    golden_check(manifest, files)


def test_a_station_that_lost_its_anemometer_trains_the_other_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wind speed that no hour of the holdout has can be fitted, and not be scored."""
    shrink(monkeypatch)
    monkeypatch.setattr(optional_fit, "FEWEST", 1000)
    monkeypatch.setattr(optional_fit, "ROUNDS", 20)
    made = make_workspace(tmp_path / "farm", days=0)
    hours = record()[: 740 * 24]
    lost = pl.col(TIME) > hours[TIME][-1] - timedelta(days=200)
    wind = pl.when(~lost).then(pl.col(WIND_SPEED)).alias(WIND_SPEED)
    made.lake.merge(STATION, hours.with_columns(wind), "asos", WHEN)
    manifest, files, metrics = run_folder.load(train(made))
    assert manifest.optional == {}
    assert set(metrics.scores) == set(manifest.models) == set(TARGETS)
    golden_check(manifest, files)
