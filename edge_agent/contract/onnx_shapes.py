"""How large the tensors of a model get: shape inference for the operators of `onnx_guard`. Pure.

A file of some kilobytes can make gigabytes: (N, 1) + (1, N) has N x N values. Here every output is
known before a runtime computes one. The number of rows is not known, so a length is (factor,
power): factor x rows^power. A length that depends on values, or mixes rows with other lengths in a
way that no model of this project does, is refused.

Rules of each operator: the ONNX operator documentation, opsets 13 to 15.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Length: TypeAlias = tuple[int, int]
Shape: TypeAlias = tuple[Length, ...]
ROWS: Length = (1, 1)
ONE: Length = (1, 0)

MAX_VALUES: Final = 4_000_000
"""Most values of all tensors that a model computes for `_ROWS` rows: 32 MB where each takes 8
bytes. The trainer's models make 40,000."""
_ROWS: Final = 100
"""A forecast has a row for each hour ahead."""
_MOST_AXES: Final = 8


class ShapeError(Exception):
    """A tensor whose size is too large, or cannot be known beforehand."""


@dataclass(slots=True)
class Node:
    """One operation.

    Attributes:
        operator: Its name; names of different domains are different here.
        inputs: Names of tensors, "" where an optional one is left out.
        outputs: Likewise.
        integers: Its attributes that are one or more integers.
        shape: Of the tensor that a Constant holds.
        values: Its integers, where they are few.
    """

    operator: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    integers: dict[str, list[int]] = field(default_factory=dict)
    shape: Shape | None = None
    values: list[int] | None = None


@dataclass(slots=True)
class Tensors:
    """What is known of a graph's tensors, by name: shapes, and values of small integer constants.

    A node's own tensors join as `add` meets it.
    """

    shapes: dict[str, Shape]
    values: dict[str, list[int]]
    computed: int = 0

    def add(self, node: Node) -> None:
        """Infer a node's outputs.

        Raises:
            ShapeError: They are too large together with those before, or cannot be known.
        """
        if not node.inputs and not node.outputs:
            return
        shape = self._infer(node)
        if len(shape) > _MOST_AXES:
            raise ShapeError(f"a tensor of {len(shape)} axes")
        if sum(power for _, power in shape) > 1:
            raise ShapeError(f"{node.operator} gives a tensor of rows x rows")
        self.computed += _count(shape)
        if self.computed > MAX_VALUES:
            raise ShapeError(
                f"its tensors would hold more than {MAX_VALUES} values (at {node.operator})"
            )
        for name in node.outputs:
            self.shapes[name] = shape
            self.values.pop(name, None)
            if node.values is not None:
                self.values[name] = node.values

    def _infer(self, node: Node) -> Shape:
        if node.operator == "Constant":
            if node.shape is None:
                raise ShapeError("a Constant without a value")
            return node.shape
        shapes = [self._shape(name) for name in node.inputs if name]
        rule = _RULES.get(node.operator)
        if rule is None or not shapes or not node.inputs[0]:
            raise ShapeError(f"the size of what {node.operator} gives cannot be known")
        try:
            return rule(node, shapes, self)
        except (IndexError, ValueError) as fault:
            raise ShapeError(f"inputs of {node.operator} do not fit together") from fault

    def _shape(self, name: str) -> Shape:
        if name not in self.shapes:
            raise ShapeError(f"tensor {name[:40]!r} comes from nowhere")
        return self.shapes[name]

    def constant(self, node: Node, place: int, attribute: str) -> list[int] | None:
        """Integers that an operator takes as input `place`, or as an attribute; None = neither.

        Raises:
            ShapeError: They are computed, so that only a run would tell them.
        """
        if place < len(node.inputs) and node.inputs[place]:
            values = self.values.get(node.inputs[place])
            if values is None:
                raise ShapeError(f"{attribute} of {node.operator} is not a constant")
            return values
        return node.integers.get(attribute)


def _count(shape: Shape) -> int:
    return math.prod(factor * _ROWS**power for factor, power in shape)


def _axis(value: int, rank: int) -> int:
    if not -rank <= value < rank:
        raise ValueError(value)
    return value % rank


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(map(len, shapes))
    padded = [(ONE,) * (rank - len(shape)) + shape for shape in shapes]
    result = []
    for lengths in zip(*padded, strict=True):
        longer = set(lengths) - {ONE}
        if len(longer) > 1:
            raise ValueError(longer)
        result.append(longer.pop() if longer else ONE)
    return tuple(result)


def _same(_node: Node, shapes: list[Shape], _tensors: Tensors) -> Shape:
    return shapes[0]


def _elementwise(_node: Node, shapes: list[Shape], _tensors: Tensors) -> Shape:
    return _broadcast(shapes)


def _concat(node: Node, shapes: list[Shape], _tensors: Tensors) -> Shape:
    axis = _axis(node.integers["axis"][0] if "axis" in node.integers else 0, len(shapes[0]))
    powers = {shape[axis][1] for shape in shapes}
    others = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    if len(powers) > 1 or len(others) > 1:
        raise ValueError(axis)
    length = (sum(shape[axis][0] for shape in shapes), powers.pop())
    return (*shapes[0][:axis], length, *shapes[0][axis + 1 :])


def _gather(node: Node, shapes: list[Shape], _tensors: Tensors) -> Shape:
    data, indices = shapes
    axis = _axis(node.integers.get("axis", [0])[0], len(data))
    return data[:axis] + indices + data[axis + 1 :]


def _gemm(node: Node, shapes: list[Shape], _tensors: Tensors) -> Shape:
    left, right = shapes[:2]
    if len(left) != 2 or len(right) != 2:
        raise ValueError(shapes)
    left = left[::-1] if node.integers.get("transA", [0])[0] else left
    right = right[::-1] if node.integers.get("transB", [0])[0] else right
    return _multiplied(left, right)


def _matmul(_node: Node, shapes: list[Shape], _tensors: Tensors) -> Shape:
    left, right = shapes
    if not left or not right:
        raise ValueError(shapes)
    product = _multiplied(
        (ONE, *left) if len(left) == 1 else left, (*right, ONE) if len(right) == 1 else right
    )
    rows = product[:-2] if len(left) == 1 else product[:-1]
    return rows if len(right) == 1 else (*rows, product[-1])


def _multiplied(left: Shape, right: Shape) -> Shape:
    if left[-1] != right[-2]:
        raise ValueError(left)
    return (*_broadcast([left[:-2], right[:-2]]), left[-2], right[-1])


def _reduce(node: Node, shapes: list[Shape], tensors: Tensors) -> Shape:
    shape = shapes[0]
    given = tensors.constant(node, 1, "axes")
    if not given and node.integers.get("noop_with_empty_axes", [0])[0]:
        return shape
    axes = {_axis(axis, len(shape)) for axis in given or range(len(shape))}
    keepdims = node.integers.get("keepdims", [1])[0]
    lengths = (None if at in axes else length for at, length in enumerate(shape))
    return tuple(length or ONE for length in lengths if length is not None or keepdims)


def _reshape(node: Node, shapes: list[Shape], tensors: Tensors) -> Shape:
    target = tensors.constant(node, 1, "shape")
    if not target or node.integers.get("allowzero", [0])[0] or min(target) < -1:
        raise ValueError(target)
    result = [shapes[0][at] if length == 0 else (length, 0) for at, length in enumerate(target)]
    factor, power = _product(shapes[0])
    if -1 in target:
        at = target.index(-1)
        others, others_power = _product(tuple(result[:at] + result[at + 1 :]))
        if others < 1 or factor % others:
            raise ValueError(target)
        result[at] = (factor // others, power - others_power)
    if _product(tuple(result)) != (factor, power) or any(p not in {0, 1} for _, p in result):
        raise ValueError(target)
    return tuple(result)


def _product(shape: Shape) -> Length:
    return math.prod(factor for factor, _ in shape), sum(power for _, power in shape)


def _slice(node: Node, shapes: list[Shape], tensors: Tensors) -> Shape:
    result = list(shapes[0])
    starts = tensors.constant(node, 1, "starts") or []
    ends = tensors.constant(node, 2, "ends") or []
    axes = tensors.constant(node, 3, "axes") or list(range(len(starts)))
    steps = tensors.constant(node, 4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at = _axis(axis, len(result))
        length, power = result[at]
        if power:
            raise ValueError(axis)
        result[at] = (len(range(*slice(start, end, step).indices(length))), 0)
    return tuple(result)


def _squeeze(node: Node, shapes: list[Shape], tensors: Tensors) -> Shape:
    given = tensors.constant(node, 1, "axes")
    if not given:
        # Which axes have length 1 depends on the number of rows.
        raise ValueError(given)
    axes = {_axis(axis, len(shapes[0])) for axis in given}
    if any(shapes[0][at] != ONE for at in axes):
        raise ValueError(given)
    return tuple(length for at, length in enumerate(shapes[0]) if at not in axes)


def _transpose(node: Node, shapes: list[Shape], _tensors: Tensors) -> Shape:
    order = node.integers.get("perm", list(range(len(shapes[0])))[::-1])
    if sorted(order) != list(range(len(shapes[0]))):
        raise ValueError(order)
    return tuple(shapes[0][at] for at in order)


def _unsqueeze(node: Node, shapes: list[Shape], tensors: Tensors) -> Shape:
    given = tensors.constant(node, 1, "axes") or []
    rank = len(shapes[0]) + len(given)
    axes = {_axis(axis, rank) for axis in given}
    if len(axes) != len(given) or not given:
        raise ValueError(given)
    lengths = iter(shapes[0])
    return tuple(ONE if at in axes else next(lengths) for at in range(rank))


def _trees(node: Node, shapes: list[Shape], _tensors: Tensors) -> Shape:
    targets = node.integers.get("n_targets", [1])[0]
    if len(shapes[0]) != 2 or targets < 0:
        raise ValueError(targets)
    return (shapes[0][0], (targets, 0))


_LIKE_THE_FIRST: Final = (
    *("Abs", "Cast", "Clip", "Exp", "Identity", "IsNaN", "Log", "Neg", "Not", "Reciprocal"),
    *("Sigmoid", "Sqrt", "Tanh"),
)
_RULES: Final[dict[str, Callable[[Node, list[Shape], Tensors], Shape]]] = {
    **dict.fromkeys(_LIKE_THE_FIRST, _same),
    **dict.fromkeys(["Add", "Div", "Max", "Min", "Mul", "Sub", "Where"], _elementwise),
    "Concat": _concat,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "TreeEnsembleRegressor": _trees,
    "Unsqueeze": _unsqueeze,
}
