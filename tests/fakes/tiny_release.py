"""A release that really computes: one-node models and golden windows made from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper, numpy_helper

from edge_agent.contract import features, golden_windows
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.manifest import FeatureContract, Manifest, ModelRef
from edge_agent.contract.schema import TIME, TIME_DTYPE, Site
from edge_agent.forecasting.inference import load_predictors
from tests.fakes.depot import ref, release

if TYPE_CHECKING:
    from collections.abc import Callable

_NEVER = 1e9
TARGETS = ("air_temperature_c", "relative_humidity_pct")


def tiny_release(
    word: str = "tiny", *, blind_above: float = _NEVER
) -> tuple[Manifest, dict[str, bytes]]:
    """Candidate whose models give back one column of the matrix, golden windows included.

    The model of temperature gives NaN for values above `blind_above`.
    """
    limits = (blind_above, _NEVER)
    models = {target: _model(column, limits[column]) for column, target in enumerate(TARGETS)}
    predictors = load_predictors(models, len(NAMES))
    windows = golden_windows.build(
        ((features.Place(Site(37.57, 126.97, 86.0), _normals()), _weather()),),
        (1, 24, 48),
        {name: _plain(predictor.predict) for name, predictor in predictors.items()},
    )
    manifest, _ = release(word)
    files = {f"models/{target}/{word}/model.onnx": model for target, model in models.items()}
    line = f"golden/{word}/windows.json"
    manifest = msgspec.structs.replace(
        manifest,
        features=FeatureContract(features.digest(), NAMES, 72, pl.__version__),
        models={
            target: ModelRef(word, "unit", ref(path, files[path]))
            for target, path in zip(TARGETS, files, strict=True)
        },
        golden=ref(line, windows),
    )
    return manifest, files | {line: windows}


def _plain(predict: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda matrix: np.nan_to_num(predict(matrix))


def _normals() -> dict[str, tuple[float, ...]]:
    from edge_agent.contract.climatology import COEFFICIENTS

    return dict.fromkeys(TARGETS, (12.0, *((0.0,) * (COEFFICIENTS - 1))))


def _weather() -> pl.DataFrame:
    hours = 200
    first = datetime(2026, 2, 1, tzinfo=UTC)
    step = np.arange(hours)
    return pl.DataFrame(
        {
            TIME: pl.datetime_range(
                first, interval="1h", end=pl.lit(first).dt.offset_by(f"{hours - 1}h"), eager=True
            ).cast(TIME_DTYPE),
            "air_temperature_c": 5 + 4 * np.sin(step / 24 * 2 * np.pi),
            "relative_humidity_pct": 60 + 15 * np.cos(step / 24 * 2 * np.pi),
        }
    )


def _model(column: int, blind_above: float) -> bytes:
    constants = {
        "column": np.array([column], np.int64),
        "low": np.array(-999, np.float32),
        "limit": np.array(blind_above, np.float32),
        "zero": np.array(0, np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["features", "column"], ["picked"], axis=1),
            helper.make_node("IsNaN", ["picked"], ["missing"]),
            helper.make_node("Where", ["missing", "low", "picked"], ["known"]),
            helper.make_node("Sub", ["limit", "known"], ["left"]),
            helper.make_node("Sqrt", ["left"], ["root"]),
            helper.make_node("Mul", ["root", "zero"], ["nothing"]),
            helper.make_node("Add", ["known", "nothing"], ["value"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(NAMES)])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
