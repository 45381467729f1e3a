"""Checks an ONNX file before a runtime opens it. Pure; reads only the fields it needs.

A model of this project is arithmetic on one matrix. Anything else is refused before onnxruntime,
a large C++ program, parses the file:

G1 only operators of `OPERATORS`: no control flow, no nested graphs, no functions, nothing that
   makes a large tensor out of a small file;
G2 no external data: a tensor that names another file would read it from the device's disk;
G3 well-formed protobuf throughout, nested no deeper than ONNX nests.

Field numbers: onnx/onnx.proto of ONNX 1.x (ModelProto, GraphProto, NodeProto, AttributeProto,
TensorProto). Unknown fields are skipped, as protobuf and the runtime skip them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

_ARITHMETIC: Final = (
    "Abs Add Cast Clip Concat Constant Div Exp Gather Gemm Identity IsNaN Log MatMul Max Min Mul "
    "Neg Not Reciprocal ReduceMean ReduceSum Reshape Sigmoid Slice Sqrt Squeeze Sub Tanh Transpose "
    "Unsqueeze Where"
)
OPERATORS: Final = frozenset(
    {("ai.onnx.ml", "TreeEnsembleRegressor")} | {("", name) for name in _ARITHMETIC.split()}
)
"""Allowed (domain, operator); "ai.onnx" is another name of the empty domain."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL: Final = 1


def check(content: bytes, name: str) -> None:
    """Check an ONNX file.

    Args:
        content: The file.
        name: Name of the file in the error.

    Raises:
        Refused: A rule is broken; the text says which.
    """
    try:
        model = memoryview(content)
        graphs = [value for number, value in _fields(model) if number == 7]
        if not graphs:
            raise Refused(f"{name}: not an ONNX model: it has no graph")
        for number, _ in _fields(model):
            if number in {20, 25}:
                raise Refused(f"{name}: holds functions or training steps; only a graph may come")
        for graph in graphs:
            _graph(_message(graph), name)
    except _MalformedError as fault:
        raise Refused(f"{name}: not an ONNX model: {fault}") from fault


class _MalformedError(Exception):
    pass


def _graph(graph: memoryview, name: str) -> None:
    for number, value in _fields(graph):
        if number == 1:
            _node(_message(value), name)
        elif number == 5:
            _tensor(_message(value), name)
        elif number == 15:
            raise Refused(f"{name}: holds sparse tensors, which no model of this project has")


def _node(node: memoryview, name: str) -> None:
    operator = domain = ""
    for number, value in _fields(node):
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            _attribute(_message(value), name)
    if ("" if domain == "ai.onnx" else domain, operator) not in OPERATORS:
        shown = f"{domain}.{operator}" if domain else operator
        raise Refused(f"{name}: ONNX operator {shown!r} is not one that a model may use")


def _attribute(attribute: memoryview, name: str) -> None:
    for number, value in _fields(attribute):
        if number in {5, 10}:
            _tensor(_message(value), name)
        elif number in {6, 11}:
            raise Refused(f"{name}: a nested graph, which no model of this project has")
        elif number in {22, 23}:
            raise Refused(f"{name}: holds sparse tensors, which no model of this project has")


def _tensor(tensor: memoryview, name: str) -> None:
    for number, value in _fields(tensor):
        if number == 13 or (number == 14 and value == _EXTERNAL):
            raise Refused(f"{name}: external data: a model may not name other files")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of one message: numbers for varints, slices for bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
        else:
            raise _MalformedError(f"wire type {kind}")
        if at + size > len(data):
            raise _MalformedError("cut short")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _MalformedError("cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _MalformedError("a number without an end")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _MalformedError("a number where a message belongs")
    return value


def _text(value: int | memoryview) -> str:
    try:
        return bytes(_message(value)).decode("ascii")
    except UnicodeDecodeError as fault:
        raise _MalformedError("a name that is not text") from fault
