"""A forecast model as one self-contained ONNX graph: the only module that imports onnx.

The graph takes the float32 feature matrix and gives the value itself, in the target's unit:

    y = clip(reference + weights(lead) . [linear(lead), trees on its rest, trees on the change])

so the agent needs to know nothing of how a model works inside. A model that corrects KMA's
forecasts takes the matrix of `contract.guidance_features` instead, one of an optional target that
of `contract.optional_targets`:

    y = clip(base + scale(lead) * trees)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxmltools
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType

from edge_agent.contract.feature_table import NAMES, REFERENCES
from edge_agent.contract.schema import QUANTITIES
from trainer.training.trees import Trees

if TYPE_CHECKING:
    from trainer.training.forecast_model import ForecastModel, Regressor
    from trainer.training.guided_model import GuidedModel

OPSET = 15
ML_OPSET = 1
IR_VERSION = 8
_LEAD_NODES = (
    helper.make_node("Gather", ["features", "lead_column"], ["lead"], axis=1),
    helper.make_node("Squeeze", ["lead", "axis"], ["lead_flat"]),
    helper.make_node("Cast", ["lead_flat"], ["lead_int"], to=TensorProto.INT64),
    helper.make_node("Sub", ["lead_int", "one"], ["lead_index"]),
)
"""Row of a table by lead, from the matrix."""


def to_onnx(model: ForecastModel) -> bytes:
    """Graph of the model; equal models give equal bytes."""
    return _exported(model.target, len(NAMES), _nodes(model), _constants(model))


def guided_to_onnx(model: GuidedModel) -> bytes:
    """Graph of a model that corrects its base; equal models give equal bytes."""
    columns = len(model.names)
    low, high = QUANTITIES[model.target].bounds
    constants: dict[str, np.ndarray] = {
        "scale": model.scale.astype(np.float32)[:, None],
        "lead_column": np.array([model.names.index("lead")], np.int64),
        "base_column": np.array([model.names.index("base")], np.int64),
        "one": np.array(1, np.int64),
        "axis": np.array([1], np.int64),
        "low": np.array(low, np.float32),
        "high": np.array(high, np.float32),
    }
    nodes = [
        *_LEAD_NODES,
        helper.make_node("Gather", ["scale", "lead_index"], ["scale_of_lead"], axis=0),
        _ensemble(model.trees, "correction", columns),
        helper.make_node("Mul", ["correction", "scale_of_lead"], ["change"]),
        helper.make_node("Gather", ["features", "base_column"], ["base"], axis=1),
        helper.make_node("Add", ["base", "change"], ["unbounded"]),
        helper.make_node("Clip", ["unbounded", "low", "high"], ["value"]),
    ]
    return _exported(model.target, columns, nodes, constants)


def _exported(
    name: str, columns: int, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]
) -> bytes:
    """Graph from "features", float32 (N, columns), to "value", float32 (N, 1)."""
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, columns])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    exported = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        producer_name="farm-edge",
    )
    exported.ir_version = IR_VERSION
    onnx.checker.check_model(exported)
    content: bytes = exported.SerializeToString(deterministic=True)
    return content


def _constants(model: ForecastModel) -> dict[str, np.ndarray]:
    low, high = QUANTITIES[model.target].bounds
    return {
        "mean": model.linear.mean.astype(np.float32),
        "weights": model.linear.weights.astype(np.float32),
        "bias": model.linear.bias.astype(np.float32)[:, None],
        "weights_of_members": model.weights.astype(np.float32),
        "lead_column": np.array([NAMES.index("lead")], np.int64),
        "reference_column": np.array([NAMES.index(REFERENCES[model.target])], np.int64),
        "one": np.array(1, np.int64),
        "axis": np.array([1], np.int64),
        "low": np.array(low, np.float32),
        "high": np.array(high, np.float32),
    }


def _nodes(model: ForecastModel) -> list[onnx.NodeProto]:
    return [
        helper.make_node("IsNaN", ["features"], ["missing"]),
        helper.make_node("Where", ["missing", "mean", "features"], ["filled"]),
        helper.make_node("Sub", ["filled", "mean"], ["centred"]),
        *_LEAD_NODES,
        helper.make_node("Gather", ["weights", "lead_index"], ["weights_of_lead"], axis=0),
        helper.make_node("Mul", ["centred", "weights_of_lead"], ["terms"]),
        helper.make_node("ReduceSum", ["terms", "axis"], ["weighted"], keepdims=1),
        helper.make_node("Gather", ["bias", "lead_index"], ["bias_of_lead"], axis=0),
        helper.make_node("Add", ["weighted", "bias_of_lead"], ["linear"]),
        _ensemble(model.rest, "rest", len(NAMES)),
        _ensemble(model.change, "whole_change", len(NAMES)),
        helper.make_node("Concat", ["linear", "rest", "whole_change"], ["members"], axis=1),
        helper.make_node("Gather", ["weights_of_members", "lead_index"], ["counted"], axis=0),
        helper.make_node("Mul", ["members", "counted"], ["weighted_members"]),
        helper.make_node("ReduceSum", ["weighted_members", "axis"], ["change"], keepdims=1),
        helper.make_node("Gather", ["features", "reference_column"], ["reference"], axis=1),
        helper.make_node("Add", ["reference", "change"], ["unbounded"]),
        helper.make_node("Clip", ["unbounded", "low", "high"], ["value"]),
    ]


def _ensemble(trees: Regressor, name: str, columns: int) -> onnx.NodeProto:
    """The trees as one node from "features" to `name`."""
    assert isinstance(trees, Trees)
    converted = onnxmltools.convert_lightgbm(
        trees.booster,
        name=name,
        initial_types=[("features", FloatTensorType([None, columns]))],
        target_opset=OPSET,
    )
    (node,) = (n for n in converted.graph.node if n.op_type == "TreeEnsembleRegressor")
    # Runtimes ignore hit rates, which are a seventh of the file.
    kept = [attribute for attribute in node.attribute if attribute.name != "nodes_hitrates"]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.input[0] = "features"
    node.output[0] = name
    node.name = name
    return node


def versions() -> dict[str, str]:
    """Library versions for the lineage."""
    return {"onnx": onnx.__version__, "onnxmltools": onnxmltools.__version__}
