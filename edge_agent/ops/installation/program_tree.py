"""The program as it was built, and one whole copy of it on the device's disk."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent import __version__
from edge_agent.contract.errors import UsageError
from edge_agent.system.locations import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENTS: Final = "_internal"
"""Folder beside the launcher, by the name that its builder gave it."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A built program: a launcher, and the folder it needs beside it.

    Attributes:
        version: For people.
        launcher: The executable.
        contents: Libraries, modules and data.
    """

    version: str
    launcher: Path
    contents: Path

    def files(self) -> Iterator[tuple[str, Path]]:
        """Path within an installed version, and where the file is now; in a fixed order."""
        yield NAME, self.launcher
        for place in sorted(self.contents.rglob("*")):
            # The single file unpacks its launcher into the same folder.
            if place != self.launcher and (place.is_symlink() or not place.is_dir()):
                yield f"{CONTENTS}/{place.relative_to(self.contents)}", place


def own_tree() -> Tree:
    """The program that runs now, be it the single file or the unpacked tree.

    Raises:
        UsageError: It runs from source.
    """
    unpacked = getattr(sys, "_MEIPASS", None)
    if unpacked is None:
        raise UsageError("only the packaged program installs itself: run dist/edge-agent install")
    contents = Path(unpacked)
    carried = contents / NAME
    launcher = carried if carried.is_file() else Path(sys.executable)
    return Tree(__version__, launcher, contents)


def installed_tree(folder: Path) -> Tree:
    """The tree of an installed version."""
    return Tree(folder.name, folder / NAME, folder / CONTENTS)


def digest(tree: Tree) -> str:
    """SHA-256 (hex) over names and bytes of a tree.

    Raises:
        OSError: A file cannot be read.
    """
    seen = sha256()
    for name, place in tree.files():
        content = os.fsencode(place.readlink()) if place.is_symlink() else _hash(place)
        seen.update(f"{name}\0{len(content)}\0".encode() + content)
    return seen.hexdigest()


def copy(tree: Tree, folder: Path) -> None:
    """Copy a tree into a new folder, flushed to the disk.

    Raises:
        OSError: The disk refused.
    """
    for name, place in tree.files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place, target, follow_symlinks=False)
        if not place.is_symlink():
            target.chmod(0o755 if os.access(place, os.X_OK) else 0o644)
    # One call instead of two thousand; it returns when everything is on the disk.
    os.sync()


def _hash(place: Path) -> bytes:
    with place.open("rb") as handle:
        return file_digest(handle, "sha256").digest()
