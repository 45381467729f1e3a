"""Measures the layout of the two packages: rooms, floors, loose modules, lines, long functions.

    python tools/house.py            # figures of edge_agent and trainer
    python tools/house.py --rows     # the import tables of docs/architecture.md

A room is a folder or a module directly below the package. A room stands one floor above the highest
room that it imports. Imports inside functions and type-checking blocks count.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.architecture.rooms import Room

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("edge_agent", "trainer")
LONG_FUNCTION: Final = 50
"""Lines."""


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.path.read_text("utf-8"))

    @property
    def lines(self) -> int:
        """All lines, blank ones and comments too."""
        return len(self.path.read_text("utf-8").splitlines())

    @property
    def room(self) -> str:
        """The folder or module directly below the package; empty for the package itself."""
        return f"{self.name}.".split(".")[1]

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of its syntax tree."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def imports(self) -> frozenset[str]:
        """Absolute names that it imports: modules, or names inside of modules."""
        found: set[str] = set()
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.module is not None, f"{self.name}: a relative import"
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return frozenset(found)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function and method."""
        for node in self.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def classes(self) -> Iterator[str]:
        """Names of its classes."""
        return (node.name for node in self.nodes if isinstance(node, ast.ClassDef))


@cache
def modules(package: str) -> Mapping[str, Module]:
    """Modules of a package by name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


def module_of(imported: str, known: Mapping[str, Module]) -> str:
    """The known module that an imported name is, or lies in; empty where there is none."""
    name = imported
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def floors(graph: dict[str, set[str]]) -> dict[str, int]:
    """Room -> floor, from 1.

    Raises:
        ValueError: Rooms import each other in a circle.
    """
    done: dict[str, int] = {}

    def floor(room: str, above: tuple[str, ...]) -> int:
        if room in above:
            raise ValueError(" -> ".join((*above, room)))
        if room not in done:
            done[room] = 1 + max((floor(below, (*above, room)) for below in graph[room]), default=0)
        return done[room]

    for room in graph:
        floor(room, ())
    return done


def function_lines(package: str) -> dict[str, int]:
    """Lines of every function and method, by `module:name:line`."""
    return {
        f"{module.name}:{node.name}:{node.lineno}": (node.end_lineno or 0) - node.lineno + 1
        for module in modules(package).values()
        for node in module.functions()
    }


def repeated_classes(package: str) -> list[str]:
    """Class names that stand twice in a package."""
    names = Counter(name for module in modules(package).values() for name in module.classes())
    return sorted(name for name, count in names.items() if count > 1)


def loose_modules(package: str) -> list[str]:
    """Modules directly below the package, without `__init__` and `__main__`."""
    return [
        path.stem
        for path in sorted((ROOT / package).glob("*.py"))
        if path.stem not in {"__init__", "__main__"}
    ]


def purpose(package: str, room: str) -> str:
    """First line of the docstring of a room."""
    folder = ROOT / package / room
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]


def rows(package: str, rooms: Mapping[str, Room]) -> list[str]:
    """Rows of the import table of a package, from the ground up, as Markdown.

    Args:
        package: Its name.
        rooms: The table that the tests hold the source against.
    """
    made = []
    for name, room in sorted(rooms.items(), key=lambda item: (item[1].floor, item[0])):
        what = f"`{name}`" if (ROOT / package / name).is_dir() else f"`{name}.py`"
        shown = [", ".join(sorted(imports)) for imports in (room.imports, room.shared)]
        if package == PACKAGES[0]:
            shown.pop()
        cells = (str(room.floor), what, purpose(package, name), *shown)
        made.append(f"| {' | '.join(cells)} |")
    return made


def _report(package: str, table: Mapping[str, Room]) -> None:
    known = modules(package)
    lengths = function_lines(package)
    sizes = {module.name: module.lines for module in known.values()}
    long = {name: n for name, n in lengths.items() if n > LONG_FUNCTION}
    print(f"{package}: {len(known)} modules, {sum(sizes.values()):,} lines")
    by_floor: dict[int, list[str]] = defaultdict(list)
    for name, room in table.items():
        by_floor[room.floor].append(name)
    print(
        f"  rooms {len(table)}, floors {len(by_floor)}, "
        f"modules that stand alone {len(loose_modules(package))}"
    )
    for floor, names in sorted(by_floor.items()):
        print(f"    {floor}  {', '.join(sorted(names))}")
    print(
        f"  modules over 400 lines {sum(n > 400 for n in sizes.values())}, over 300 "
        f"{sum(n > 300 for n in sizes.values())}, median {statistics.median(sizes.values()):.0f}"
    )
    print(
        f"  functions {len(lengths)}, median {statistics.median(lengths.values()):.0f} lines, "
        f"longest {max(lengths.values())}, over {LONG_FUNCTION}: {len(long)}"
    )
    for name, n in sorted(long.items(), key=lambda item: -item[1]):
        print(f"    {n} {name}")
    print(f"  class names that stand twice: {', '.join(repeated_classes(package)) or 'none'}")


def main(arguments: list[str]) -> None:
    """Print figures, or the rows of the import tables."""
    sys.path.insert(0, str(ROOT))
    from tests.architecture.rooms import ROOMS

    for package in PACKAGES:
        if "--rows" in arguments:
            print(*rows(package, ROOMS[package]), sep="\n")
        else:
            _report(package, ROOMS[package])


if __name__ == "__main__":
    main(sys.argv[1:])
