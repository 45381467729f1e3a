"""The import rules of docs/architecture.md, walked over the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN_ON_DEVICE = {
    "trainer",
    "demo",
    "lightgbm",
    "onnx",
    "onnxmltools",
    "skl2onnx",
    "pandas",
    "sklearn",
    "scipy",
    "joblib",
    "rich",
    "matplotlib",
    "mlflow",
}
SHARED_WITH_TRAINER = (
    "edge_agent",
    "edge_agent.system.clock",
    "edge_agent.system.console",
    "edge_agent.contract",
    "edge_agent.contract.errors",
    "edge_agent.system.files",
    "edge_agent.system.ports",
    "edge_agent.system.struct_decoder",
    "edge_agent.system.toml_lines",
)
REPLAYED_BY_TRAINER = ("edge_agent.forecasting.inference", "edge_agent.forecasting.forecaster")
OWNERS = {
    "onnxruntime": {"edge_agent.forecasting.inference"},
    "paho": {"edge_agent.mqtt.client", "trainer.fleet.retained_messages"},
    "tuf": {
        "edge_agent.updates.depot",
        "trainer.depot.publisher",
        "trainer.depot.key_ceremony",
        "trainer.depot.metadata",
        "trainer.depot.agent_program",
        "trainer.depot.cleanup",
        "trainer.depot.key_rotation",
    },
    "lightgbm": {"trainer.training.trees"},
    "onnx": {"trainer.training.onnx_export"},
    "onnxmltools": {"trainer.training.onnx_export"},
    "matplotlib": {"trainer.report.charts"},
    "mlflow": {"trainer.report.mlflow_mirror"},
}
CONTRACT_MAY_USE = {"numpy", "polars", "msgspec"}


def _modules() -> dict[str, Path]:
    found = {}
    for package in ("edge_agent", "trainer"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


MODULES = _modules()


def _imports(name: str, *, top_level_only: bool = False) -> set[str]:
    """Absolute names a module imports; type-checking blocks count too, as they tie rooms."""
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports hide the room"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in MODULES else node.module)
    return names


def _within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(
        name == room or (room != "edge_agent" and name.startswith(f"{room}.")) for room in rooms
    )


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("edge_agent")])
def test_agent_never_imports_the_trainer_side(name: str) -> None:
    """No module of the device names the trainer or one of its libraries."""
    assert {found.split(".")[0] for found in _imports(name)} & FORBIDDEN_ON_DEVICE == set()


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("edge_agent.contract")])
def test_contract_is_pure(name: str) -> None:
    """The contract imports itself, errors, the standard library and three data libraries."""
    for found in _imports(name):
        if found.startswith("edge_agent"):
            assert _within(found, ("edge_agent.contract", "edge_agent.contract.errors")), found
        else:
            top = found.split(".")[0]
            assert top in CONTRACT_MAY_USE or top in _standard_library(), found
    banned = {"os", "pathlib", "socket", "logging", "time", "sqlite3", "subprocess"}
    assert {found.split(".")[0] for found in _imports(name)} & banned == set()


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("trainer")])
def test_trainer_uses_only_the_shared_rooms_of_the_agent(name: str) -> None:
    """The trainer shares the contract and a few tools; it never reaches into the device."""
    for found in _imports(name):
        if found.startswith("edge_agent"):
            assert _within(found, SHARED_WITH_TRAINER + REPLAYED_BY_TRAINER), f"{name}: {found}"


@pytest.mark.parametrize("name", MODULES)
def test_one_owner_per_foreign_library(name: str) -> None:
    """A foreign library with a seam is imported by its owner only."""
    tops = {found.split(".")[0] for found in _imports(name)}
    for library, owners in OWNERS.items():
        assert library not in tops or name in owners, f"{name} imports {library}"


def test_no_import_cycle() -> None:
    """Modules import one way, call-time imports counted as well."""
    graph = {name: {i for i in _imports(name) if i in MODULES} - {name} for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name in done:
            return
        for found in sorted(graph[name]):
            visit(found, (*path, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("name", MODULES)
def test_no_module_over_400_lines(name: str) -> None:
    """A module that outgrows 400 lines is two rooms."""
    assert len(MODULES[name].read_text("utf-8").splitlines()) <= 400


def _standard_library() -> frozenset[str]:
    import sys

    return frozenset(sys.stdlib_module_names)
