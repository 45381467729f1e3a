"""From the lake to a candidate run: a folder with models, scores and a manifest, never live.

The name of a run is its logical day and a digest of everything that went into it; the same data,
code and parameters give the same name and the same bytes.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from edge_agent.contract import features, golden_windows
from edge_agent.contract import manifest as contract
from edge_agent.contract.hours import korean_date
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, OBSERVED, TARGETS, TIME
from edge_agent.forecasting.inference import load_predictors
from trainer.evaluation import run_folder
from trainer.evaluation.holdout import Holdout
from trainer.evaluation.holdout_scores import SCORED_LEADS, score_holdout
from trainer.training import fit, guided, onnx_export, onnx_parity, readiness, seed_recipe
from trainer.training.lake_source import TrainingData
from trainer.training.lineage import digest, lineage_of
from trainer.training.optional_part import optional_part
from trainer.workspace import free_space
from trainer.workspace.parallel import each_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import date, datetime
    from pathlib import Path

    from edge_agent.contract.manifest import FileRef, Manifest, ModelRef
    from edge_agent.forecasting.inference import OnnxPredictor
    from trainer.evaluation.dataset import StationSeries
    from trainer.evaluation.holdout_scores import Metrics
    from trainer.training.forecast_model import Fitted
    from trainer.workspace.workspace import Workspace

MIN_AGENT = "0.1.0"
GOLDEN_LEADS = (1, 6, 24, 48)


def train(
    workspace: Workspace,
    as_of: datetime,
    *,
    champion: Manifest | None,
    progress: Callable[[str], None],
    judge: Callable[[Collection[date]], None] = lambda _: None,
) -> Path:
    """Train a candidate on observations up to `as_of`.

    Args:
        workspace: Lake and parameters; `[training] farms` adds farms' histories.
        as_of: Hour of the newest observation that may be used, UTC.
        champion: What is live; its normals are kept, so that today's model of one target and
            last month's of the other can stand in one release.
        progress: Told each step before it begins.
        judge: See `readiness.check`.

    Returns:
        Folder of the run; an existing one is returned as it is.

    Raises:
        InputMissing: No observations of any configured station.
        BadData: Too few observations, no station measures every target (both before any fit), or
            the export does not match the model.
        StorageError: The disk has no room for the run; also before any fit.
        TryLater: See `parallel.each_of`.
    """
    options = workspace.config.training
    data = TrainingData.of(workspace, as_of, champion.sites if champion else {}, progress)
    lineage = lineage_of(options, data)
    name = f"{korean_date(as_of):%Y%m%d}-{digest(lineage)[:12]}"
    folder = workspace.run_store.folder(name)
    if (folder / run_folder.MANIFEST).exists():
        return folder
    free_space.check(folder, "the run")
    with each_of(workspace.config.compute) as each:
        readiness.check(data, each, judge=judge)
    fitted, holdout = _fitted(workspace, data, progress)
    progress("export and parity")
    models, parity = _exported(fitted, holdout, options.seed)
    predictors = load_predictors(models, len(features.FEATURES))
    recipe = partial(seed_recipe.forecast, threads=options.threads)
    part = guided.guided_part(data, fitted.unseen, options, progress)
    metrics = score_holdout(
        holdout, data.borders, predictors, fitted, seed_recipe=recipe, progress=progress
    )
    metrics = msgspec.structs.replace(
        metrics,
        parity={**parity, **{f"{target} guided": worst for target, worst in part.parity.items()}},
        guided=guided.score_guided(part, data.stations, holdout, predictors),
    )
    refs = {target: run_folder.model_ref(target, target, body) for target, body in models.items()}
    files = {refs[target].file.path: body for target, body in models.items()}
    windows = _golden_windows(data, predictors)
    golden_path, golden = run_folder.golden_file(windows)
    manifest = _manifest(fitted, data, metrics, (refs, golden), lineage)
    manifest = guided.added(manifest, part, metrics)
    progress("optional targets")
    more, metrics = optional_part(
        fitted.optional, holdout, data.stations, metrics, seed=options.seed, progress=progress
    )
    contents = {**files, **part.files, **more.files, golden_path: windows}
    run_folder.write(folder, more.added(manifest), contents, metrics)
    return workspace.run_store.folder(name)


def _fitted(
    workspace: Workspace, data: TrainingData, progress: Callable[[str], None]
) -> tuple[Fitted, Holdout]:
    options = workspace.config.training
    with each_of(workspace.config.compute) as each:
        fitted = fit.fit_candidate(
            [*data.stations, *data.farms],
            data.borders,
            seed=options.seed,
            threads=options.threads,
            progress=progress,
            each=each,
        )
        progress("holdout")
        holdout = Holdout.of(data.stations, data.borders, SCORED_LEADS, each)
    return fitted, holdout


def _exported(
    fitted: Fitted, holdout: Holdout, seed: int
) -> tuple[dict[str, bytes], dict[str, float]]:
    """ONNX graph of each target, and its worst difference from the model."""
    models = {target: onnx_export.to_onnx(fitted.models[target]) for target in TARGETS}
    parity = {
        target: onnx_parity.check(fitted.models[target], model, holdout.matrix, seed).maximum
        for target, model in models.items()
    }
    return models, parity


def _manifest(
    fitted: Fitted,
    data: TrainingData,
    metrics: Metrics,
    models: tuple[Mapping[str, ModelRef], FileRef],
    lineage: Mapping[str, str],
) -> Manifest:
    """Description of the run; `models` by target, and its golden windows."""
    refs, golden = models
    unused = {run_folder.UNUSED: ",".join(fitted.unused)} if fitted.unused else {}
    return contract.Manifest(
        schema=contract.FORMAT,
        project=contract.PROJECT,
        channel="",
        release=0,
        created_at="",
        min_agent=MIN_AGENT,
        features=contract.FeatureContract(
            digest=features.digest(),
            names=features.FEATURES,
            lookback_hours=features.LOOKBACK_HOURS,
            polars=pl.__version__,
        ),
        leads=LEADS,
        models=dict(refs),
        golden=golden,
        sites=data.sites,
        residuals=fitted.residuals,
        climatology_residuals=fitted.climatology_residuals,
        scores=metrics.headline(),
        lineage={**lineage, **unused},
        reason="",
        widening=fitted.widening,
    )


def _golden_windows(data: TrainingData, predictors: Mapping[str, OnnxPredictor]) -> bytes:
    """Two windows of a station from the holdout, half a year apart, and one with gaps."""
    series, last = data.stations[0].load(), data.borders.last
    windows = [_window(series, end) for end in (last, last - timedelta(hours=4383))]
    gaps = windows[0].with_columns(
        pl.when(pl.int_range(pl.len()) % 7 != 3).then(pl.col(name)).alias(name)
        for name in windows[0].columns
        if name != TIME
    )
    return golden_windows.build(
        tuple((series.place, window) for window in (*windows, gaps)),
        GOLDEN_LEADS,
        {target: predictor.predict for target, predictor in predictors.items()},
    )


def _window(series: StationSeries, end: datetime) -> pl.DataFrame:
    """Observations up to an hour; up to an earlier one where most of these lack temperature."""
    span = timedelta(hours=features.LOOKBACK_HOURS)
    while True:
        window = series.frame.filter(pl.col(TIME).is_between(end - span, end, closed="right"))
        if 2 * window[AIR_TEMPERATURE].count() >= features.LOOKBACK_HOURS or end < series.first:
            return window.select(TIME, *OBSERVED)
        end -= span
