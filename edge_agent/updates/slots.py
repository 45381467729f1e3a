"""Installed releases on the disk, and the one file that says which of them is live.

    releases/<n>/manifest.json      the signed document, byte for byte
    releases/<n>/files/<path>       what it names; of the corrections' shards only this device's
    releases/staging/               work in progress, which may be deleted at any time
    slots.json                      live, previous, and the highest release ever live

S1 A release is whole on the disk, flushed, before its folder gets its final name.
S2 `slots.json` changes last, by one rename: a cut leaves the old release or the new one.
S3 Nothing that `slots.json` names is ever written to or removed.
S4 Hashes are checked at each load, the shard's too. A live release that is damaged or lacks a
   file is replaced by the previous one.
S5 `highest` never falls: after a rollback no old release can be installed.
S6 A release that replaced another is on trial until `auto_rollback` has accepted its first cycles.
   One that was rolled back from is recorded, with the reason, until another replaces it.
S7 A shard belongs to the device's name at the install. Under another name the device has no
   corrections until the next install, rather than another farm's.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import BadData, FarmError, InputMissing, StorageError
from edge_agent.system import fault_words
from edge_agent.system.files import make_folder, sync_folder, write_atomic
from edge_agent.updates import installed_release
from edge_agent.updates.installed_release import InstalledRelease

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


_log = logging.getLogger(__name__)
_MANIFEST: Final = "manifest.json"
_STAGING: Final = "staging"


class ReleaseRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Release number and SHA-256 (hex) of its manifest."""

    release: int
    sha256: str


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First cycles of a release: `begun` in a row without an end, `good` that gave a forecast."""

    begun: int = 0
    good: int = 0


class RolledBackRelease(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release that this device rolled back from, and why."""

    release: int
    sha256: str
    why: str


class Pointer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of `slots.json`; `trial` is None for a release that is trusted."""

    current: ReleaseRef | None = None
    previous: ReleaseRef | None = None
    highest: int = 0
    trial: Trial | None = None
    left: RolledBackRelease | None = None


class Slots:
    """The releases of one device.

    Args:
        state: The agent's state folder.
    """

    def __init__(self, state: Path) -> None:
        self._releases = state / "releases"
        self._pointer = state / "slots.json"

    def pointer(self) -> Pointer:
        """Content of `slots.json`; rebuilt from the folders where the file is lost."""
        try:
            return msgspec.json.decode(self._pointer.read_bytes(), type=Pointer)
        except FileNotFoundError:
            return self._rebuilt()
        except (msgspec.DecodeError, msgspec.ValidationError, OSError) as fault:
            _log.warning(
                "%s: unreadable (%s): rebuilding it from the releases",
                self._pointer,
                fault_words.of_file(fault),
            )
            return self._rebuilt()

    def load(self) -> InstalledRelease | None:
        """The live release, or the previous one where it is damaged; None before any install."""
        pointer = self.pointer()
        return self._first_usable(pointer.current, pointer.previous)

    def previous(self) -> InstalledRelease | None:
        """The release before the live one, or None where there is none that can be used."""
        return self._first_usable(self.pointer().previous)

    def stage(self, content: bytes, files: Mapping[str, bytes]) -> InstalledRelease:
        """Write a release to the staging folder.

        Args:
            content: The manifest's bytes.
            files: By target path, hashes checked: those of `contract.site_correction.files_of`.

        Raises:
            StorageError: The disk is full or failed; the live release is as it was.
        """
        with self._storage_errors("install"):
            staging = self._releases / _STAGING
            self._clear(staging)
            # The manifest comes last: a folder without one is incomplete.
            for path, data in files.items():
                write_atomic(staging / "files" / path, data)
            write_atomic(staging / _MANIFEST, content)
        return InstalledRelease(contract.decode(content), staging, sha256(content).hexdigest())

    def switch(self, staged: InstalledRelease) -> InstalledRelease:
        """Make a staged release live, keep the one before it, drop older ones.

        Raises:
            StorageError: The disk failed; the release that was live still is.
        """
        number = staged.manifest.release
        folder = self._releases / str(number)
        # Read before the new folder has its name: without `slots.json` it would count as live.
        pointer = self.pointer()
        before = (slot for slot in (pointer.current, pointer.previous) if slot)
        live = self._first_usable(*(slot for slot in before if slot.release != number))
        with self._storage_errors("install"):
            # A folder of this name that nothing points to remains from a power cut.
            self._clear(folder)
            staged.folder.rename(folder)
            sync_folder(self._releases)
            self._write(
                Pointer(
                    current=ReleaseRef(number, staged.sha256),
                    previous=None
                    if live is None
                    else ReleaseRef(live.manifest.release, live.sha256),
                    highest=max(pointer.highest, number),
                    trial=None if live is None else Trial(),
                )
            )
            self._prune()
        return InstalledRelease(staged.manifest, folder, staged.sha256)

    def discard(self, staged: InstalledRelease) -> None:
        """Delete a staged release."""
        with self._storage_errors("clean-up"):
            self._clear(staged.folder)

    def note(self, trial: Trial | None) -> None:
        """Store the state of the live release's trial; None = it is trusted.

        Raises:
            StorageError: The disk failed.
        """
        with self._storage_errors("writing the trial down"):
            self._write(msgspec.structs.replace(self.pointer(), trial=trial))

    def go_back(self, why: str) -> InstalledRelease:
        """Make the previous release live again; the other is not installed a second time.

        Args:
            why: For people; kept until another release is installed.

        Raises:
            InputMissing: There is none, or it is damaged.
            StorageError: The disk failed.
        """
        pointer = self.pointer()
        if pointer.previous is None or pointer.current is None:
            raise InputMissing("no previous release on this device")
        with self._storage_errors("going back"):
            try:
                release = self._verified(pointer.previous)
            except (BadData, OSError) as fault:
                raise InputMissing(
                    f"the previous release cannot be used: {fault_words.of_file(fault)}"
                ) from fault
            self._write(
                Pointer(
                    current=pointer.previous,
                    highest=pointer.highest,
                    left=RolledBackRelease(pointer.current.release, pointer.current.sha256, why),
                )
            )
        return release

    def _first_usable(self, *slots: ReleaseRef | None) -> InstalledRelease | None:
        for slot in slots:
            if slot is None:
                continue
            try:
                return self._verified(slot)
            except (FarmError, OSError) as fault:
                _log.error("release %d cannot be used: %s", slot.release, fault)
        return None

    def _verified(self, slot: ReleaseRef) -> InstalledRelease:
        folder = self._releases / str(slot.release)
        content = (folder / _MANIFEST).read_bytes()
        if sha256(content).hexdigest() != slot.sha256:
            raise BadData(f"{folder / _MANIFEST}: damaged since it was installed")
        release = InstalledRelease(contract.decode(content), folder, slot.sha256)
        files = release.files()
        for file in files:
            if not installed_release.matches(file, release.read(file)):
                raise BadData(f"{release.path(file)}: damaged since it was installed")
        if release.manifest.tuned and len(files) == len(release.manifest.files()):
            raise BadData(f"{folder}: the file of tunings that was installed is lost")
        return release

    def _rebuilt(self) -> Pointer:
        usable: list[ReleaseRef] = []
        for folder in self._releases.glob("[0-9]*"):
            with contextlib.suppress(FarmError, OSError, ValueError):
                digest = sha256((folder / _MANIFEST).read_bytes()).hexdigest()
                slot = ReleaseRef(int(folder.name), digest)
                self._verified(slot)
                usable.append(slot)
        usable.sort(key=lambda slot: -slot.release)
        if not usable:
            return Pointer()
        return Pointer(usable[0], usable[1] if len(usable) > 1 else None, usable[0].release)

    def _write(self, pointer: Pointer) -> None:
        write_atomic(self._pointer, msgspec.json.encode(pointer))

    def _prune(self) -> None:
        pointer = self.pointer()
        in_use = {str(slot.release) for slot in (pointer.current, pointer.previous) if slot}
        for folder in self._releases.iterdir():
            if folder.name not in in_use:
                self._clear(folder)

    def _clear(self, folder: Path) -> None:
        if folder.exists():
            shutil.rmtree(folder)
        make_folder(self._releases)

    @contextlib.contextmanager
    def _storage_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            raise StorageError(
                f"{self._releases}: {what} failed: {fault.strerror}: free space or check the disk; "
                "the running release is as it was"
            ) from fault
