"""What a candidate run follows from: data, parameters, code and libraries, as its manifest says."""

from __future__ import annotations

import platform
import sys
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from edge_agent import __version__
from edge_agent.contract import features
from edge_agent.contract.schema import OBSERVED, TIME
from trainer.evaluation.dataset import USUAL_HOURS
from trainer.evaluation.run_folder import LEFT_OUT, SHORT
from trainer.training import fit, guided, guided_fit, onnx_export
from trainer.workspace.code_identity import training_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trainer.evaluation.dataset import Split
    from trainer.training.lake_source import LakeSource, TrainingData
    from trainer.workspace.config import Training


def lineage_of(options: Training, data: TrainingData) -> dict[str, str]:
    """What a run follows from, by name; equal lineages give equal runs."""
    newest = max(source.record.last for source in data.stations)
    oldest = min(source.first for source in data.stations)
    normals = {str(source.number): source.place.normals for source in data.stations}
    return {
        "stations": ",".join(str(source.number) for source in data.stations),
        "data_sha256": _data_digest(data.stations),
        "data_from": f"{oldest:%Y-%m-%dT%H:%M}Z",
        "data_to": f"{newest:%Y-%m-%dT%H:%M}Z",
        "trained_to": f"{data.borders.train_end:%Y-%m-%dT%H:%M}Z",
        "normals_sha256": digest(normals),
        "code_version": __version__,
        "code_sha256": training_code(),
        "features_digest": features.digest(),
        "seed": str(options.seed),
        "holdout_share": str(options.holdout_share),
        "embargo_hours": str(options.embargo_hours),
        "parameters": _json(fit.parameters()),
        "libraries": _libraries(),
        "machine": f"{platform.machine()} {sys.platform}",
        **({LEFT_OUT: "; ".join(data.left_out)} if data.left_out else {}),
        **_short(data.borders),
        **_farms_lineage(data.farms),
        **_guided_lineage(data),
    }


def _short(borders: Split) -> dict[str, str]:
    hours = (borders.last - borders.first) // timedelta(hours=1) + 1
    if hours >= USUAL_HOURS:
        return {}
    return {SHORT: f"{hours // 24} days of observations, {USUAL_HOURS // 24} are usual"}


def _guided_lineage(data: TrainingData) -> dict[str, str]:
    archive = guided.lineage_of([*data.stations, *data.farms])
    return {**archive, "guided_parameters": _json(guided_fit.parameters())} if archive else {}


def _libraries() -> str:
    """Versions of the libraries, as JSON."""
    versions = {
        "polars": pl.__version__,
        "numpy": np.__version__,
        **fit.versions(),
        **onnx_export.versions(),
        "python": platform.python_version(),
    }
    return _json(versions)


def _json(document: Mapping[str, object]) -> str:
    return msgspec.json.encode(document, order="deterministic").decode()


def _farms_lineage(farms: Sequence[LakeSource]) -> dict[str, str]:
    """How many took part, and a digest of their hours. A release names no farm and no place."""
    if not farms:
        return {}
    places = {str(source.record.id): msgspec.to_builtins(source.place) for source in farms}
    both = f"{_data_digest(farms)}{digest(places)}"
    return {
        "trained_farms": str(len(farms)),
        "trained_farms_sha256": sha256(both.encode()).hexdigest(),
    }


def _data_digest(sources: Sequence[LakeSource]) -> str:
    data = sha256()
    for source in sources:
        frame = source.record.observations()
        data.update(f"{source.record.id}:{frame.height}:".encode())
        numbers = frame.select(TIME, *OBSERVED).cast({TIME: pl.Int64}).cast(pl.Float64)
        data.update(numbers.fill_null(float("nan")).to_numpy().tobytes())
    return data.hexdigest()


def digest(document: Mapping[str, object]) -> str:
    """SHA-256 (hex) of a document, whatever the order of its keys."""
    return sha256(_json(document).encode()).hexdigest()
