"""Training runs: in a folder, or in a bucket with a folder here for the runs in use.

A run is a folder of files. It exists once its `manifest.json`, which is written last, is there.
Files in folders below it are never rewritten, as the name of a run is a digest of their inputs.
Files beside the manifest may be (decisions of the gate, the report).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final, Protocol

from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import BadData, InputMissing, TryLater
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest
    from trainer.workspace.store import Store

MANIFEST: Final = "manifest.json"
REPORT: Final = "report.html"
WITH_FARMS: Final = "-with-farms-"
"""In the name of a run that is another one with corrections for single farms."""


def content_of(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Manifest of a run and its files by path, without a check of one against the other.

    Raises:
        InputMissing: The folder is not a candidate run.
        BadData: The manifest is damaged.
    """
    try:
        manifest = contract.decode((folder / MANIFEST).read_bytes())
        files = {
            ref.path: (folder / "files" / ref.path).read_bytes() for ref in manifest.all_files()
        }
    except FileNotFoundError as fault:
        raise no_candidate(folder, fault) from fault
    except BadData as fault:
        raise BadData(f"{folder.name}: {fault}") from fault
    return manifest, files


def no_candidate(folder: Path, fault: FileNotFoundError) -> InputMissing:
    """The error for a run's folder that lacks a file."""
    return InputMissing(
        f"{fault.filename}: missing, so {folder.name} is no candidate; "
        "`trainer runs` lists those that are here"
    )


def plain_name(run: str) -> str:
    """Name of the same run without corrections for single farms."""
    return run.partition(WITH_FARMS)[0]


class RunStore(Protocol):
    """All runs of a trainer. Every method raises `StorageError`."""

    def listing(self) -> dict[str, tuple[str, ...]]:
        """Whole runs, oldest first, with the names of their files, sorted."""
        ...

    def read(self, run: str, name: str) -> bytes | None:
        """One file of a run without the others, or None where it does not exist."""
        ...

    def place(self, run: str, name: str) -> str:
        """Address of a file, for people."""
        ...

    def folder(self, run: str) -> Path:
        """Folder of a run on this machine, with every file of it from anywhere.

        Call it before work on a run, and again after the run was made.
        """
        ...

    def add(self, run: str, name: str, content: bytes) -> None:
        """Write a file beside the manifest of a run."""
        ...


class FolderRuns:
    """Runs in a folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._store = FolderStore(root)

    def listing(self) -> dict[str, tuple[str, ...]]:
        """See `RunStore`."""
        return _listing(self._store)

    def read(self, run: str, name: str) -> bytes | None:
        """See `RunStore`."""
        return self._store.read(f"{run}/{name}")

    def place(self, run: str, name: str) -> str:
        """See `RunStore`."""
        return str(self._root / run / name)

    def folder(self, run: str) -> Path:
        """See `RunStore`."""
        return self._root / run

    def add(self, run: str, name: str, content: bytes) -> None:
        """See `RunStore`."""
        self._store.write(f"{run}/{name}", content)


class BucketRuns:
    """Runs in a bucket, with copies in a folder here.

    Args:
        store: The bucket.
        address: Its address, for people.
        cache: The folder; whatever is in it may be removed.
    """

    def __init__(self, store: Store, address: str, cache: Path) -> None:
        self._store = store
        self._address = address
        self._cache = cache
        self._here = FolderStore(cache)

    def listing(self) -> dict[str, tuple[str, ...]]:
        """See `RunStore`."""
        return _listing(self._store)

    def read(self, run: str, name: str) -> bytes | None:
        """See `RunStore`."""
        return self._store.read(f"{run}/{name}")

    def place(self, run: str, name: str) -> str:
        """See `RunStore`."""
        return f"{self._address}/{run}/{name}"

    def folder(self, run: str) -> Path:
        """See `RunStore`. Where two machines made the same run, the first manifest counts."""
        name = f"{run}/{MANIFEST}"
        own, known = self._here.read(name), self._store.read(name)
        if known is None and own is not None:
            known = self._push(run, own)
        if known is not None:
            if own not in {None, known}:
                shutil.rmtree(self._cache / run)
            self._pull(run, known)
        return self._cache / run

    def add(self, run: str, name: str, content: bytes) -> None:
        """See `RunStore`."""
        self._store.write(f"{run}/{name}", content)
        self._here.write(f"{run}/{name}", content)

    def _push(self, run: str, manifest: bytes) -> bytes | None:
        """Put a run that was made here into the bucket; the manifest that is there then."""
        last = f"{run}/{MANIFEST}"
        for name in self._here.names(run):
            # The name of a file that a kill left half written begins with a dot.
            if name != last and "/." not in name:
                self._store.write(name, self._here.read(name) or b"")
        try:
            self._store.swap(last, None, manifest)
        except TryLater:
            return self._store.read(last)
        return manifest

    def _pull(self, run: str, manifest: bytes) -> None:
        last = f"{run}/{MANIFEST}"
        for name in self._store.names(run):
            fixed = name.count("/") > last.count("/")
            if name == last or (fixed and (self._cache / name).exists()):
                continue
            content = self._store.read(name)
            if content is not None:
                self._here.write(name, content)
        self._here.write(last, manifest)


def _listing(store: Store) -> dict[str, tuple[str, ...]]:
    by_run: dict[str, list[str]] = {}
    for path in store.names(""):
        run, _, name = path.partition("/")
        # The name of a file that is being written begins with a dot.
        if name and not run.startswith("."):
            by_run.setdefault(run, []).append(name)
    return {run: tuple(names) for run, names in sorted(by_run.items()) if MANIFEST in names}
