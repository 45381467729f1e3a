"""No error of a decoder or of the network reaches people in its own words."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
FOREIGN: Final = ("msgspec.", "httpx.", "UnicodeDecodeError", "RecursionError", "OSError")
"""Beginnings of the classes whose texts are for programmers."""


def handlers(tree: ast.AST) -> Iterator[tuple[ast.ExceptHandler, list[str]]]:
    """Handlers that name their error, with the classes that they catch."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.name and node.type is not None:
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            yield node, [ast.unparse(kind) for kind in kinds]


def shown(handler: ast.ExceptHandler) -> Iterator[int]:
    """Lines in which the error's own text is put into another."""
    for node in ast.walk(handler):
        inner = node.value if isinstance(node, ast.FormattedValue) else None
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"str", "repr"} and node.args:
            inner = node.args[0]
        if isinstance(inner, ast.Name) and inner.id == handler.name:
            yield inner.lineno


@pytest.mark.parametrize("package", ["edge_agent", "trainer"])
def test_texts_of_libraries_are_put_into_words(package: str) -> None:
    """Decoders by `decoder_words`, the rest by `fault_words`."""
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for handler, kinds in handlers(ast.parse(path.read_text("utf-8"))):
            foreign = [kind for kind in kinds if kind.startswith(FOREIGN)]
            if foreign:
                wrong += [f"{name}:{line}: {', '.join(foreign)}" for line in shown(handler)]
    assert not wrong, "\n".join(wrong)
