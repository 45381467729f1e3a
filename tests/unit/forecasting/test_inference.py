"""Sessions on good, odd and broken models."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_agent.contract.errors import BadData
from edge_agent.forecasting.inference import OnnxPredictor, load_predictors

WIDTH = 3


def model(
    nodes: list[onnx.NodeProto],
    *,
    inputs: tuple[str, ...] = ("x",),
    width: int | None = WIDTH,
    kind: int = TensorProto.FLOAT,
) -> bytes:
    """Graph from `inputs` (rows, width) to "y"."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, kind, [None, width]) for name in inputs],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    made.ir_version = 8
    content: bytes = made.SerializeToString()
    return content


SUM = model([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)])
ROW_SUM = model(
    [
        helper.make_node("Constant", [], ["axis"], value_ints=[1]),
        helper.make_node("ReduceSum", ["x", "axis"], ["y"], keepdims=1),
    ]
)


def test_predict_gives_one_float32_a_row() -> None:
    """(rows, 1) becomes a vector; order and layout of the matrix do not matter."""
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    predictor = OnnxPredictor(ROW_SUM, WIDTH, "test")
    found = predictor.predict(matrix)
    assert found.dtype == np.float32
    assert found.tolist() == [3.0, 12.0, 21.0, 30.0]
    assert predictor.predict(np.asfortranarray(matrix)).tolist() == found.tolist()
    assert predictor.predict(matrix[:0]).shape == (0,)


def test_load_names_each_model() -> None:
    """One session a target; the error says whose model is broken."""
    assert set(load_predictors({"a": ROW_SUM, "b": ROW_SUM}, WIDTH)) == {"a", "b"}
    with pytest.raises(BadData, match=r"^model of b: not an ONNX model"):
        load_predictors({"a": ROW_SUM, "b": b"\x00broken"}, WIDTH)


@pytest.mark.parametrize("content", [b"", b"not a model", ROW_SUM[: len(ROW_SUM) // 2]])
def test_broken_bytes_are_refused_in_one_line(content: bytes) -> None:
    """By the guard, before onnxruntime sees them."""
    with pytest.raises(BadData, match=r"^model of test: not an ONNX model: ") as refusal:
        OnnxPredictor(content, WIDTH, "test")
    assert "\n" not in str(refusal.value)


def test_what_onnxruntime_refuses_is_bad_data() -> None:
    """Whatever it raises, in one line."""
    made = onnx.load_from_string(ROW_SUM)
    made.opset_import[0].version = 9999
    with pytest.raises(BadData, match=r"^model of test: onnxruntime refuses it: ") as refusal:
        OnnxPredictor(made.SerializeToString(), WIDTH, "test")
    assert "\n" not in str(refusal.value)


IDENTITY = [helper.make_node("Identity", ["x"], ["y"])]


@pytest.mark.parametrize(
    "content",
    [
        model(IDENTITY, width=WIDTH + 1),
        model(IDENTITY, width=None),
        model(IDENTITY, kind=TensorProto.DOUBLE),
        model([helper.make_node("Add", ["x", "z"], ["y"])], inputs=("x", "z")),
        model([helper.make_node("Constant", [], ["y"], value_float=1.0)], inputs=()),
    ],
)
def test_another_shape_is_refused(content: bytes) -> None:
    """Another width or type, two inputs, or none: refused before the first forecast."""
    with pytest.raises(BadData, match=r"takes \[.*expected one tensor\(float\) with 3 columns"):
        OnnxPredictor(content, WIDTH, "test")


@pytest.mark.parametrize("content", [SUM, model(IDENTITY)])
def test_not_one_number_a_row_is_refused(content: bytes) -> None:
    """One number for all rows, or several for each, is no forecast."""
    predictor = OnnxPredictor(content, WIDTH, "test")
    with pytest.raises(BadData, match=r"^model of test: \d+ numbers for 4 rows"):
        predictor.predict(np.zeros((4, 3), np.float32))


def test_a_fault_while_computing_is_named() -> None:
    """A graph that fails on a row gives bad data, not a bug report."""
    gather = model(
        [
            helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
            helper.make_node("Constant", [], ["table"], value_floats=[1.0, 2.0]),
            helper.make_node("Gather", ["table", "i"], ["y"]),
        ]
    )
    predictor = OnnxPredictor(gather, WIDTH, "test")
    with pytest.raises(BadData, match=r"^model of test: cannot compute: ") as refusal:
        predictor.predict(np.full((1, 3), 7.0, np.float32))
    assert "\n" not in str(refusal.value)
