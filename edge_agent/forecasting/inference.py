"""Runs ONNX models: float32 matrix in, predictions out. No other module imports onnxruntime."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

# Its Linux builds send telemetry by default, with hashes of the models. Read at import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

from edge_agent.contract import onnx_guard
from edge_agent.contract.errors import BadData, Refused
from edge_agent.contract.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_agent.contract.manifest import FileRef, GuidanceModels


class OnnxPredictor:
    """One ONNX model in one session: a `ports.Predictor`.

    Args:
        model: Bytes of a self-contained ONNX file.
        features: Number of columns the matrix must have.
        name: Name of the model in errors.

    Raises:
        BadData: Not a model, one that `onnx_guard` refuses, or one of another shape.
    """

    def __init__(self, model: bytes, features: int, name: str) -> None:
        try:
            onnx_guard.check(model, f"model of {name}")
        except Refused as fault:
            raise BadData(str(fault)) from fault
        options = onnxruntime.SessionOptions()
        # One thread: the call takes less than a millisecond, and the device has other work.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as fault:  # onnxruntime has no common base class
            raise BadData(f"model of {name}: onnxruntime refuses it: {_line(fault)}") from fault
        inputs = [(tensor.type, tensor.shape) for tensor in self._session.get_inputs()]
        if len(inputs) != 1 or inputs[0][0] != "tensor(float)" or inputs[0][1][1:] != [features]:
            raise BadData(
                f"model of {name}: takes {inputs}, expected one tensor(float) with "
                f"{features} columns"
            )
        self._name = name
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Float32 matrix (rows, features) -> float32 vector (rows), in the target's unit.

        Raises:
            BadData: The model cannot compute these rows, or does not give one number for each.
        """
        try:
            (out,) = self._session.run(
                [self._output], {self._input: np.ascontiguousarray(features)}
            )
        except Exception as fault:  # as above
            raise BadData(f"model of {self._name}: cannot compute: {_line(fault)}") from fault
        vector: np.ndarray = np.asarray(out, np.float32).reshape(-1)
        if len(vector) != len(features):
            raise BadData(f"model of {self._name}: {len(vector)} numbers for {len(features)} rows")
        return vector


def load_predictors(models: Mapping[str, bytes], features: int) -> dict[str, OnnxPredictor]:
    """One session per target.

    Raises:
        BadData: A model cannot be loaded.
    """
    return {name: OnnxPredictor(content, features, name) for name, content in models.items()}


def release_predictors(
    part: Manifest | GuidanceModels, read: Callable[[FileRef], bytes]
) -> dict[str, OnnxPredictor]:
    """Load the models of a release, one per target.

    Args:
        part: Names the models' files: of observations, or those that correct KMA's forecasts.
        read: Content of a file of the release.

    Raises:
        BadData: A model cannot be loaded.
    """
    columns = part.features.names if isinstance(part, Manifest) else part.names
    models = {target: read(model.file) for target, model in part.models.items()}
    return load_predictors(models, len(columns))


def _line(fault: Exception) -> str:
    text = str(fault).strip().splitlines()
    return text[0][:200] if text else type(fault).__name__
