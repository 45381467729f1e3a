"""The real `trainer` command with a small training, for tests that run it as a process."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from demo.kma import KmaStandIn

KEY: Final = "a-test-key"

PROGRAM: Final = """
import sys
import pytest
from tests.fakes.trained import shrink
from tests.fakes.runs import lower_floor
from trainer import cli
patch = pytest.MonkeyPatch()
shrink(patch)
lower_floor(patch)
sys.argv = ["trainer", *sys.argv[1:]]
cli.main()
"""
"""Only the size of training and the gate's floor are changed."""


def settings(kma: KmaStandIn) -> dict[str, str]:
    """Environment that points the command at two years of the stand-in's hours."""
    return {
        "KMA_SERVICE_KEY": KEY,
        "OPENBLAS_NUM_THREADS": "1",
        "TRAINER__KMA__ASOS_URL": kma.asos_url,
        "TRAINER__KMA__REQUESTS_PER_SECOND": "1000",
        "TRAINER__START": "2020-01-02",
        "TRAINER__TRAINING__HOLDOUT_SHARE": "0.3",
        "TRAINER__TRAINING__THREADS": "1",
    }


def tree(root: Path) -> dict[str, str]:
    """Hash of every file but locks."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "lock" not in path.name
    }
