"""What a candidate run follows from: data, parameters, code and libraries, as its manifest says."""

from __future__ import annotations

import platform
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from edge_agent import __version__
from edge_agent.contract import features
from edge_agent.contract.schema import OBSERVED, TIME
from trainer.evaluation.run_folder import LEFT_OUT
from trainer.training import fit, onnx_export, stacking
from trainer.training import ridge as ridge_module
from trainer.training import trees as trees_module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trainer.evaluation.dataset import Split
    from trainer.training.lake_source import LakeSource
    from trainer.workspace.config import Training


def lineage_of(
    options: Training,
    sources: Sequence[LakeSource],
    farms: Sequence[LakeSource],
    borders: Split,
    left_out: Sequence[str],
) -> dict[str, str]:
    """What a run follows from, by name; equal lineages give equal runs.

    Args:
        options: Of the training.
        sources: Stations that are trained on.
        farms: Farms beside them.
        borders: Of training and holdout.
        left_out: Stations that take no part, each with its reason.
    """
    newest = max(one.record.last for one in sources)
    oldest = min(one.first for one in sources)
    normals = {str(one.number): one.place.normals for one in sources}
    return {
        "stations": ",".join(str(one.number) for one in sources),
        "data_sha256": _data_digest(sources),
        "data_from": f"{oldest:%Y-%m-%dT%H:%M}Z",
        "data_to": f"{newest:%Y-%m-%dT%H:%M}Z",
        "trained_to": f"{borders.train_end:%Y-%m-%dT%H:%M}Z",
        "normals_sha256": digest(normals),
        "code_version": __version__,
        "features_digest": features.digest(),
        "seed": str(options.seed),
        "holdout_share": str(options.holdout_share),
        "embargo_hours": str(options.embargo_hours),
        "parameters": msgspec.json.encode(
            {
                "trees": dict(trees_module.TREES),
                "rounds": trees_module.ROUNDS,
                "pairs": fit.PAIRS,
                "parts": fit.PARTS,
                "linear_rows": fit.LINEAR_ROWS,
                "ridge": ridge_module.PENALTY,
                "drop_share": fit.DROP_SHARE,
                "bare_share": fit.BARE_SHARE,
                "probed": fit.PROBED,
                "knots_averaged": 2 * stacking.NEIGHBOURS + 1,
            },
            order="deterministic",
        ).decode(),
        "libraries": msgspec.json.encode(
            {
                "polars": pl.__version__,
                "numpy": np.__version__,
                **trees_module.versions(),
                **onnx_export.versions(),
                "python": platform.python_version(),
            },
            order="deterministic",
        ).decode(),
        "machine": f"{platform.machine()} {sys.platform}",
        **({LEFT_OUT: "; ".join(left_out)} if left_out else {}),
        **_farms_lineage(farms),
    }


def _farms_lineage(farms: Sequence[LakeSource]) -> dict[str, str]:
    """How many took part, and a digest of what they brought; who and where they are stays here."""
    if not farms:
        return {}
    places = {str(one.record.id): msgspec.to_builtins(one.place) for one in farms}
    both = f"{_data_digest(farms)}{digest(places)}"
    return {
        "trained_farms": str(len(farms)),
        "trained_farms_sha256": sha256(both.encode()).hexdigest(),
    }


def _data_digest(sources: Sequence[LakeSource]) -> str:
    data = sha256()
    for one in sources:
        frame = one.record.observations()
        data.update(f"{one.record.id}:{frame.height}:".encode())
        numbers = frame.select(TIME, *OBSERVED).cast({TIME: pl.Int64}).cast(pl.Float64)
        data.update(numbers.fill_null(float("nan")).to_numpy().tobytes())
    return data.hexdigest()


def digest(document: Mapping[str, object]) -> str:
    """SHA-256 (hex) of a document, whatever the order of its keys."""
    return sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()
