"""One release on the device's disk: its manifest, and the files that the manifest names."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from edge_agent.contract import features, site_correction
from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import BadData, InputMissing

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.manifest import FileRef, Manifest
    from edge_agent.contract.site_correction import Tuning


@dataclass(frozen=True, slots=True)
class InstalledRelease:
    """A release on this disk, its hashes checked when it was loaded.

    Attributes:
        manifest: The signed description.
        folder: Where its files lie.
        sha256: Of the manifest's bytes, hex.
    """

    manifest: Manifest
    folder: Path
    sha256: str

    def path(self, file: FileRef) -> Path:
        """Where a file of the release lies."""
        return self.folder / "files" / file.path

    def read(self, file: FileRef) -> bytes:
        """Content of a file of the release."""
        return self.path(file).read_bytes()

    def files(self) -> tuple[FileRef, ...]:
        """Files on the disk: what every device needs, and the shard that was installed with it."""
        shards = dict.fromkeys(self.manifest.tuned)
        return (*self.manifest.files(), *(ref for ref in shards if self.path(ref).exists()))

    def tuning(self, device: str) -> Tuning | None:
        """A device's own corrections; None where the release has none for it (S7 of `slots`).

        Args:
            device: "site/id".

        Raises:
            BadData: See `contract.site_correction.decode`; an install refuses such a file.
        """
        shard = site_correction.shard_of(self.manifest, device)
        if shard is None or not self.path(shard).exists():
            return None
        return site_correction.decode(self.read(shard), self.manifest).tunings.get(device)


def open_folder(folder: Path) -> InstalledRelease:
    """A release in a folder, such as a training run's; its hashes are checked, no signature is.

    Args:
        folder: Has `manifest.json` and `files/<path>`.

    Raises:
        InputMissing: It has no manifest, or lacks a file that the manifest names.
        BadData: It is damaged, or was made for other features than this program computes.
    """
    try:
        content = (folder / "manifest.json").read_bytes()
        release = InstalledRelease(contract.decode(content), folder, sha256(content).hexdigest())
        damaged = [file for file in release.files() if not matches(file, release.read(file))]
    except OSError as fault:
        raise InputMissing(f"{fault.filename}: {fault.strerror}: name a release folder") from fault
    except BadData as fault:
        raise BadData(f"{folder}: {fault}") from fault
    if damaged:
        raise BadData(f"{release.path(damaged[0])}: is not the file of its manifest")
    if release.manifest.features.digest != features.digest():
        raise BadData(f"{folder}: has other features than this program, and cannot be run by it")
    return release


def matches(file: FileRef, content: bytes) -> bool:
    """Whether content is the file that a manifest names."""
    return len(content) == file.length and sha256(content).hexdigest() == file.sha256
