"""What an attacker can do to a depot: sign with any keys, edit anything, lie about versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuf.api.metadata import Metadata, MetaFile, TargetFile

from trainer.depot import metadata, roles
from trainer.depot.keyring import KeyRing
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import Signer

    from tests.fakes.depot import Yard

Edit = "Callable[[Any], None]"


class Forger:
    """Edits the depot of a yard from the inside.

    Args:
        yard: The victim; its keys sign unless a call says otherwise.
    """

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.store = FolderStore(yard.depot)

    def path(self, role: str, version: int | None = None) -> Path:
        """File of a role's current, or given, version."""
        found = self.version(role) if version is None else version
        return self.yard.depot / metadata.file_name(role, found)

    def version(self, role: str) -> int:
        """Current version of a role."""
        current = metadata.Current(self.store)
        if role == roles.ROOT:
            return int(current.root.version)
        if role == roles.TIMESTAMP:
            return int(current.timestamp.version)
        if role == roles.SNAPSHOT:
            return int(current.snapshot.version)
        return int(current.snapshot.meta[f"{role}.json"].version)

    def signers(self, role: str, folder: Path | None = None) -> list[Signer]:
        """All keys of a role on a machine."""
        ring = KeyRing(folder or self.yard.keys)
        return [ring.load(path) for path in ring.files(role)]

    def resign(
        self,
        role: str,
        edit: Callable[[Any], None],
        *,
        signers: Sequence[Signer] | None = None,
        bump: int = 1,
    ) -> None:
        """Edit a role's metadata, raise its version, sign it, and write it where it belongs."""
        document: Metadata[Any] = Metadata.from_bytes(self.path(role).read_bytes())
        document.signed.version += bump
        edit(document.signed)
        document.signatures.clear()
        for signer in self.signers(role) if signers is None else signers:
            document.sign(signer, append=True)
        self.put(role, document)

    def put(self, role: str, document: Metadata[Any]) -> bytes:
        """Write metadata under its own version."""
        content = document.to_bytes()
        self.store.write(metadata.file_name(role, document.signed.version), content)
        return content

    def seal(
        self, *changed: str, lie: Callable[[Any], None] | None = None, **versions: int
    ) -> None:
        """With the stolen snapshot and timestamp keys: make roles current at given versions.

        Args:
            *changed: Roles whose newest file becomes current, hashes right.
            lie: Edits the snapshot before it is signed.
            **versions: Role -> version to make current, hashes of that version's file.
        """

        def edit(snapshot: Any) -> None:  # noqa: ANN401 - tuf's metadata
            for role in changed:
                self._line(snapshot, role, snapshot.meta[f"{role}.json"].version + 1)
            for role, version in versions.items():
                self._line(snapshot, role, version)
            if lie is not None:
                lie(snapshot)

        self.resign(roles.SNAPSHOT, edit)
        self.stamp(self.version(roles.SNAPSHOT) + 1)

    def stamp(self, snapshot: int, **changes: object) -> None:
        """With the stolen timestamp key: make a snapshot version current."""
        content = self.path(roles.SNAPSHOT, snapshot).read_bytes()

        def edit(timestamp: Any) -> None:  # noqa: ANN401 - tuf's metadata
            timestamp.snapshot_meta = MetaFile.from_data(snapshot, content, ["sha256"])
            for name, value in changes.items():
                setattr(timestamp, name, value)

        self.resign(roles.TIMESTAMP, edit)

    def list_target(self, role: str, path: str, content: bytes, **how: Any) -> None:  # noqa: ANN401 - handed on
        """Sign a target into a role, put the file down, and make it current."""
        line = TargetFile.from_data(path, content)
        folder, _, name = path.rpartition("/")
        self.store.write(f"targets/{folder}/{line.hashes['sha256']}.{name}", content)
        self.resign(role, lambda signed: signed.targets.update({path: line}), **how)
        self.seal(role)

    def expire(self, role: str, moment: datetime) -> None:
        """Let the current metadata of a role have ended, signed as ever."""

        def edit(signed: Any) -> None:  # noqa: ANN401 - tuf's metadata
            signed.expires = moment.replace(microsecond=0)

        self.resign(role, edit)
        if role in {roles.TARGETS, *roles.PATHS}:
            self.seal(role)
        elif role == roles.SNAPSHOT:
            self.stamp(self.version(role) + 1)

    def _line(self, snapshot: Any, role: str, version: int) -> None:  # noqa: ANN401 - tuf's metadata
        content = self.path(role, version).read_bytes()
        snapshot.meta[f"{role}.json"] = MetaFile.from_data(version, content, ["sha256"])
