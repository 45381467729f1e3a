"""A lock that lets one agent process of a device publish at a time.

Two processes with one MQTT client id would take the broker's session from each other.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from edge_agent.system.file_lock import try_lock
from edge_agent.system.files import make_folder

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)
LOCK: Final = "agent.lock"


class InstanceLock:
    """A lock on a file of the state folder, held until the end of the `with` or of the process.

    Args:
        state: State folder; made where it is absent.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / LOCK
        self._file: BinaryIO | None = None
        self._unreadable = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def held(self) -> bool:
        """Whether this process is the only one; takes the lock where it does not hold it.

        A file that was deleted or replaced while it was locked excludes nobody, so every call
        compares the open file with the path. On a disk that refuses to open the file the process
        counts as the only one: an agent that is started there still forecasts and alerts.
        """
        try:
            if self._file is not None and _same(self._file, self._path):
                return True
            file = self._open()
        except OSError as fault:
            if not self._unreadable:
                _log.warning("%s: %s: cannot see if another agent runs", self._path, fault.strerror)
            self._unreadable = True
            return True
        if not try_lock(file):
            file.close()
            return False
        if self._file is not None:
            self._file.close()
        self._file = file
        return True

    def _open(self) -> BinaryIO:
        try:
            make_folder(self._path.parent)
            return self._path.open("wb")
        except OSError:
            # On a read-only disk the file of an earlier start can still be locked.
            return self._path.open("rb")


def _same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
