"""Exclusive locks on open files (flock). The system frees a lock when its holder dies."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from edge_agent.contract.errors import TryLater

if TYPE_CHECKING:
    from collections.abc import Iterator


def try_lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed; False where another process holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def wait_for_lock(file: BinaryIO) -> None:
    """Lock a file until it is closed; waits for whoever holds the lock.

    Raises:
        OSError: The file system has no locks.
    """
    fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def locked(file: BinaryIO, busy: str) -> Iterator[None]:
    """Hold the lock of a file inside the `with`, and close the file at its end.

    Args:
        file: An open file.
        busy: Text of the error.

    Raises:
        TryLater: Another process holds the lock.
    """
    with file:
        if not try_lock(file):
            raise TryLater(busy)
        yield
