"""What the device can live without: imported in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

ABSENT = (
    "lightgbm", "onnx", "onnxmltools", "skl2onnx", "sklearn", "scipy", "pandas", "joblib", "rich",
    "trainer", "demo", "tests",
)  # fmt: skip
"""Libraries of the trainer's side, and this project's other rooms."""

_BLOCKED = """
import importlib, json, pkgutil, sys, warnings

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"{{name}} is not on the device", name=name)

warnings.simplefilter("error")
sys.meta_path.insert(0, Blocked())
{body}
"""

_EVERY_MODULE = """
import edge_agent
names = [m.name for m in pkgutil.walk_packages(edge_agent.__path__, "edge_agent.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(json.dumps(names))
"""

_VERSION = """
import edge_agent.cli
sys.argv = ["edge-agent", "--version"]
code = edge_agent.cli.entry()
print(json.dumps([code, sorted(sys.modules)]))
"""


def _run(body: str) -> list[str]:
    program = _BLOCKED.format(absent=set(ABSENT), body=body)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_module_imports_without_the_trainers_libraries() -> None:
    """A device with the base dependencies alone can import all of the agent."""
    names = json.loads(_run(_EVERY_MODULE)[-1])
    assert {
        "edge_agent.forecasting.inference",
        "edge_agent.contract.features",
        "edge_agent.cli",
    } <= set(names)


def test_the_block_blocks() -> None:
    """A blocked library cannot be imported there, so the test above says something."""
    done = _run("try:\n    import lightgbm\nexcept ModuleNotFoundError as e:\n    print(e)\n")
    assert done == ["lightgbm is not on the device"]


def test_version_needs_no_heavy_library() -> None:
    """`edge-agent --version` answers before Polars, NumPy or onnxruntime are loaded."""
    shown, facts = _run(_VERSION)
    code, modules = json.loads(facts)
    assert (code, shown.split(",")[0]) == (0, "edge-agent")
    heavy = {"polars", "numpy", "onnxruntime", "paho", "tuf", "httpx", "sqlite3", "asyncio"}
    assert heavy & set(modules) == set()
