"""releases.jsonl: which release was live when, by whom and why. Lines are only added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import InputMissing
from trainer.workspace.jsonl import JsonLines

if TYPE_CHECKING:
    from trainer.workspace.store import Store

NAME: Final = "releases.jsonl"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One publication.

    Attributes:
        release: Its number.
        channel: Where it was published.
        run: Candidate run it came from.
        at: UTC, ISO 8601 with Z.
        by: Who published it.
        why: Reason given.
        manifest: SHA-256 (hex) of the manifest's bytes.
    """

    release: int
    channel: str
    run: str
    at: str
    by: str
    why: str
    manifest: str


class ReleaseLog:
    """The publications of a workspace.

    Args:
        records: Its records.
    """

    def __init__(self, records: Store) -> None:
        self._log = JsonLines(records, NAME, Entry)

    def entries(self) -> tuple[Entry, ...]:
        """Every publication, oldest first.

        Raises:
            BadData, StorageError: See `JsonLines.entries`.
        """
        return self._log.entries()

    def find(self, release: int) -> Entry:
        """The publication of a number.

        Raises:
            InputMissing: There was none.
        """
        for entry in self.entries():
            if entry.release == release:
                return entry
        raise InputMissing(f"{NAME}: no release {release}: its lines tell which there were")

    def add(self, entry: Entry) -> None:
        """Add a publication, unless somebody has logged its number already.

        Raises:
            BadData, StorageError, TryLater: See `JsonLines.add`.
        """
        self._log.add(entry, lambda one: one.release == entry.release)
