"""A forecast model as one self-contained ONNX graph: the only module that imports onnx.

The graph takes the float32 feature matrix and gives the value itself, in the target's unit:

    y = clip(reference + linear(lead) + share(lead) * trees)

so the agent needs to know nothing of how a model works inside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxmltools
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType

from edge_agent.contract.feature_table import NAMES, REFERENCES
from edge_agent.contract.schema import LEADS, QUANTITIES, RELATIVE_HUMIDITY
from trainer.linear import base_of

if TYPE_CHECKING:
    from trainer.linear import Linear
    from trainer.model import Trees

OPSET = 15
ML_OPSET = 1
IR_VERSION = 8


@dataclass(frozen=True, slots=True)
class ForecastModel:
    """Both parts of one target's model; `predict` is the reference the graph is held against.

    Attributes:
        target: Quantity.
        linear: Ridge regression per lead.
        trees: Fitted to what the linear part leaves over.
        shares: Float32 (48,): how far the trees are believed at each lead, 0 to 1.
    """

    target: str
    linear: Linear
    trees: Trees
    shares: np.ndarray = field(default_factory=lambda: np.ones(len(LEADS), np.float32))

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 (N,) in the target's unit for float32 (N, F)."""
        leads = matrix[:, NAMES.index("lead")].astype(np.intp)
        low, high = bounds(self.target)
        value = base_of(self.target, self.linear, matrix)
        value += self.shares[leads - 1] * self.trees.predict(matrix)
        clipped: np.ndarray = np.clip(value, low, high)
        return clipped


def bounds(target: str) -> tuple[float, float]:
    """Physical limits of a forecast."""
    if target == RELATIVE_HUMIDITY:
        return 0.0, 100.0
    return QUANTITIES[target].low, QUANTITIES[target].high


def to_onnx(model: ForecastModel) -> bytes:
    """Graph of the model; equal models give equal bytes."""
    trees = onnxmltools.convert_lightgbm(
        model.trees.booster,
        name=model.target,
        initial_types=[("features", FloatTensorType([None, len(NAMES)]))],
        target_opset=OPSET,
    )
    (ensemble,) = (n for n in trees.graph.node if n.op_type == "TreeEnsembleRegressor")
    ensemble.input[0] = "features"
    ensemble.output[0] = "trees"
    ensemble.name = "trees"
    low, high = bounds(model.target)
    constants = {
        "mean": model.linear.mean.astype(np.float32),
        "weights": model.linear.weights.astype(np.float32),
        "bias": model.linear.bias.astype(np.float32)[:, None],
        "shares": model.shares.astype(np.float32)[:, None],
        "lead_column": np.array([NAMES.index("lead")], np.int64),
        "reference_column": np.array([NAMES.index(REFERENCES[model.target])], np.int64),
        "one": np.array(1, np.int64),
        "axis": np.array([1], np.int64),
        "low": np.array(low, np.float32),
        "high": np.array(high, np.float32),
    }
    nodes = [
        helper.make_node("IsNaN", ["features"], ["missing"]),
        helper.make_node("Where", ["missing", "mean", "features"], ["filled"]),
        helper.make_node("Sub", ["filled", "mean"], ["centred"]),
        helper.make_node("Gather", ["features", "lead_column"], ["lead"], axis=1),
        helper.make_node("Squeeze", ["lead", "axis"], ["lead_flat"]),
        helper.make_node("Cast", ["lead_flat"], ["lead_int"], to=TensorProto.INT64),
        helper.make_node("Sub", ["lead_int", "one"], ["lead_index"]),
        helper.make_node("Gather", ["weights", "lead_index"], ["weights_of_lead"], axis=0),
        helper.make_node("Mul", ["centred", "weights_of_lead"], ["terms"]),
        helper.make_node("ReduceSum", ["terms", "axis"], ["weighted"], keepdims=1),
        helper.make_node("Gather", ["bias", "lead_index"], ["bias_of_lead"], axis=0),
        helper.make_node("Add", ["weighted", "bias_of_lead"], ["linear"]),
        ensemble,
        helper.make_node("Gather", ["features", "reference_column"], ["reference"], axis=1),
        helper.make_node("Gather", ["shares", "lead_index"], ["share"], axis=0),
        helper.make_node("Mul", ["trees", "share"], ["believed"]),
        helper.make_node("Add", ["linear", "believed"], ["change"]),
        helper.make_node("Add", ["reference", "change"], ["unbounded"]),
        helper.make_node("Clip", ["unbounded", "low", "high"], ["value"]),
    ]
    graph = helper.make_graph(
        nodes,
        model.target,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(NAMES)])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    whole = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        producer_name="farm-edge",
    )
    whole.ir_version = IR_VERSION
    onnx.checker.check_model(whole)
    content: bytes = whole.SerializeToString(deterministic=True)
    return content


def versions() -> dict[str, str]:
    """Library versions for the lineage."""
    return {"onnx": onnx.__version__, "onnxmltools": onnxmltools.__version__}
