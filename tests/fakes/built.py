"""The program as it was built (`make binary`), where it is of the present source."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
FILE = _ROOT / "dist/edge-agent"
TREE = _ROOT / "dist/edge-agent-tree"


def _stale() -> bool:
    sources = [*(_ROOT / "edge_agent").rglob("*.py"), _ROOT / "build.spec"]
    return not FILE.exists() or FILE.stat().st_mtime < max(p.stat().st_mtime for p in sources)


needs_program = pytest.mark.skipif(
    _stale(), reason="no program was built of this source: make test-binary"
)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
