"""A candidate from the lake: the same bytes from the same lineage, and nothing from the future."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from edge_agent.contract import features, golden_windows
from edge_agent.contract.errors import InputMissing
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS
from edge_agent.forecasting.inference import load_predictors
from tests.fakes.trained import AS_OF, add_farm, make_workspace, shrink, train
from tests.fakes.weather import SITE, STATION, record
from trainer.depot.publisher import FARMS
from trainer.evaluation import dataset, run_folder
from trainer.evaluation.holdout_scores import SCORED_LEADS
from trainer.training import fit
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# One worker trains once for all of them.


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Path]]:
    """A workspace and its first candidate."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        made = make_workspace(tmp_path_factory.mktemp("one") / "farm")
        yield made, train(made)


@pytest.fixture(scope="module")
def elsewhere(
    trained: tuple[Workspace, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Workspace, Path]]:
    """The same data in another folder, where the lake has a farm as well; and its candidate."""
    del trained
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        made = make_workspace(tmp_path_factory.mktemp("two") / "farm")
        add_farm(made)
        yield made, train(made)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_lineage_same_name_same_bytes(
    trained: tuple[Workspace, Path], elsewhere: tuple[Workspace, Path]
) -> None:
    """Another folder, the same data: models, windows, manifest and scores, byte for byte.

    A farm in the lake changes nothing unless it is asked for.
    """
    (_, first), (_, again) = trained, elsewhere
    assert again.name == first.name
    assert {run_folder.MANIFEST, run_folder.METRICS} < _hashes(first).keys()
    assert _hashes(again) == _hashes(first)


def test_a_run_with_farms_tells_how_many_and_not_whose(
    trained: tuple[Workspace, Path],
    elsewhere: tuple[Workspace, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other models; normals, holdout and scores stay those of the stations."""
    shrink(monkeypatch)
    (_, first), (made, _) = trained, elsewhere
    training = msgspec.structs.replace(made.config.training, farms=True)
    asking = Workspace(made.root, msgspec.structs.replace(made.config, training=training))
    beside = train(asking)
    manifest, _, metrics = run_folder.load(beside)
    plain, _, before = run_folder.load(first)
    assert manifest.lineage["trained_farms"] == "1"
    assert FARMS not in manifest.lineage
    assert manifest.lineage["stations"] == "108"
    assert manifest.sites == plain.sites
    assert manifest.models != plain.models
    rows = {t: metrics.scores[t]["model"][24].rows for t in TARGETS}
    assert rows == {t: before.scores[t]["model"][24].rows for t in TARGETS}
    for path in beside.rglob("*.json"):
        content = path.read_bytes()
        assert not [word for word in (b"hill", b"37.4321", b"127.1234") if word in content], path


def test_an_existing_run_is_returned_as_it_is(trained: tuple[Workspace, Path]) -> None:
    """Training again for the same hour and data does nothing."""
    made, folder = trained
    before = _hashes(folder)
    assert train(made) == folder
    assert _hashes(folder) == before


def test_the_run_is_whole_and_says_what_it_is(trained: tuple[Workspace, Path]) -> None:
    """Models load and replay their golden windows; metrics cover every lead and reference."""
    _, folder = trained
    manifest, files, metrics = run_folder.load(folder)
    assert (manifest.release, manifest.channel) == (0, "")
    assert manifest.features.digest == features.digest()
    bodies = {t: files[one.file.path] for t, one in manifest.models.items()}
    predictors = load_predictors(bodies, len(NAMES))
    golden_windows.replay(
        files[manifest.golden.path], {t: p.predict for t, p in predictors.items()}
    )
    for target in TARGETS:
        assert set(metrics.scores[target]["model"]) == set(SCORED_LEADS)
        assert set(metrics.scores[target]["seed_recipe"]) == {24}
        rows = {scores[24].rows for scores in metrics.scores[target].values()}
        assert len(rows) == 1
        assert metrics.parity[target] < 1e-3
    assert manifest.lineage["data_to"] <= f"{AS_OF:%Y-%m-%dT%H:%M}Z"


def test_even_the_small_model_learns_temperature(trained: tuple[Workspace, Path]) -> None:
    """A dozen trees on a ridge beat persistence and climatology a day ahead."""
    scores = run_folder.load(trained[1])[2].scores[AIR_TEMPERATURE]
    own = scores["model"][24].rmse
    assert own < scores["persistence"][24].rmse
    assert own < scores["climatology"][24].rmse


def test_without_observations_nothing_is_trained(trained: tuple[Workspace, Path]) -> None:
    """An hour before the record begins: missing input, with what to run."""
    with pytest.raises(InputMissing, match=r"station 108: .*run `trainer ingest`"):
        train(trained[0], record()["time"][0].replace(year=2010))


def test_permuted_truth_falls_to_climatology(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the truth shuffled over its hours, here and in the holdout, there is nothing to learn.

    What is left may not beat the normals: a model that did would know the answer from elsewhere
    than from the weather.
    """
    shrink(monkeypatch)
    frame = record()
    borders = dataset.split(frame["time"][0], frame["time"][-1], 0.2, 168)
    normals = dataset.fit_normals(frame, borders.train_end)
    series = dataset.prepare(STATION, frame, SITE, normals)
    stop = dataset.row_of(series, borders.train_end)
    random = np.random.default_rng(1)
    order = np.concatenate(
        [random.permutation(stop), stop + random.permutation(frame.height - stop)]
    )
    hours = len(order)
    shuffled = dict(series.truth)
    for target in TARGETS:
        normal = series.table[f"normal_{_short(target)}"].to_numpy().astype(np.float64)
        # Departures from the normal are shuffled, so that the seasons themselves stay.
        truth = series.truth[target].copy()
        truth[:hours] = normal[:hours] + (truth[:hours] - normal[:hours])[order]
        shuffled[target] = truth
    blind = dataset.StationSeries(STATION, series.place, series.frame, series.table, shuffled)
    fitted = fit.fit_candidate([blind], borders, seed=1, threads=1, progress=lambda _: None)
    pairs = dataset.scoring_pairs([series], borders.holdout, borders.last, (24,))
    matrix = dataset.gather([series], pairs)
    for target in TARGETS:
        truth = dataset.truth([blind], pairs, target)
        normal = matrix[:, NAMES.index(f"target_normal_{_short(target)}")]
        known = np.isfinite(truth)
        rmse = {
            name: float(np.sqrt(np.mean((values - truth)[known] ** 2)))
            for name, values in (
                ("model", fitted.models[target].predict(matrix)),
                ("normal", normal.astype(np.float64)),
            )
        }
        assert rmse["model"] > 0.95 * rmse["normal"], rmse


def _short(target: str) -> str:
    return {AIR_TEMPERATURE: "temperature", RELATIVE_HUMIDITY: "humidity"}[target]
