"""Nothing of a farm leaves the box but what its configuration says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOADS = """
import time
from edge_agent.forecasting.inference import load_predictors
from tests.fakes.tiny_release import tiny_release
tiny_release()
time.sleep(1)
"""


def test_the_runtime_of_models_reports_to_nobody(tmp_path: Path) -> None:
    """Telemetry of onnxruntime is off: it makes no device id and no database of events."""
    # It keeps quiet in CI of its own accord, which would make this test hold for nothing.
    env = {k: v for k, v in os.environ.items() if k not in {"CI", "ORT_DISABLE_TELEMETRY"}}
    env |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", LOADS], env=env, check=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
