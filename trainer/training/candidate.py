"""From the lake to a candidate run: a folder with models, scores and a manifest, never live.

The name of a run is its logical day and a digest of everything that went into it; the same data,
code and parameters give the same name and the same bytes.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from edge_agent.contract import features, golden_windows
from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import BadData
from edge_agent.contract.hours import korean_date
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, OBSERVED, QUANTITIES, TARGETS, TIME
from edge_agent.forecasting.inference import load_predictors
from trainer.evaluation import run_folder
from trainer.evaluation.dataset import split
from trainer.evaluation.holdout import Holdout
from trainer.evaluation.holdout_scores import SCORED_LEADS, score_holdout
from trainer.training import fit, onnx_export, onnx_parity, seed_recipe
from trainer.training.lake_source import ready, ready_farms, stations_until
from trainer.training.lineage import digest, lineage_of
from trainer.workspace.parallel import each_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest, SiteNormals
    from trainer.evaluation.dataset import Source, Split, StationSeries
    from trainer.workspace.workspace import Workspace

MIN_AGENT = "0.1.0"
GOLDEN_LEADS = (1, 6, 24, 48)


def train(
    workspace: Workspace,
    as_of: datetime,
    *,
    champion: Manifest | None,
    progress: Callable[[str], None],
) -> Path:
    """Train a candidate on observations up to `as_of`.

    Args:
        workspace: Lake and parameters; `[training] farms` adds farms' histories.
        as_of: Hour of the newest observation that may be used, UTC.
        champion: What is live; its normals are kept, so that today's model of one target and
            last month's of the other can stand in one release.
        progress: Told each step before it begins.

    Returns:
        Folder of the run; an existing one is returned as it is.

    Raises:
        InputMissing: No observations of any configured station.
        BadData: Too few observations, no station measures every target, or the export does not
            match the model.
        TryLater: See `parallel.each_of`.
    """
    options = workspace.config.training
    left_out: list[str] = []

    def leave_out(told: str) -> None:
        left_out.append(told)
        progress(told)

    records = stations_until(workspace, as_of, leave_out)
    borders = split(
        min(one.first for one in records),
        max(one.last for one in records),
        options.holdout_share,
        options.embargo_hours,
    )
    progress("normals")
    sources = ready(records, borders, champion.sites if champion else {}, leave_out)
    sites = {str(one.number): _normals(one) for one in sources}
    farms = ready_farms(workspace, borders, as_of, sites, progress) if options.farms else []
    lineage = lineage_of(workspace.config.training, sources, farms, borders, left_out)
    name = f"{korean_date(as_of):%Y%m%d}-{digest(lineage)[:12]}"
    folder = workspace.run_store.folder(name)
    if (folder / run_folder.MANIFEST).exists():
        return folder
    with each_of(workspace.config.compute) as each:
        fitted = fit.fit_candidate(
            [*sources, *farms],
            borders,
            seed=options.seed,
            threads=options.threads,
            progress=progress,
            each=each,
        )
        progress("holdout")
        holdout = Holdout.of(sources, borders, SCORED_LEADS, each)
    _check_truth(holdout, borders)
    progress("export and parity")
    content = {target: onnx_export.to_onnx(fitted.models[target]) for target in TARGETS}
    checked = {
        target: onnx_parity.check(
            fitted.models[target], content[target], holdout.matrix, options.seed
        )
        for target in TARGETS
    }
    predictors = load_predictors(content, len(features.FEATURES))
    metrics = score_holdout(
        holdout,
        borders,
        predictors,
        fitted,
        seed_recipe=partial(seed_recipe.forecast, threads=options.threads),
        progress=progress,
    )
    metrics = msgspec.structs.replace(
        metrics, parity={target: one.maximum for target, one in checked.items()}
    )
    files = {_model_path(target, body): body for target, body in content.items()}
    windows = golden_windows.build(
        _golden_windows(sources[0].load(), borders),
        GOLDEN_LEADS,
        {target: predictor.predict for target, predictor in predictors.items()},
    )
    golden_path, golden_ref = run_folder.golden_file(windows)
    manifest = contract.Manifest(
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
        models={
            target: contract.ModelRef(
                version=run_folder.sha256_hex(body)[:12],
                unit=QUANTITIES[target].unit,
                file=run_folder.file_ref(_model_path(target, body), body),
            )
            for target, body in content.items()
        },
        golden=golden_ref,
        sites=sites,
        residuals=fitted.residuals,
        climatology_residuals=fitted.climatology_residuals,
        scores=metrics.headline(),
        lineage=lineage | ({run_folder.UNUSED: ",".join(fitted.unused)} if fitted.unused else {}),
        reason="",
        widening=fitted.widening,
    )
    run_folder.write(folder, manifest, {**files, golden_path: windows}, metrics)
    return workspace.run_store.folder(name)


def _check_truth(holdout: Holdout, borders: Split) -> None:
    for target, truth in holdout.truth.items():
        if not np.isfinite(truth).any():
            raise BadData(
                f"{target}: no station observed it from {borders.holdout:%Y-%m-%d} to "
                f"{borders.last:%Y-%m-%d}, the hours that candidates are judged on; ingest or "
                "import more, or train with --as-of a day on which it was still observed"
            )


def _normals(source: Source) -> SiteNormals:
    site = source.place.site
    return contract.SiteNormals(
        site.latitude, site.longitude, site.elevation_m, source.place.normals
    )


def _golden_windows(
    one: StationSeries, borders: Split
) -> tuple[tuple[features.Place, pl.DataFrame], ...]:
    """Two windows of a station from the holdout, half a year apart, one with gaps."""
    windows = [
        (one.place, _window(one, end))
        for end in (borders.last, borders.last - timedelta(hours=4383))
    ]
    gaps = windows[0][1].with_columns(
        pl.when(pl.int_range(pl.len()) % 7 != 3).then(pl.col(name)).alias(name)
        for name in windows[0][1].columns
        if name != TIME
    )
    return (*windows, (one.place, gaps))


def _window(one: StationSeries, end: datetime) -> pl.DataFrame:
    """Observations up to an hour; up to an earlier one where most of these lack temperature."""
    span = timedelta(hours=features.LOOKBACK_HOURS)
    while True:
        window = one.frame.filter(pl.col(TIME).is_between(end - span, end, closed="right"))
        if 2 * window[AIR_TEMPERATURE].count() >= features.LOOKBACK_HOURS or end < one.first:
            return window.select(TIME, *OBSERVED)
        end -= span


def _model_path(target: str, body: bytes) -> str:
    return f"models/{target}/{run_folder.sha256_hex(body)[:12]}/model.onnx"
