"""A file system whose last byte is taken."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def fill(place: Path) -> Path:
    """Leave no byte free; the file that takes them."""
    ballast = place / "ballast"
    with ballast.open("wb") as handle:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    os.write(handle.fileno(), b"\0" * size)
            except OSError:
                continue
    return ballast
