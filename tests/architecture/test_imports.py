"""The import table of `rooms`, held against the source and against docs/architecture.md."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.architecture import rooms
from tools import house

ROOT = Path(__file__).parents[2]
MODULES = {package: house.modules(package) for package in house.PACKAGES}
ALL = {**MODULES["edge_agent"], **MODULES["trainer"]}


def _rooms_imported(module: house.Module, package: str) -> set[str]:
    known = MODULES[package]
    targets = {house.module_of(name, known) for name in module.imports}
    return {known[target].room for target in targets if target} - {module.room, ""}


@pytest.mark.parametrize("package", house.PACKAGES)
def test_every_room_has_a_row_and_imports_what_it_names(package: str) -> None:
    """The table has neither a room nor an import more or less than the source."""
    table = rooms.ROOMS[package]
    found: dict[str, set[str]] = {m.room: set() for m in MODULES[package].values() if m.room}
    shared: dict[str, set[str]] = {room: set() for room in found}
    for module in MODULES[package].values():
        if module.room:
            found[module.room] |= _rooms_imported(module, package)
            if package == "trainer":
                shared[module.room] |= _rooms_imported(module, "edge_agent")
    assert {name: set(room.imports) for name, room in table.items()} == found
    if package == "trainer":
        assert {name: set(room.shared) for name, room in table.items()} == {
            name: imported - ({name} - {*rooms.EDGE_AGENT}) for name, imported in shared.items()
        }


@pytest.mark.parametrize("package", house.PACKAGES)
def test_no_room_imports_upwards(package: str) -> None:
    """Every import goes to a lower floor, and there are six at the most."""
    table = rooms.ROOMS[package]
    for name, room in table.items():
        for imported in room.imports:
            assert table[imported].floor < room.floor, f"{name} imports {imported}"
    assert max(room.floor for room in table.values()) <= rooms.MOST_FLOORS
    assert len(house.loose_modules(package)) <= rooms.MOST_LOOSE


def test_the_agent_knows_nothing_of_the_trainer() -> None:
    """No module of the device names the trainer or one of its libraries."""
    for name, module in MODULES["edge_agent"].items():
        tops = {imported.split(".")[0] for imported in module.imports}
        assert tops & rooms.FORBIDDEN_ON_DEVICE == set(), name


def test_the_contract_is_pure() -> None:
    """It imports itself, the standard library without I/O, and three data libraries."""
    allowed = (sys.stdlib_module_names - rooms.CONTRACT_WITHOUT) | rooms.CONTRACT_LIBRARIES
    for name, module in MODULES["edge_agent"].items():
        if module.room == "contract":
            tops = {imported.split(".")[0] for imported in module.imports}
            assert tops <= allowed | {"edge_agent"}, name


def test_one_owner_per_foreign_library() -> None:
    """A foreign library with a seam is imported by its owners only."""
    for name, module in ALL.items():
        tops = {imported.split(".")[0] for imported in module.imports}
        for library, owners in rooms.OWNERS.items():
            assert library not in tops or name in owners, f"{name} imports {library}"


def test_no_import_cycle() -> None:
    """Modules import one way, imports inside functions counted as well."""
    graph = {
        name: {house.module_of(imported, ALL) for imported in module.imports} - {"", name}
        for name, module in ALL.items()
    }
    house.floors(graph)


def test_modules_are_small() -> None:
    """None is longer than 400 lines, and few are longer than 300."""
    lengths = {name: module.lines for name, module in ALL.items()}
    assert {name for name, n in lengths.items() if n > rooms.MOST_LINES} == set()
    assert len([n for n in lengths.values() if n > rooms.LONG_LINES]) <= rooms.MOST_LONG


@pytest.mark.parametrize("package", house.PACKAGES)
def test_no_class_name_stands_twice(package: str) -> None:
    """A name means one thing within a package."""
    assert not house.repeated_classes(package)


@pytest.mark.parametrize("package", house.PACKAGES)
def test_every_room_says_what_it_is_for(package: str) -> None:
    """Each folder has an `__init__.py` with a docstring and nothing else."""
    for path in (ROOT / package).rglob("__init__.py"):
        if path.parent != ROOT / package:
            (only,) = house.Module("", path).tree.body
            assert isinstance(only, ast.Expr), path


@pytest.mark.parametrize("package", house.PACKAGES)
def test_the_page_shows_the_table(package: str) -> None:
    """docs/architecture.md has the rows that `tools/house.py --rows` prints, in their order."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert "\n".join(house.rows(package, rooms.ROOMS[package])) in page
