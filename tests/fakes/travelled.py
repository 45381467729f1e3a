"""Work for a cluster that tells where it has been."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from edge_agent.contract.errors import BadData

if TYPE_CHECKING:
    from pathlib import Path

_PAUSE_S = 0.01


class Heavy:
    """Work with a megabyte in it; each process notes in `folder` how often it was unpickled.

    Args:
        folder: Gets a file per process.
        ballast: The megabyte.
    """

    def __init__(self, folder: Path, ballast: bytes = b"") -> None:
        self._folder = folder
        self._ballast = ballast or os.urandom(1 << 20)

    def __call__(self, item: int) -> int:
        """Twice the item, after a moment in which the other worker gets its share."""
        time.sleep(_PAUSE_S)
        return 2 * item

    def __reduce__(self) -> tuple[object, ...]:
        return _arrived, (self._folder, self._ballast)


def _arrived(folder: Path, ballast: bytes) -> Heavy:
    with (folder / str(os.getpid())).open("a", encoding="ascii") as notes:
        notes.write("x")
    return Heavy(folder, ballast)


def where(_item: int) -> int:
    """The process that worked it."""
    time.sleep(_PAUSE_S)
    return os.getpid()


def refuse(item: int) -> int:
    """Refuses the third item."""
    if item == 2:
        raise BadData(f"item {item}: cannot be used")
    return item
