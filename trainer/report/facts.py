"""What a report shows of a run: its files, its publications, and its holdout a day ahead again.

Scores are those of `metrics.json`. Nothing is stored for the report: example forecasts and the
importance of inputs come from a hindcast by the run's own ONNX graphs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.contract import features
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import TARGETS
from trainer.depot.release_log import ReleaseLog
from trainer.evaluation import run_folder
from trainer.evaluation.dataset import gather, scoring_pairs, stride
from trainer.evaluation.dataset import truth as truth_of
from trainer.evaluation.hindcast import ReleaseModels, hindcast, station_series
from trainer.evaluation.holdout_scores import HEADLINE_LEAD, SCORED_LEADS
from trainer.workspace.runs import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from edge_agent.contract.manifest import Manifest
    from trainer.depot.release_log import Entry
    from trainer.evaluation.dataset import Pairs, StationSeries
    from trainer.evaluation.holdout_scores import Metrics
    from trainer.workspace.runs import RunStore
    from trainer.workspace.workspace import Workspace

MOST_PAIRS = 200_000
"""Most pairs of origin and lead in a holdout whose origins are all forecast again."""


@dataclass(frozen=True, slots=True)
class DayAhead:
    """The holdout at `HEADLINE_LEAD`, forecast again.

    Attributes:
        models: Of the run.
        series: Stations.
        pairs: Origins and leads, N of them.
        matrix: Model input, float32 (N, F).
        truth: Target -> observed, float64 (N,), NaN = none.
        values: Target -> forecast, float64 (N,).
        every: Step between origins.
    """

    models: ReleaseModels
    series: Sequence[StationSeries]
    pairs: Pairs
    matrix: np.ndarray
    truth: Mapping[str, np.ndarray]
    values: Mapping[str, np.ndarray]
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
        day_ahead: The holdout, forecast again.
    """

    run: str
    manifest: Manifest
    metrics: Metrics
    decisions: Mapping[str, Mapping[str, Any]]
    history: Sequence[tuple[Entry, Mapping[str, Mapping[str, float]] | None]]
    day_ahead: DayAhead


def collect(workspace: Workspace, folder: Path) -> Facts:
    """Facts of a run.

    Raises:
        InputMissing: The folder is no run.
        BadData: It is damaged, or was trained by other code: other features, or no scores by
            season and event.
    """
    manifest, files, metrics = run_folder.load(folder)
    if manifest.features.digest != features.digest():
        raise BadData(f"{folder.name}: trained by other feature code; train again to report on it")
    if not metrics.detail:
        raise BadData(f"{folder.name}: trained before runs held scores by season; train again")
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
        day_ahead=_day_ahead(workspace, ReleaseModels.of(manifest, files), metrics),
    )


def _scores(runs: RunStore, run: str) -> Mapping[str, Mapping[str, float]] | None:
    content = runs.read(run, MANIFEST) if run else None
    try:
        document: dict[str, Any] = msgspec.json.decode(content or b"{}")
    except msgspec.DecodeError:
        return None
    return document.get("scores")


def _day_ahead(workspace: Workspace, models: ReleaseModels, metrics: Metrics) -> DayAhead:
    start = datetime.fromisoformat(metrics.holdout_from)
    end = datetime.fromisoformat(metrics.holdout_to)
    series = [
        station_series(
            models.manifest,
            number,
            workspace.lake.observations(number, end=end),
            "the run's manifest",
        )
        for number in map(int, models.manifest.lineage["stations"].split(","))
    ]
    pairs = scoring_pairs(series, start, end, SCORED_LEADS)
    if not len(pairs):
        raise BadData(f"the lake holds no hours of the run's holdout, {start:%F} to {end:%F}")
    every = stride(len(pairs), MOST_PAIRS)
    pairs = pairs.take((pairs.origins % every == 0) & (pairs.leads == HEADLINE_LEAD))
    matrix = gather(series, pairs)
    return DayAhead(
        models=models,
        series=series,
        pairs=pairs,
        matrix=matrix,
        truth={target: truth_of(series, pairs, target) for target in TARGETS},
        values={
            target: forecast.values
            for target, forecast in hindcast(models, matrix, pairs.leads).items()
        },
        every=every,
    )
