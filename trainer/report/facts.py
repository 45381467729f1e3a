"""What a report says about a run, recomputed from the lake and the run's own files.

Nothing is stored for the report: the holdout is forecast again by the run's ONNX graphs, as the
agent would run them. Scores beside the baselines are those of `metrics.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edge_agent.contract import features, residuals
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import TARGETS
from edge_agent.forecasting.inference import load_predictors
from trainer.depot.release_log import ReleaseLog
from trainer.evaluation import run_folder
from trainer.evaluation.dataset import gather, prepare, scoring_pairs, stride, times
from trainer.evaluation.dataset import truth as truth_of
from trainer.evaluation.holdout_scores import SCORED_LEADS
from trainer.workspace.runs import MANIFEST
from trainer.workspace.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from edge_agent.contract.forecast import TargetForecast
    from edge_agent.contract.manifest import Manifest
    from edge_agent.forecasting.inference import OnnxPredictor
    from trainer.depot.release_log import Entry
    from trainer.evaluation.dataset import Pairs, StationSeries
    from trainer.evaluation.holdout_scores import Metrics
    from trainer.workspace.runs import RunStore
    from trainer.workspace.workspace import Workspace

MOST_PAIRS = 200_000
"""Pairs of origin and lead that are forecast again; more stations, fewer origins of each."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """The holdout, forecast again.

    Attributes:
        series: Stations.
        pairs: Origins and leads, N of them.
        matrix: Model input, float32 (N, F).
        times: Target hours, UTC, length N.
        truth: Target -> observed, float64 (N,), NaN = none.
        forecasts: Target -> points and quantiles of the N pairs.
        predictors: Target -> the run's graph.
        every: Each how many-th origin was taken.
    """

    series: Sequence[StationSeries]
    pairs: Pairs
    matrix: np.ndarray
    times: pl.Series
    truth: Mapping[str, np.ndarray]
    forecasts: Mapping[str, TargetForecast]
    predictors: Mapping[str, OnnxPredictor]
    every: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a report shows.

    Attributes:
        run: Name of the run.
        manifest: Of the run.
        metrics: Measured when it was trained.
        decisions: Channel -> what the gate wrote, as plain JSON values.
        history: Publications, oldest first, each with the scores of its run where that is here.
        unseen: The holdout, forecast again.
    """

    run: str
    manifest: Manifest
    metrics: Metrics
    decisions: Mapping[str, Mapping[str, Any]]
    history: Sequence[tuple[Entry, Mapping[str, Mapping[str, float]] | None]]
    unseen: Unseen


def collect(workspace: Workspace, folder: Path) -> Facts:
    """Facts of a run.

    Raises:
        InputMissing: The folder is no run.
        BadData: It is damaged, or was trained by other feature code.
    """
    manifest, files, metrics = run_folder.load(folder)
    if manifest.features.digest != features.digest():
        raise BadData(f"{folder.name}: trained by other feature code; train again to report on it")
    return Facts(
        run=folder.name,
        manifest=manifest,
        metrics=metrics,
        decisions={
            path.stem.removeprefix("gate-"): msgspec.json.decode(path.read_bytes())
            for path in sorted(folder.glob("gate-*.json"))
        },
        history=[
            (entry, _scores(workspace.run_store, entry.run))
            for entry in ReleaseLog(workspace.records).entries()
        ],
        unseen=_forecast_again(workspace, manifest, files, metrics),
    )


def _scores(runs: RunStore, run: str) -> Mapping[str, Mapping[str, float]] | None:
    content = runs.read(run, MANIFEST) if run else None
    try:
        found: dict[str, Any] = msgspec.json.decode(content or b"{}")
    except msgspec.DecodeError:
        return None
    return found.get("scores")


def _forecast_again(
    workspace: Workspace, manifest: Manifest, files: Mapping[str, bytes], metrics: Metrics
) -> Unseen:
    start = datetime.fromisoformat(metrics.holdout_from)
    end = datetime.fromisoformat(metrics.holdout_to)
    series = []
    for number in map(int, manifest.lineage["stations"].split(",")):
        normals = manifest.sites.get(str(number))
        if normals is None:
            raise BadData(f"the run's manifest has no normals of station {number}")
        frame = workspace.lake.observations(number, end=end)
        series.append(prepare(number, frame, station_of(number).site, normals.coefficients))
    pairs = scoring_pairs(series, start, end, SCORED_LEADS)
    if not len(pairs):
        raise BadData(f"the lake holds no hours of the run's holdout, {start:%F} to {end:%F}")
    every = stride(len(pairs), MOST_PAIRS)
    pairs = pairs.take(pairs.origins % every == 0)
    matrix = gather(series, pairs)
    hours = times(series, pairs)
    predictors = load_predictors(
        {target: files[model.file.path] for target, model in manifest.models.items()},
        matrix.shape[1],
    )
    points = {target: predictors[target].predict(matrix).astype(np.float64) for target in TARGETS}
    return Unseen(
        series=series,
        pairs=pairs,
        matrix=matrix,
        times=hours,
        truth={target: truth_of(series, pairs, target) for target in TARGETS},
        forecasts={
            target: residuals.apply(
                manifest.residuals[target], target, points[target], hours.to_list(), pairs.leads
            )
            for target in TARGETS
        },
        predictors=predictors,
        every=every,
    )
