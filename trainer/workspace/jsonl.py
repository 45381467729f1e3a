"""A log with one JSON document a line. Lines are only added; none is lost or repeated.

In a folder a line is appended and flushed; a last line that a crash cut short does not count. In a
bucket the object is replaced if nobody wrote meanwhile, else it is read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData, TryLater

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.workspace.store import Store

T = TypeVar("T", bound=msgspec.Struct)

_TRIES: Final = 100
"""A failed try means that another writer has added a line."""


class JsonLines(Generic[T]):
    """One log.

    Args:
        store: Where it lies.
        name: Its name there.
        kind: What a line is.
    """

    def __init__(self, store: Store, name: str, kind: type[T]) -> None:
        self._store = store
        self._kind = kind
        self.name = name

    def entries(self) -> tuple[T, ...]:
        """Every line, oldest first.

        Raises:
            BadData: A whole line is not of its kind.
            StorageError: The store cannot be read.
        """
        return self._decoded(self._store.read(self.name))

    def add(self, entry: T, same: Callable[[T], bool]) -> tuple[T, ...]:
        """Add a line, unless the log has the `same` one; every line after that.

        Raises:
            BadData: A whole line is not of its kind.
            StorageError: The store cannot be read or written.
            TryLater: Others wrote to it without a break.
        """
        for _ in range(_TRIES):
            content = self._store.read(self.name)
            entries = self._decoded(content)
            if any(map(same, entries)):
                return entries
            if self._store.append(self.name, content, msgspec.json.encode(entry) + b"\n"):
                return (*entries, entry)
        raise TryLater(f"{self.name}: others write to it all the time: run the same command again")

    def _decoded(self, content: bytes | None) -> tuple[T, ...]:
        entries = []
        for number, line in enumerate((content or b"").split(b"\n")[:-1], start=1):
            try:
                entries.append(msgspec.json.decode(line, type=self._kind))
            except msgspec.DecodeError as fault:
                raise BadData(
                    f"{self.name}, line {number}: {in_words(fault)}: mend it by hand"
                ) from fault
        return tuple(entries)
