"""The part of a candidate run with optional targets: exported, checked, scored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import polars as pl

from edge_agent.contract import features, golden_windows, optional_targets
from edge_agent.contract.manifest import OptionalTarget
from edge_agent.contract.schema import OBSERVED, TIME
from edge_agent.forecasting.inference import OnnxPredictor
from trainer.evaluation import baselines, run_folder
from trainer.evaluation.holdout_scores import HEADLINE_LEAD, MODEL, SCORED_LEADS
from trainer.evaluation.optional_scores import holdout_inputs, scored
from trainer.training import onnx_export, onnx_parity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_agent.contract.manifest import Manifest
    from trainer.evaluation.dataset import StationSeries
    from trainer.evaluation.holdout import Holdout
    from trainer.evaluation.holdout_scores import Metrics
    from trainer.training.lake_source import LakeSource
    from trainer.training.optional_fit import OptionalFit

GOLDEN_LEADS: Final = (1, 6, 24, 48)
_HALF_YEAR: Final = timedelta(hours=4383)
_PARITY_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True)
class OptionalPart:
    """What a run has of optional targets: by target for the manifest, and files by target path."""

    targets: Mapping[str, OptionalTarget]
    files: Mapping[str, bytes]

    def added(self, manifest: Manifest) -> Manifest:
        """The manifest of a run with these targets."""
        return msgspec.structs.replace(manifest, optional=dict(self.targets))


def optional_part(
    fitted: Mapping[str, OptionalFit],
    holdout: Holdout,
    sources: Sequence[LakeSource],
    metrics: Metrics,
    *,
    seed: int,
    progress: Callable[[str], None],
) -> tuple[OptionalPart, Metrics]:
    """Export, check and score; the metrics with those of the targets.

    A target without an hour of the holdout to score it on is left out.

    Args:
        fitted: By target.
        holdout: Unseen hours.
        sources: Stations; golden windows are hours of the first that measures the target.
        metrics: Of the run so far.
        seed: Of the rows that graph and model are compared on.
        progress: Told what is not forecast.

    Raises:
        BadData: The export does not match the model.
    """
    targets: dict[str, OptionalTarget] = {}
    files: dict[str, bytes] = {}
    for target, fit in fitted.items():
        matrix = holdout_inputs(target, fit.tables, holdout)
        has_base = np.isfinite(matrix[:, -1])
        scorable = has_base & np.isfinite(holdout.truth[target])
        if not scorable[holdout.leads == HEADLINE_LEAD].any():
            progress(f"{target}: not forecast, no hour of the holdout can be scored")
            continue
        body = onnx_export.guided_to_onnx(fit.model)
        predictor = OnnxPredictor(body, matrix.shape[1], target)
        rows = np.flatnonzero(has_base)
        some = matrix[rows[:: max(1, len(rows) // _PARITY_ROWS)]]
        worst = onnx_parity.check(fit.model, body, some, seed).maximum
        forecasts = baselines.references(matrix, holdout.leads, fit.damped)
        forecasts[MODEL] = np.where(has_base, predictor.predict(matrix).astype(np.float64), np.nan)
        metrics = scored(metrics, target, holdout, forecasts, fit.tables)
        metrics = msgspec.structs.replace(
            metrics,
            parity={**metrics.parity, target: worst},
            damped={**metrics.damped, target: {x: fit.damped.shares[x] for x in SCORED_LEADS}},
        )
        (source,) = (s for s in sources if str(s.number) == next(iter(fit.tables.normals)))
        tables = msgspec.json.encode(fit.tables, order="deterministic")
        windows = _golden(target, fit, source.load(), predictor)
        golden_path, golden = run_folder.golden_file(windows)
        model = run_folder.model_ref(target, target, body)
        table = run_folder.file_ref(f"models/{target}/{model.version}/tables.json", tables)
        files |= {model.file.path: body, table.path: tables, golden_path: windows}
        targets[target] = OptionalTarget(
            digest=optional_targets.digest(target),
            model=model,
            golden=golden,
            tables=table,
            scores=metrics.headline()[target],
        )
    return OptionalPart(targets, files), metrics


def _golden(
    target: str, fit: OptionalFit, series: StationSeries, predictor: OnnxPredictor
) -> bytes:
    """Two windows of a station, half a year apart, and the newer one with gaps."""
    normals = {**series.place.normals, target: fit.tables.normals[str(series.number)]}
    place = features.Place(series.place.site, normals)
    measured = series.frame.filter(pl.col(target).is_not_null())[TIME]
    newest = measured[-1]
    windows = []
    for end in (newest, measured.filter(measured <= newest - _HALF_YEAR)[-1]):
        first = end - timedelta(hours=features.LOOKBACK_HOURS - 1)
        windows.append(
            series.frame.filter(pl.col(TIME).is_between(first, end)).select(TIME, *OBSERVED)
        )
    row = pl.int_range(pl.len())
    gaps = windows[0].with_columns(
        pl.when((row % 7 != 3) | (row == row.max())).then(pl.col(name)).alias(name)
        for name in OBSERVED
    )
    return golden_windows.build(
        tuple((place, window) for window in (*windows, gaps)),
        GOLDEN_LEADS,
        {target: predictor.predict},
        optional_targets.window_inputs(target),
    )
