"""The guard's shape inference against onnxruntime, and the files that it is there for."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_agent.contract import onnx_guard, onnx_shapes
from edge_agent.contract.errors import BadData, Refused
from edge_agent.contract.onnx_shapes import MAX_VALUES
from edge_agent.forecasting.inference import OnnxPredictor
from tests.fakes.depot import varint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 3
N = 20_000


def node(operator: str, *inputs: str, out: str = "y", **attributes: Any) -> onnx.NodeProto:  # noqa: ANN401 - onnx's own
    """One node with one output."""
    domain = "ai.onnx.ml" if operator == "TreeEnsembleRegressor" else ""
    return helper.make_node(operator, inputs, [out], domain=domain, **attributes)


def model(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Any]) -> bytes:
    """Graph from "x" (rows, 3) to "y"."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 1)]
    made = helper.make_model(graph, opset_imports=opsets)
    made.ir_version = 8
    content: bytes = made.SerializeToString()
    return content


def floats(*shape: int) -> np.ndarray:
    """A constant of ones."""
    return np.ones(shape, np.float32)


LEAF: dict[str, Any] = {
    "nodes_treeids": [0],
    "nodes_nodeids": [0],
    "nodes_featureids": [0],
    "nodes_values": [0.0],
    "nodes_hitrates": [1.0],
    "nodes_modes": ["LEAF"],
    "nodes_truenodeids": [0],
    "nodes_falsenodeids": [0],
    "nodes_missing_value_tracks_true": [0],
    "target_treeids": [0],
    "target_nodeids": [0],
    "target_ids": [0],
    "target_weights": [1.0],
}


def bombs() -> dict[str, bytes]:
    """Small models of huge tensors."""
    wide, tall = floats(1, N), floats(N, 1)
    sums = [
        node("ReduceSum", "big", out="s", keepdims=0),
        node("Add", "x", "s"),
    ]
    both = {"a": tall, "b": wide}
    places = np.zeros(N, np.int64)
    return {
        "broadcast": model([node("Add", "a", "b", out="big"), *sums], both),
        "where": model(
            [node("IsNaN", "a", out="c"), node("Where", "c", "b", "a", out="big"), *sums], both
        ),
        "product": model([node("MatMul", "a", "b", out="big"), *sums], both),
        "gemm": model([node("Gemm", "a", "b", out="big"), *sums], both),
        "gather": model(
            [node("Gather", "b", "i", out="big", axis=0), *sums], {"b": wide, "i": places % 1}
        ),
        "rows": model(
            [node("Gather", "x", "i", out="big", axis=1), *sums], {"i": np.zeros(50_000, np.int64)}
        ),
        "targets": model(
            [node("TreeEnsembleRegressor", "x", out="big", n_targets=10**8, **LEAF), *sums], {}
        ),
        "concat": model(
            [
                node("Concat", *["a"] * 300, out="big", axis=0),
                *sums,
            ],
            {"a": tall},
        ),
        "reshaped": model(
            [
                node("Reshape", "b", "shape", out="t"),
                node("Mul", "t", "b", out="big"),
                *sums,
            ],
            {"b": wide, "shape": np.array([N, 1], np.int64)},
        ),
        "unsqueezed": model(
            [
                node("Unsqueeze", "v", "axis", out="t"),
                node("Sub", "t", "v", out="big"),
                *sums,
            ],
            {"v": floats(N), "axis": np.array([1], np.int64)},
        ),
        "turned": model(
            [node("Transpose", "b", out="t"), node("Max", "t", "b", out="big"), *sums],
            {"b": wide},
        ),
        "many": model(
            [
                *(node("Abs", "b", out=f"t{n}") for n in range(300)),
                node("Concat", *[f"t{n}" for n in range(300)], out="big", axis=0),
                *sums,
            ],
            {"b": wide},
        ),
        "Constant": model(
            [
                node("Constant", out="a", value_floats=[1.0] * N),
                node("Unsqueeze", "a", "axis", out="t"),
                node("Add", "t", "a", out="big"),
                *sums,
            ],
            {"axis": np.array([1], np.int64)},
        ),
    }


@pytest.mark.parametrize("case", bombs())
def test_a_small_file_of_huge_tensors_is_refused(case: str) -> None:
    """By the guard of the update, and wherever a model is loaded, before onnxruntime sees it."""
    content = bombs()[case]
    assert len(content) < 600_000
    with pytest.raises(Refused, match=f"m.onnx: its tensors would hold more than {MAX_VALUES}"):
        onnx_guard.check(content, "m.onnx")
    with pytest.raises(BadData, match="model of t: its tensors would hold more than"):
        OnnxPredictor(content, WIDTH, "t")


def test_what_cannot_be_known_is_refused() -> None:
    """A shape that values decide, rows by rows, and a squeeze that depends on the rows."""
    cast = node("Cast", "x", out="i", to=TensorProto.INT64)
    unknown = {
        "shape of Reshape is not a constant": [cast, node("Reshape", "x", "i")],
        "rows x rows": [node("Transpose", "x", out="t"), node("MatMul", "x", "t")],
        "inputs of Squeeze do not fit": [node("Squeeze", "x")],
        "tensor 'nothing' comes from nowhere": [node("Abs", "nothing")],
        "inputs of Add do not fit": [node("Add", "x", "wide")],
    }
    for text, nodes in unknown.items():
        with pytest.raises(Refused, match=text):
            onnx_guard.check(model(nodes, {"wide": floats(1, WIDTH + 1)}), "m.onnx")


def test_values_that_are_given_twice_are_refused() -> None:
    """Readers differ on which of two values counts."""
    twice = node("TreeEnsembleRegressor", "x", n_targets=1, **LEAF)
    twice.attribute.append(helper.make_attribute("n_targets", 10**8))
    with pytest.raises(Refused, match="attribute n_targets has two values"):
        onnx_guard.check(model([twice], {}), "m.onnx")


def test_a_constant_without_its_bytes_is_refused() -> None:
    """A shape of gigabytes costs a file nothing."""
    made = onnx.load_from_string(model([node("Add", "x", "c")], {"c": floats(1, WIDTH)}))
    made.graph.initializer[0].dims[:] = [100_000, 100_000]
    with pytest.raises(Refused, match="is not that of its bytes"):
        onnx_guard.check(made.SerializeToString(), "m.onnx")


AXIS = np.array([1], np.int64)
RIGHT: dict[str, tuple[list[onnx.NodeProto], dict[str, Any]]] = {
    "Add": ([node("Add", "x", "c")], {"c": floats(2, 1, 3)[:1]}),
    "Where": (
        [node("IsNaN", "x", out="n"), node("Where", "n", "c", "x")],
        {"c": np.float32(1.0)},
    ),
    "Concat": ([node("Concat", "x", "x", "x", axis=-1)], {}),
    "Gather": ([node("Gather", "x", "i", axis=1)], {"i": np.array([[0, 1], [2, 0]])}),
    "Gemm": ([node("Gemm", "x", "c", "b", transB=1)], {"c": floats(5, 3), "b": floats(5)}),
    "MatMul": ([node("MatMul", "x", "c")], {"c": floats(3, 4)}),
    "MatMul vector": ([node("MatMul", "x", "c")], {"c": floats(3)}),
    "MatMul batch": ([node("MatMul", "x", "c")], {"c": floats(7, 3, 4)}),
    "ReduceSum": ([node("ReduceSum", "x", "a", keepdims=0)], {"a": AXIS}),
    "ReduceSum all": ([node("ReduceSum", "x")], {}),
    "ReduceMean": ([node("ReduceMean", "x", axes=[-1])], {}),
    "Reshape": ([node("Reshape", "x", "s")], {"s": np.array([0, 3, 1])}),
    "Reshape rest": ([node("Reshape", "x", "s")], {"s": np.array([1, -1, 3])}),
    "Reshape flat": ([node("Reshape", "x", "s")], {"s": np.array([-1])}),
    "Slice": (
        [node("Slice", "x", "s", "e", "a")],
        {"s": np.array([-2]), "e": np.array([2**62]), "a": AXIS},
    ),
    "Slice back": (
        [node("Slice", "x", "s", "e", "a", "t")],
        {"s": np.array([-1]), "e": np.array([-(2**62)]), "a": AXIS, "t": np.array([-2])},
    ),
    "Squeeze": ([node("Unsqueeze", "x", "a", out="u"), node("Squeeze", "u", "a")], {"a": AXIS}),
    "Transpose": (
        [node("Unsqueeze", "x", "a", out="u"), node("Transpose", "u", perm=[2, 0, 1])],
        {"a": AXIS},
    ),
    "Unsqueeze": ([node("Unsqueeze", "x", "a")], {"a": np.array([0, -1])}),
    "Trees": ([node("TreeEnsembleRegressor", "x", n_targets=2, **LEAF)], {}),
    "Clip": ([node("Clip", "x", "", "c")], {"c": np.float32(1.0)}),
}


@pytest.mark.parametrize("case", RIGHT)
def test_inferred_shapes_are_those_of_onnxruntime(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operator, with 1, 2 and 100 rows."""
    nodes, constants = RIGHT[case]
    content = model(nodes, constants)
    shapes: list[onnx_shapes.Shape] = []
    infer = onnx_shapes.Tensors._infer

    def recorded(self: onnx_shapes.Tensors, each: onnx_shapes.Node) -> onnx_shapes.Shape:
        shapes.append(infer(self, each))
        return shapes[-1]

    monkeypatch.setattr(onnx_shapes.Tensors, "_infer", recorded)
    onnx_guard.check(content, "m.onnx")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for rows in (1, 2, 100):
        (found,) = session.run(["y"], {"x": np.zeros((rows, WIDTH), np.float32)})
        assert found.shape == tuple(factor * rows**power for factor, power in shapes[-1])


def test_two_graphs_are_refused() -> None:
    """Protobuf joins them, so that each alone says nothing."""
    content = model([node("Abs", "x")], {})
    with pytest.raises(Refused, match="it has two graphs"):
        onnx_guard.check(content + content, "m.onnx")


def test_the_guard_itself_takes_little_memory() -> None:
    """Very many empty parts cost a file some bytes each, and must not become objects."""
    attribute = b"\x0a\x01a" + b"\x4a\x00" * 100_000
    strange = b"\x0a\x00" * 100_000
    files = {
        "strings": part(7, part(1, part(4, b"Abs") + part(5, attribute))),
        "inputs": part(7, part(1, strange + part(4, b"Abs"))),
        "nodes": part(7, b"\x0a\x00" * 100_000),
        "constants": part(7, b"\x2a\x00" * 100_000),
        "axes": part(7, part(5, b"\x08\x01" * 100_000)),
        "lengths": part(7, part(11, part(2, part(1, part(2, strange))))),
        "graphs": b"\x3a\x00" * 100_000,
    }
    for content in files.values():
        tracemalloc.start()
        with contextlib.suppress(Refused):
            onnx_guard.check(content, "m.onnx")
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
        tracemalloc.stop()


def part(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content
