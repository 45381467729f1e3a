"""File writes that survive a power cut: temp, fsync, rename, fsync of the folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries (new names, renames) to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int | None:
    """Free space on a folder's disk; None where the folder is gone."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; each new name is flushed to the disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace a file so that a reader or a power cut sees the old or the new bytes, never a mix.

    Args:
        path: File to write; its folder is made when absent.
        content: All of its bytes.
        mode: Permission bits of the new file.

    Raises:
        OSError: The disk refused; `path` still holds what it held.
    """
    make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fchmod(handle.fileno(), mode)
            os.fsync(handle.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
