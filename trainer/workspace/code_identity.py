"""Which code trains: a hash of its content. Versions stay the same while code changes."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import edge_agent
import trainer

ROOMS: Final = (
    "edge_agent/contract",
    "edge_agent/forecasting",
    "trainer/evaluation",
    "trainer/training",
)
"""Where everything is that decides over models and their scores, besides data and libraries."""


@cache
def training_code() -> str:
    """SHA-256 (hex) of the sources that train and score."""
    folders = {"edge_agent": Path(edge_agent.__file__), "trainer": Path(trainer.__file__)}
    sources: dict[str, bytes] = {}
    for room in ROOMS:
        package, _, name = room.partition("/")
        folder = folders[package].parent / name
        for path in folder.rglob("*.py"):
            sources[f"{room}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    return digest_of(sources)


def digest_of(sources: dict[str, bytes]) -> str:
    """SHA-256 (hex) of files by name, whatever their order."""
    digest = sha256()
    for name, content in sorted(sources.items()):
        digest.update(f"{name} {sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()
