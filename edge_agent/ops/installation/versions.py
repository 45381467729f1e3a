"""Installed versions of the program, and the two links to the current and the previous one.

V1 A version is complete and flushed before its folder gets its name.
V2 `current` changes by one rename: after a power cut it is the old version or the new one.
V3 A version is on trial until `confirm`; `settle` rolls back one whose trial was interrupted.
V4 What `current` and `previous` point to is never written to; a damaged copy is replaced whole.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from edge_agent.ops.installation import program_tree as trees
from edge_agent.system.files import make_folder, sync_folder, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.ops.installation.layout import Layout
    from edge_agent.ops.installation.program_tree import Tree

_STAGING: Final = ".staging"
_DAMAGED: Final = ".damaged"
_TRIAL: Final = ".trial"


class Versions:
    """The installed versions below one root.

    Args:
        layout: Where they lie.
    """

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.versions
        self._current = layout.current
        self._previous = layout.previous

    def current(self) -> Path | None:
        """Folder of the version that runs; None before any install."""
        return _target(self._current)

    def previous(self) -> Path | None:
        """Folder of the version before it."""
        return _target(self._previous)

    def add(self, tree: Tree) -> Path:
        """Put a tree beside the others, by its version and content; nothing points to it yet.

        Raises:
            OSError: The disk refused; what runs is as it was.
        """
        digest = trees.digest(tree)
        place = self._folder / f"{tree.version}-{digest[:12]}"
        self._sweep()
        if place.is_dir():
            if trees.digest(trees.installed_tree(place)) == digest:
                return place
            place.rename(self._folder / _DAMAGED)
        make_folder(self._folder)
        trees.copy(tree, self._folder / _STAGING)
        (self._folder / _STAGING).rename(place)
        sync_folder(self._folder)
        return place

    def switch(self, place: Path) -> None:
        """Make a version current; the one that was current becomes `previous`.

        Raises:
            OSError: The disk refused.
        """
        before = self.current()
        if before == place:
            return
        if before is not None:
            write_atomic(self._folder / _TRIAL, b"")
            self._point(self._previous, before)
        self._point(self._current, place)

    def confirm(self) -> None:
        """End the trial of the current version."""
        (self._folder / _TRIAL).unlink(missing_ok=True)

    def settle(self) -> None:
        """Roll back a version that was not confirmed: its install was interrupted.

        Raises:
            OSError: The disk refused.
        """
        if (self._folder / _TRIAL).exists() and self.previous() is not None:
            self.go_back()

    def go_back(self) -> Path | None:
        """Make the previous version current again; None where there is none.

        Raises:
            OSError: The disk refused.
        """
        before = self.previous()
        if before is not None:
            self._point(self._current, before)
            self._previous.unlink(missing_ok=True)
        self.confirm()
        return before

    def prune(self) -> None:
        """Remove every version without a link, and what a power cut left."""
        in_use = {self.current(), self.previous()}
        for folder in self._folder.iterdir():
            if not folder.is_symlink() and folder not in in_use and folder.is_dir():
                shutil.rmtree(folder)

    def _sweep(self) -> None:
        for name in (_STAGING, _DAMAGED):
            if (self._folder / name).exists():
                shutil.rmtree(self._folder / name)

    def _point(self, link: Path, place: Path) -> None:
        fresh = link.with_name(f".{link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(place.name)
        fresh.replace(link)
        sync_folder(self._folder)


def _target(link: Path) -> Path | None:
    try:
        place = link.parent / link.readlink()
    except OSError:
        return None
    return place if place.is_dir() else None
