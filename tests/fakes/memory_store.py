"""A store without a disk."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from edge_agent.errors import TryLater

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class MemoryStore:
    """`trainer.depot_store.Store` in a dictionary, `files`."""

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
        return tuple(sorted(name for name in self.files if name.startswith(f"{folder}/")))

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is no fault."""
        self.files.pop(name, None)

    def swap(self, name: str, before: bytes | None, after: bytes) -> None:
        """Replace a file only if it still holds `before`."""
        if self.files.get(name) != before:
            raise TryLater(f"{name}: another process has written it meanwhile")
        self.files[name] = after

    def lock(self, name: str = "lock") -> AbstractContextManager[None]:
        """There is no other writer."""
        del name
        return nullcontext()
