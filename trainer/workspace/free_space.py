"""Whether a folder can take what a long work is to write there, asked before the work begins."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

LEAST: Final = 100_000_000
"""Bytes. A run is 2.5 MB, with a thousand farms' corrections 6 MB; a release as much again."""


def check(folder: Path, what: str) -> None:
    """Refuse a folder that is full or may not be written to.

    Args:
        folder: Where to write; its nearest parent counts where it is not made yet.
        what: What would be written, for the error.

    Raises:
        StorageError: It is; nothing was written.
    """
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        raise StorageError(f"{place}: may not be written to, so {what} could not be kept")
    free = shutil.disk_usage(place).free
    if free < LEAST:
        raise StorageError(
            f"{place}: {free / 1e6:.0f} MB are free, {LEAST / 1e6:.0f} are needed for {what}: "
            "make room"
        )
