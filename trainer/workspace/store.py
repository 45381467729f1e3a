"""The store of lake, runs and depot: named files in a folder, in memory, or in a bucket (`s3`)."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from edge_agent.contract.errors import StorageError, TryLater
from edge_agent.system.file_lock import locked, wait_for_lock
from edge_agent.system.files import make_folder, sync_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


class Store(Protocol):
    """Named immutable or replaceable blobs; names are relative with forward slashes."""

    def read(self, name: str) -> bytes | None:
        """Bytes of a file, or None where it does not exist."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Replace a file; a reader sees the old or the new bytes."""
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of all files below a folder, sorted."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; a file that does not exist is no fault."""
        ...

    def swap(self, name: str, before: bytes | None, after: bytes) -> None:
        """Replace a file only if it still holds `before`; None: only if it does not exist.

        Raises:
            TryLater: It holds something else by now; nothing was written.
        """
        ...

    def append(self, name: str, before: bytes | None, line: bytes) -> bool:
        """Add a line to a file only if it still holds `before`; None: only if there is none.

        Returns:
            False where it holds something else by now; nothing was written.
        """
        ...

    def lock(self, name: str = "lock") -> AbstractContextManager[None]:
        """Hold this lock of the store against everyone else.

        Raises:
            TryLater: Another process holds it.
        """
        ...


class FolderStore:
    """Files in a local folder, or on a mounted share.

    Args:
        root: The folder; made by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> bytes | None:
        """Bytes of a file, or None where it does not exist."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise StorageError(f"{self.root / name}: cannot be read: {fault.strerror}") from fault

    def write(self, name: str, content: bytes) -> None:
        """Replace a file; one with the same bytes is left as it is."""
        path = self.root / name
        if self.read(name) == content:
            return
        try:
            write_atomic(path, content)
        except OSError as fault:
            raise StorageError(f"{path}: cannot be written: {fault.strerror}") from fault

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of all files below a folder, sorted."""
        found = (path for path in (self.root / folder).rglob("*") if path.is_file())
        return tuple(sorted(str(path.relative_to(self.root)) for path in found))

    def remove(self, name: str) -> None:
        """Remove a file; a file that does not exist is no fault."""
        (self.root / name).unlink(missing_ok=True)

    def swap(self, name: str, before: bytes | None, after: bytes) -> None:
        """Replace a file only if it still holds `before`; the lock makes sure that it stays so."""
        if self.read(name) != before:
            raise TryLater(
                f"{self.root / name}: another process has written it meanwhile: run the same "
                "command again"
            )
        self.write(name, after)

    def append(self, name: str, before: bytes | None, line: bytes) -> bool:
        """Add a line to a file only if it still holds `before`; see `Store.append`.

        What follows the last line break was cut short by a crash, and is cut off.
        """
        path = self.root / name
        try:
            make_folder(path.parent)
            with path.open("a+b") as handle:
                wait_for_lock(handle)
                handle.seek(0)
                content = handle.read()
                if content != (before or b""):
                    return False
                handle.truncate(content.rfind(b"\n") + 1)
                handle.write(line)
                handle.flush()
                os.fsync(handle.fileno())
            sync_folder(path.parent)
        except OSError as fault:
            raise StorageError(f"{path}: {fault.strerror}: check the disk") from fault
        return True

    @contextmanager
    def lock(self, name: str = "lock") -> Iterator[None]:
        """Hold a lock; the system frees it when its holder dies.

        Raises:
            TryLater: Another process is publishing.
        """
        make_folder(self.root)
        busy = f"{self.root}: another process is at work here: try again when it is done"
        with locked((self.root / f".{name}").open("wb"), busy):
            yield


class MemoryStore:
    """A store in memory, for work that is checked before it is written.

    Attributes:
        files: Every file by name.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        """Bytes of a file, or None where it does not exist."""
        return self.files.get(name)

    def write(self, name: str, content: bytes) -> None:
        """Replace a file."""
        self.files[name] = content

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of all files below a folder, sorted."""
        below = f"{folder}/" if folder else ""
        return tuple(sorted(name for name in self.files if name.startswith(below)))

    def remove(self, name: str) -> None:
        """Remove a file; a file that does not exist is no fault."""
        self.files.pop(name, None)

    def swap(self, name: str, before: bytes | None, after: bytes) -> None:
        """Replace a file only if it still holds `before`."""
        if self.files.get(name) != before:
            raise TryLater(f"{name}: another one has written it meanwhile")
        self.files[name] = after

    def append(self, name: str, before: bytes | None, line: bytes) -> bool:
        """Add a line to a file only if it still holds `before`."""
        if self.files.get(name) != before:
            return False
        self.files[name] = (before or b"") + line
        return True

    def lock(self, name: str = "lock") -> AbstractContextManager[None]:
        """There is no other writer."""
        del name
        return nullcontext()
