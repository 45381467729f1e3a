"""Checks an ONNX file before a runtime opens it. Pure; reads only the fields it needs.

A model of this project is arithmetic on one matrix. Anything else is refused before onnxruntime,
a large C++ program, parses the file:

G1 only operators of `OPERATORS`: no control flow, no nested graphs, no functions, nothing that
   makes a large tensor out of a small file;
G2 no external data: a tensor that names another file would read it from the device's disk;
G3 well-formed protobuf throughout, nested no deeper than ONNX nests;
G4 no tensor that is large, by shape inference (`onnx_shapes`); constants are no longer than they
   have bytes.

Field numbers: onnx/onnx.proto of ONNX 1.x (ModelProto, GraphProto, NodeProto, AttributeProto,
TensorProto). Unknown fields are skipped, as protobuf and the runtime skip them.
"""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import Refused
from edge_agent.contract.onnx_shapes import ROWS, Node, Shape, ShapeError, Tensors
from edge_agent.contract.protobuf import MalformedError, fields, integers, message, text

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

_EXTERNAL: Final = 1
_INT64: Final = 7
_CONSTANT_VALUES: Final = frozenset(
    {
        "value",
        *(f"value_{kind}" for kind in ("int", "ints", "float", "floats", "string", "strings")),
    }
)
"""Attributes of a Constant."""
_MOST_PARTS: Final = 10_000
"""Nodes and constants; the trainer's models have 30. The guard itself must not take much memory."""
_MOST_NAMES: Final = 1000
"""Inputs, outputs and attributes of a node."""
_MOST_AXES: Final = 8
_FEW: Final = 64
"""Longest constant whose integers may be a shape, axes or bounds."""
_WIDEST: Final = 1000
"""Columns of an input that does not say how many it has; such a model is refused later."""


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
        graphs = 0
        for number, value in fields(model):
            if number in {20, 25}:
                raise Refused(f"{name}: holds functions or training steps; only a graph may come")
            if number == 7 and graphs < 2:
                graphs += 1
                _graph(message(value), name)
        if graphs != 1:
            # Readers of protobuf join several.
            raise Refused(
                f"{name}: not an ONNX model: it has {'two graphs' if graphs else 'no graph'}"
            )
    except MalformedError as fault:
        raise Refused(f"{name}: not an ONNX model: {fault}") from fault
    except ShapeError as fault:
        raise Refused(f"{name}: {fault}") from fault


def _graph(graph: memoryview, name: str) -> None:
    tensors = Tensors({}, {})
    nodes: list[Node] = []
    for number, value in fields(graph):
        if len(nodes) + len(tensors.shapes) > _MOST_PARTS:
            raise Refused(f"{name}: more than {_MOST_PARTS} nodes and constants")
        if number == 1:
            nodes.append(_node(message(value), name))
        elif number == 5:
            title, shape, values = _tensor(message(value), name)
            tensors.shapes[title] = shape
            if values is not None:
                tensors.values[title] = values
        elif number == 11:
            title, shape = _input(message(value))
            tensors.shapes.setdefault(title, shape)
        elif number == 15:
            raise Refused(f"{name}: holds sparse tensors, which no model of this project has")
    for node in nodes:
        tensors.add(node)


def _input(value_info: memoryview) -> tuple[str, Shape]:
    """Name and (rows, columns) of an input."""
    title = ""
    lengths: list[int | None] = []
    for number, value in fields(value_info):
        if number == 1:
            title = text(value)
        elif number == 2:
            for dimension in _inner(message(value), (1, 2, 1)):
                if len(lengths) > _MOST_AXES:
                    raise MalformedError("an input of too many axes")
                given = [length for at, length in fields(dimension) if at == 1]
                lengths.append(given[-1] if given and isinstance(given[-1], int) else None)
    return title, tuple(
        (length, 0) if length is not None else ROWS if at == 0 else (_WIDEST, 0)
        for at, length in enumerate(lengths)
    )


def _inner(part: memoryview, path: tuple[int, ...]) -> Iterator[memoryview]:
    """Messages below a message by field numbers: TypeProto, its tensor, its shape, its lengths."""
    if not path:
        yield part
        return
    for number, value in fields(part):
        if number == path[0]:
            yield from _inner(message(value), path[1:])


def _node(node: memoryview, name: str) -> Node:
    read = Node()
    domain = ""
    for number, value in fields(node):
        if len(read.inputs) + len(read.outputs) + len(read.integers) > _MOST_NAMES:
            raise Refused(f"{name}: a node of more than {_MOST_NAMES} inputs and attributes")
        if number == 1:
            read.inputs.append(text(value))
        elif number == 2:
            read.outputs.append(text(value))
        elif number == 4:
            read.operator = text(value)
        elif number == 7:
            domain = text(value)
        elif number == 5:
            _attribute(message(value), name, read)
    if ("" if domain == "ai.onnx" else domain, read.operator) not in OPERATORS:
        shown = f"{domain}.{read.operator}" if domain else read.operator
        raise Refused(f"{name}: ONNX operator {shown!r} is not one that a model may use")
    return read


def _attribute(attribute: memoryview, name: str, node: Node) -> None:
    # Of what trees have many, none is a length: the first ones and their number are enough.
    parts: defaultdict[int, list[int | memoryview]] = defaultdict(list)
    counts: defaultdict[int, int] = defaultdict(int)
    for number, value in fields(attribute):
        counts[number] += 1 if isinstance(value, int) else _length(number, value)
        if len(first := parts[number]) <= _FEW:
            first.append(value)
    if parts.keys() & {6, 11}:
        raise Refused(f"{name}: a nested graph, which no model of this project has")
    if parts.keys() & {22, 23}:
        raise Refused(f"{name}: holds sparse tensors, which no model of this project has")
    title = "".join(map(text, parts[1][-1:]))
    tensors = [_tensor(message(value), name) for value in parts[5] + parts[10]]
    integer = counts[3] + counts[8]
    # Readers of protobuf differ on a value that is given twice.
    if title in node.integers or (counts[3] and integer > 1):
        raise MalformedError(f"attribute {title} has two values")
    if integer:
        few = (parts[3] + parts[8]) if integer <= _FEW else []
        node.integers[title] = [each for value in few for each in integers(value)]
    if title not in _CONSTANT_VALUES:
        return
    if len(tensors) + (title != "value") != 1 or node.shape is not None:
        raise MalformedError("a Constant of several values")
    if tensors:
        _, node.shape, node.values = tensors[0]
        return
    length = integer + counts[2] + counts[4] + counts[7] + counts[9]
    node.shape = ((length, 0),) if title.endswith("s") else ()
    node.values = node.integers.get(title) if integer == length <= _FEW else None


def _length(number: int, value: memoryview) -> int:
    """Of one occurrence of a field: packed floats take 4 bytes each, integers end with a byte."""
    if number == 7:
        return len(value) // 4
    if number in {3, 8}:
        return sum(byte < 0x80 for byte in value)
    return 1


def _tensor(tensor: memoryview, name: str) -> tuple[str, Shape, list[int] | None]:
    """Name, shape and, of a short one of int64, the values."""
    title, kind, raw = "", 0, b""
    lengths: list[int] = []
    values: list[int] = []
    for number, value in fields(tensor):
        if number == 13 or (number == 14 and value == _EXTERNAL):
            raise Refused(f"{name}: external data: a model may not name other files")
        if number == 1:
            lengths += _few(value)
            if not 0 < len(lengths) <= _MOST_AXES:
                raise Refused(f"{name}: a constant of more than {_MOST_AXES} axes")
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 7 and len(values) <= _FEW:
            values += _few(value)
        elif number == 8:
            title = text(value)
        elif number == 9:
            raw = bytes(message(value)[: 8 * _FEW])
    count = math.prod(lengths)
    if min(lengths, default=0) < 0 or count > len(tensor):
        raise Refused(f"{name}: a constant whose shape {lengths} is not that of its bytes")
    values += [each for (each,) in struct.iter_unpack("<q", raw[: len(raw) // 8 * 8])]
    readable = kind == _INT64 and len(values) == count <= _FEW
    return title, tuple((length, 0) for length in lengths), values if readable else None


def _few(value: int | memoryview) -> list[int]:
    """Integers of an occurrence of a repeated field, none where they are many."""
    many = not isinstance(value, int) and len(value) > 10 * _FEW
    return [] if many else integers(value)
