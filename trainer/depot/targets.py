"""Target files of a depot, and the releases in them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from tuf.api.metadata import TargetFile

from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import BadData, InputMissing
from trainer.depot import roles

if TYPE_CHECKING:
    from tuf.api.metadata import Targets

    from edge_agent.contract.manifest import Manifest
    from trainer.workspace.store import Store


@dataclass(frozen=True, slots=True)
class Published:
    """A release as it lies in the depot. `sha256` (hex) is that of the manifest's bytes."""

    manifest: Manifest
    sha256: str


class TargetFiles:
    """Files below `targets/`, each under a name that holds its SHA-256.

    Args:
        store: The depot.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, path: str, content: bytes) -> TargetFile:
        """Write a file; returns its line for the role that lists it."""
        self._store.write(stored_name(path, sha256(content).hexdigest()), content)
        return TargetFile.from_data(path, content)

    def get(self, path: str, digest: str) -> bytes:
        """A file by its target path and SHA-256 (hex).

        Raises:
            InputMissing: It is gone.
            BadData: It is damaged.
        """
        name = stored_name(path, digest)
        content = self._store.read(name)
        if content is None:
            raise InputMissing(f"depot: {name} is missing: restore the depot from a copy")
        if sha256(content).hexdigest() != digest:
            raise BadData(f"depot: {name} is damaged: restore it from a copy")
        return content

    def manifest(self, channel: str, digest: str) -> Manifest:
        """A channel's manifest by the SHA-256 (hex) of its bytes.

        Raises:
            InputMissing, BadData: See `get`.
        """
        return contract.decode(self.get(manifest_path(channel), digest))

    def live(self, models: Targets) -> dict[str, Published]:
        """Release of each channel that the models role lists.

        Raises:
            InputMissing, BadData: See `get`.
        """
        releases = {}
        for channel in roles.CHANNELS:
            line = models.targets.get(manifest_path(channel))
            if line is not None:
                digest = line.hashes["sha256"]
                releases[channel] = Published(self.manifest(channel, digest), digest)
        return releases


def manifest_path(channel: str) -> str:
    """Target path of a channel's manifest."""
    return f"channels/{channel}/manifest.json"


def stored_name(path: str, digest: str) -> str:
    """Name in the store of a target: TUF's consistent snapshots put the hash before the name."""
    folder, _, name = path.rpartition("/")
    return f"targets/{folder}/{digest}.{name}"
