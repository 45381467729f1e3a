"""A small model that takes 1.6 GB for one row; `onnx_guard` refuses it."""

from __future__ import annotations

from functools import cache

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge_agent.contract.feature_table import NAMES

_WIDE = 20_000


@cache
def greedy_model() -> bytes:
    """Two constants of 80 kB, added to a square."""
    constants = {
        "column": np.zeros((_WIDE, 1), np.float32),
        "row": np.zeros((1, _WIDE), np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["column", "row"], ["square"]),
            helper.make_node("ReduceMean", ["square"], ["number"], keepdims=0),
            helper.make_node("ReduceMean", ["features"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Add", ["mean", "number"], ["value"]),
        ],
        "greedy",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(NAMES)])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    content: bytes = model.SerializeToString(deterministic=True)
    return content
