"""releases.jsonl: what was live when, by whom, why. Lines are only ever added."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from edge_agent.errors import BadData, InputMissing, StorageError
from edge_agent.files import make_folder, sync_folder

if TYPE_CHECKING:
    from pathlib import Path


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
    """The log file of a workspace.

    Args:
        path: `releases.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> tuple[Entry, ...]:
        """Every publication, oldest first; a last line cut short by a crash does not count.

        Raises:
            BadData: A whole line is not an entry.
        """
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return ()
        found = []
        for number, line in enumerate(lines[:-1], start=1):
            try:
                found.append(msgspec.json.decode(line, type=Entry))
            except msgspec.DecodeError as fault:
                raise BadData(f"{self._path}, line {number}: {fault}: mend it by hand") from fault
        return tuple(found)

    def find(self, release: int) -> Entry:
        """The publication of a number.

        Raises:
            InputMissing: There was none.
        """
        for entry in self.entries():
            if entry.release == release:
                return entry
        raise InputMissing(f"{self._path}: no release {release}; `trainer runs` lists them")

    def add(self, entry: Entry) -> None:
        """Append one publication and flush it; a torn last line is cut off first.

        Raises:
            StorageError: The disk failed.
        """
        try:
            make_folder(self._path.parent)
            with self._path.open("a+b") as handle:
                handle.seek(0)
                handle.truncate(handle.read().rfind(b"\n") + 1)
                handle.write(msgspec.json.encode(entry) + b"\n")
                handle.flush()
                os.fsync(handle.fileno())
            sync_folder(self._path.parent)
        except OSError as fault:
            raise StorageError(f"{self._path}: {fault.strerror}: check the disk") from fault
