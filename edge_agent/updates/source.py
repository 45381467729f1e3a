"""Sources of a depot's files: the interface to the transport.

A source is never trusted. It returns bytes by name, bounded in length and in time; the depot's
client verifies them.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, Protocol

from edge_agent.contract.errors import FarmError, Refused, TryLater

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK: Final = 64 * 1024


class NoSuchFile(FarmError):  # noqa: N818 - an answer rather than an error; it never leaves this package
    """The depot has no file of that name."""


class DepotSource(Protocol):
    """A depot's files by name, such as `metadata/timestamp.json`."""

    def where(self) -> str:
        """The place, for people."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """Content of a file in pieces.

        Raises:
            NoSuchFile: No such file.
            TryLater: The place cannot be reached, or is too slow.
            Refused: There is something that no depot holds, such as a symbolic link.
        """
        ...


class FolderSource:
    """A depot in a folder, such as a USB stick.

    Symbolic links are refused at every level below the folder: a prepared stick could otherwise
    make the agent read any file of the device.

    Args:
        root: The depot's folder, with `metadata` and `targets` in it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def where(self) -> str:
        """The folder."""
        return str(self._root)

    def read(self, name: str) -> Iterator[bytes]:
        """Content of a file in pieces; see `DepotSource.read`."""
        descriptor = self._open(name)
        with os.fdopen(descriptor, "rb") as handle:
            while True:
                try:
                    piece = handle.read(_CHUNK)
                except OSError as fault:
                    raise _unreadable(self._root, name, fault) from fault
                if not piece:
                    return
                yield piece

    def _open(self, name: str) -> int:
        parts = name.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise Refused(f"{name}: not a name inside a depot")
        folder = -1
        try:
            folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
            for part in parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = inner
            # O_NONBLOCK: opening a named pipe must not wait for a writer.
            descriptor = os.open(
                parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder
            )
        except OSError as fault:
            raise self._explained(name, fault) from fault
        finally:
            if folder >= 0:
                os.close(folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Refused(f"{self._root}/{name}: not a plain file")
        return descriptor

    def _explained(self, name: str, fault: OSError) -> FarmError:
        path = self._root
        for part in name.split("/"):
            path /= part
            if path.is_symlink():
                return Refused(f"{path}: a symbolic link; a depot holds plain files only")
        if isinstance(fault, FileNotFoundError) and self._root.is_dir():
            return NoSuchFile(f"{self._root}/{name}: no such file")
        return _unreadable(self._root, name, fault)


def _unreadable(root: Path, name: str, fault: OSError) -> FarmError:
    return TryLater(f"{root}/{name}: cannot be read: {fault.strerror}; is the stick plugged in?")
