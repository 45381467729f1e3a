"""Disk space in reserve: released when the disk is full, so that alerts can still be written."""

from __future__ import annotations

import logging
import os
import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)
NAME: Final = "reserve"
_SHARE: Final = 10
"""At most this part of the free space is taken: one in ten."""


class DiskReserve:
    """A file of blocks that are allocated and never written, so that flash memory is not worn.

    Args:
        folder: State folder.
        size: Bytes to keep; 0 keeps none.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._path = folder / NAME
        self._size = size

    def hold(self) -> bool:
        """Reserve the space where there is enough of it; whether it is reserved now."""
        if not self._size:
            return False
        if self._path.exists():
            return True
        try:
            if shutil.disk_usage(self._path.parent).free < _SHARE * self._size:
                return False
            with self._path.open("wb") as handle:
                os.posix_fallocate(handle.fileno(), 0, self._size)
        except OSError as fault:
            _log.warning("%s: cannot reserve space: %s", self._path, fault.strerror)
            self._path.unlink(missing_ok=True)
            return False
        return True

    def release(self) -> bool:
        """Free the space; False when none was reserved."""
        try:
            self._path.unlink()
        except OSError:
            return False
        _log.warning("%s: the disk is full: the reserve is used now", self._path)
        return True
