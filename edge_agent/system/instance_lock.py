"""The right to speak for the device: one process at a time has it.

Two that speak would take the broker's session from each other.
"""

from __future__ import annotations

import fcntl
import logging
import os
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from edge_agent.system.files import make_folder

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)
LOCK: Final = "agent.lock"


class Sole:
    """A lock on a file of the state folder, held until the end of the `with` or of the process.

    Args:
        state: State folder; made where it is absent.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / LOCK
        self._file: BinaryIO | None = None
        self._blind = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def held(self) -> bool:
        """Whether this process is the only one; the lock is taken, or taken anew.

        A file that was deleted or replaced while it was locked keeps nobody out, so it is looked at
        each time. On a disk that refuses even this the process is taken to be alone: an agent that
        is started there still forecasts and alerts.
        """
        try:
            if self._file is not None and _same(self._file, self._path):
                return True
            file = self._open()
        except OSError as fault:
            if not self._blind:
                _log.warning("%s: %s: cannot see if another agent runs", self._path, fault.strerror)
            self._blind = True
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
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
            # On a read-only disk the file of an earlier start can be locked as well.
            return self._path.open("rb")


def _same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
