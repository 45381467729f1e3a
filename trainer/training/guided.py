"""The part of a candidate run that corrects KMA's forecasts: fitted, exported, checked, scored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import polars as pl

from edge_agent.contract import guidance_features, guided_golden
from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.guidance_course import READABLE_AFTER_H
from edge_agent.contract.guidance_features import GUIDED_LEADS, NAMES
from edge_agent.contract.hours import time_of
from edge_agent.contract.manifest import GUIDED_FORMAT, GuidanceModels
from edge_agent.contract.schema import TARGETS, TIME, TIME_DTYPE
from edge_agent.forecasting.inference import load_predictors
from trainer.evaluation import run_folder
from trainer.evaluation.dataset import HOURS_OF_YEAR
from trainer.evaluation.guided_hindcast import guided_forecasts
from trainer.evaluation.point_scores import by_lead
from trainer.ingest.station_guidance import guidance_at
from trainer.training import guided_fit, onnx_export, onnx_parity
from trainer.training.guided_sample import guided_series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_agent.contract.manifest import Manifest
    from edge_agent.contract.schema import Site
    from edge_agent.system.ports import Predictor
    from trainer.evaluation.holdout import Holdout
    from trainer.evaluation.holdout_scores import Metrics
    from trainer.evaluation.point_scores import Score
    from trainer.training.forecast_model import UnseenForecasts
    from trainer.training.guided_model import GuidedFit
    from trainer.training.guided_sample import GuidedSeries
    from trainer.training.lake_source import LakeSource, TrainingData
    from trainer.workspace.config import Training

GOLDEN_LEADS: Final = (1, 3, 6, 24, 48)
_GOLDEN_H: Final = 6 * 24
"""Hours of observations in a golden window: enough for every mean of the inputs to have values."""
_WHOLE_ISSUES: Final = timedelta(hours=12)
"""A golden window has younger issues whole, and of older ones their first hours."""
_NEXT_HOURS: Final = timedelta(hours=12)
_PARITY_STEP_H: Final = 5


@dataclass(frozen=True, slots=True)
class GuidedPart:
    """What a run has beside the models of observations.

    Attributes:
        models: For the manifest, without scores; None = there are none.
        files: Content by target path.
        parity: Target -> worst difference between graph and model.
        note: Why there are none, or empty.
    """

    models: GuidanceModels | None
    files: Mapping[str, bytes]
    parity: Mapping[str, float]
    note: str

    def predictors(self) -> dict[str, Predictor]:
        """The exported graphs, as a device runs them."""
        assert self.models is not None
        bodies = {target: self.files[ref.file.path] for target, ref in self.models.models.items()}
        return dict(load_predictors(bodies, len(NAMES)))


def guided_part(
    data: TrainingData,
    unseen: UnseenForecasts,
    options: Training,
    progress: Callable[[str], None],
) -> GuidedPart:
    """Fit, export and check.

    Raises:
        BadData: The export does not match the model.
        StorageError: The archive cannot be read.
    """
    sources, borders = [*data.stations, *data.farms], data.borders
    fitted, note = guided_fit.fit_guided(
        sources,
        borders.train_end,
        unseen,
        seed=options.seed,
        threads=options.threads,
        progress=progress,
    )
    if fitted is None:
        progress(f"no correction of KMA's forecasts: {note}")
        return GuidedPart(None, {}, {}, note)
    bodies = {target: onnx_export.guided_to_onnx(fitted.models[target]) for target in TARGETS}
    refs = {t: run_folder.model_ref(f"{t}-guided", t, body) for t, body in bodies.items()}
    files = {refs[target].file.path: body for target, body in bodies.items()}
    (source,) = (source for source in sources if source.number == fitted.places[0])
    series = next(guided_series([source]))
    parity = _parity(series, fitted, bodies, options.seed)
    windows = _golden_windows(source, series, load_predictors(bodies, len(NAMES)))
    golden_path, golden = run_folder.golden_file(windows)
    models = GuidanceModels(
        digest=guidance_features.digest(),
        names=NAMES,
        models=refs,
        golden=golden,
        residuals=fitted.residuals,
        shares=fitted.shares,
        scores={},
    )
    return GuidedPart(models, {**files, golden_path: windows}, parity, "")


def added(manifest: Manifest, part: GuidedPart, metrics: Metrics) -> Manifest:
    """The manifest of a run with these models, or with a note why there are none."""
    if part.models is None:
        lineage = {**manifest.lineage, run_folder.UNGUIDED: part.note}
        return msgspec.structs.replace(manifest, lineage=lineage)
    scores = {
        target: {
            f"rmse_{lead}h_{name}": round(score.rmse, 4)
            for name, by_lead in forecasts.items()
            for lead, score in by_lead.items()
        }
        for target, forecasts in metrics.guided.items()
    }
    models = msgspec.structs.replace(part.models, scores=scores)
    return msgspec.structs.replace(manifest, schema=GUIDED_FORMAT, guidance=models)


def score_guided(
    part: GuidedPart,
    sources: Sequence[LakeSource],
    holdout: Holdout,
    predictors: Mapping[str, Predictor],
) -> dict[str, dict[str, dict[int, Score]]]:
    """Scores on the holdout's hours that have forecasts: target -> forecast -> lead -> score.

    Args:
        part: What is scored; empty scores where it has no models.
        sources: Stations of the holdout.
        holdout: Unseen hours.
        predictors: The models of observations.
    """
    if part.models is None:
        return {}
    guided = part.predictors()
    origins = holdout.times.dt.epoch("s").to_numpy() // 3600 - holdout.leads
    found: list[dict[str, dict[str, np.ndarray]]] = []
    taken = []
    for series in guided_series(sources):
        rows = np.flatnonzero(holdout.stations == series.number)
        matrix = holdout.matrix[rows]
        observed = {t: p.predict(matrix).astype(np.float64) for t, p in predictors.items()}
        pairs = origins[rows], holdout.leads[rows]
        found.append(guided_forecasts(part.models, guided, series.inputs, pairs, observed))
        taken.append(rows)
    if not taken:
        return {}
    rows = np.concatenate(taken)
    scores = {}
    for target in TARGETS:
        names = found[0][target]
        joined = {name: np.concatenate([each[target][name] for each in found]) for name in names}
        scores[target] = by_lead(joined, holdout.truth[target][rows], holdout.leads[rows])
    return scores


def lineage_of(sources: Sequence[LakeSource]) -> dict[str, str]:
    """What the models follow from beside observations; empty where there is no archive."""
    data, issued = sha256(), []
    for source in sources:
        guidance = guidance_at(source.record.workspace.store, source.record.site)
        guidance = guidance.filter(pl.col(ISSUED) <= source.record.until)
        if guidance.is_empty():
            continue
        data.update(f"{source.record.id}:{guidance.height}:".encode())
        numbers = guidance.cast({ISSUED: pl.Int64, VALID: pl.Int64}).cast(pl.Float64)
        data.update(numbers.fill_null(float("nan")).to_numpy().tobytes())
        issued += [guidance[ISSUED][0], guidance[ISSUED][-1]]
    if not issued:
        return {}
    return {
        "guidance_sha256": data.hexdigest(),
        "guidance_from": f"{min(issued):%Y-%m-%dT%H:%M}Z",
        "guidance_to": f"{max(issued):%Y-%m-%dT%H:%M}Z",
    }


def _parity(
    series: GuidedSeries, fitted: GuidedFit, bodies: Mapping[str, bytes], seed: int
) -> dict[str, float]:
    """Worst difference of each graph from its model, on hours of one place."""
    first, hours = series.inputs.first, len(series.inputs.observed[TARGETS[0]])
    origins = np.arange(first, first + hours, _PARITY_STEP_H)
    leads = np.array(GUIDED_LEADS)[np.arange(len(origins)) % len(GUIDED_LEADS)]
    worst = {}
    for target, body in bodies.items():
        matrix = series.inputs.matrix(target, origins, leads)
        matrix = matrix[np.isfinite(matrix[:, NAMES.index("guidance")])]
        checked = onnx_parity.check(fitted.models[target], body, matrix, seed, onnx_parity.GUIDED)
        worst[target] = checked.maximum
    return worst


def _golden_windows(
    source: LakeSource, series: GuidedSeries, predictors: Mapping[str, Predictor]
) -> bytes:
    """Windows of a place: its newest hours, half a year before, and these once more with gaps."""
    record = source.record
    observed = record.observations().select(TIME, *TARGETS)
    guidance = guidance_at(record.workspace.store, record.site)
    ends = _golden_origins(series)
    stretches = [_stretch(record.site, observed, guidance, end) for end in ends]
    site, newest, issues = stretches[-1]
    gaps = newest.with_columns(
        pl.when(pl.int_range(pl.len()) % 7 != 3).then(pl.col(name)).alias(name) for name in TARGETS
    )
    return guided_golden.build(
        [*stretches, (site, gaps, issues)],
        GOLDEN_LEADS,
        {target: predictor.predict for target, predictor in predictors.items()},
    )


def _golden_origins(series: GuidedSeries) -> list[int]:
    """Hours since 1970 from which every lead has guidance and the newest error is known."""
    first, hours = series.inputs.first, len(series.inputs.observed[TARGETS[0]])
    origins = np.arange(first + _GOLDEN_H, first + hours)
    whole = np.ones(len(origins), bool)
    for target in TARGETS:
        whole &= np.isfinite(series.inputs.errors[target][_GOLDEN_H:])
        for lead in GOLDEN_LEADS:
            rows = series.inputs.course.newest(origins)
            whole &= np.isfinite(series.inputs.course.at(target, rows, origins + lead))
    fit = origins[whole]
    before = fit[fit <= fit[-1] - HOURS_OF_YEAR // 2]
    return [int(fit[-1]), *(int(hour) for hour in before[-1:])]


def _stretch(
    site: Site, observed: pl.DataFrame, guidance: pl.DataFrame, end: int
) -> tuple[Site, pl.DataFrame, pl.DataFrame]:
    """What is known of the newest hours at an origin: see `guided_golden.build`."""
    origin, first = time_of(end), time_of(end - _GOLDEN_H)
    hours = pl.datetime_range(first, origin, "1h", eager=True).alias(TIME).cast(TIME_DTYPE)
    seen = hours.to_frame().join(observed.unique(TIME), on=TIME, how="left").sort(TIME)
    issued = pl.col(ISSUED)
    readable = issued.is_between(first, time_of(end - READABLE_AFTER_H))
    recent = (issued > origin - _WHOLE_ISSUES) | (pl.col(VALID) <= issued + _NEXT_HOURS)
    return site, seen, guidance.filter(readable & recent)
