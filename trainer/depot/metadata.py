"""TUF metadata of a depot as files: read what is current, sign what comes next.

`timestamp.json` is the only file that is replaced. Every other name carries a version and is
written once, before anything refers to it. The current state is found from the timestamp: files
that a killed writer left are not referred to, and their numbers are skipped. The timestamp is
replaced only if it is still the one that the work began with, so of two writers only one succeeds,
even if a lock was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from edge_agent.contract.errors import BadData, InputMissing, Refused
from trainer.depot import roles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from securesystemslib.signer import Signer

    from trainer.depot.keyring import KeyRing
    from trainer.workspace.store import Store

S = TypeVar("S", Root, Snapshot, Targets, Timestamp)
_HASHES: Final = ["sha256"]


def file_name(role: str, version: int) -> str:
    """Name in the store of one version of a role's metadata."""
    if role == roles.TIMESTAMP:
        return "metadata/timestamp.json"
    return f"metadata/{version}.{role}.json"


def expiry(role: str, now: datetime) -> datetime:
    """When metadata of a role signed now ends, whole seconds UTC."""
    return (now + roles.LIFETIME[role]).replace(microsecond=0)


def read(store: Store, role: str, version: int, kind: type[S]) -> S:
    """One version of a role's metadata.

    Raises:
        InputMissing: No such file.
        BadData: Not TUF metadata of that kind.
    """
    name = file_name(role, version)
    return parse(existing(store, name), name, kind)


def existing(store: Store, name: str) -> bytes:
    """Bytes of a file that must be there.

    Raises:
        InputMissing: It is not.
    """
    content = store.read(name)
    if content is None:
        raise InputMissing(f"depot: {name} is missing: restore the depot from a copy")
    return content


def parse(content: bytes, name: str, kind: type[S]) -> S:
    """Metadata from its bytes, signatures not looked at.

    Raises:
        BadData: Not TUF metadata of that kind.
    """
    try:
        signed = Metadata.from_bytes(content).signed
    except RepositoryError as fault:
        raise BadData(f"depot: {name} is damaged ({fault}): restore it from a copy") from fault
    if not isinstance(signed, kind):
        raise BadData(f"depot: {name} holds {signed.type} metadata, not {kind.type}")
    return signed


def newest_root(store: Store) -> Root:
    """Root metadata of the highest version without a gap.

    Raises:
        InputMissing: The depot has none.
    """
    version = first_version(store)
    while store.read(file_name(roles.ROOT, version + 1)) is not None:
        version += 1
    return read(store, roles.ROOT, version, Root)


def first_version(store: Store) -> int:
    """Version of the first root: the number that versions and releases of this depot begin with.

    Raises:
        InputMissing: The depot has no root.
    """
    names = (name.rpartition("/")[2].split(".") for name in store.names("metadata"))
    versions = [
        int(parts[0]) for parts in names if parts[1:] == [roles.ROOT, "json"] and parts[0].isdigit()
    ]
    if not versions:
        raise InputMissing(
            "depot: no root metadata: make the workspace with `trainer init DIR` first"
        )
    return min(versions)


class Current:
    """What a reader of the depot sees now.

    Args:
        store: The depot.

    Attributes:
        root: Newest root.
        stamp: The replaced file, as bytes.
        timestamp: The same, read.
        snapshot: What the timestamp names.
        targets: Top-level targets that the snapshot names; holds the delegations.

    Raises:
        InputMissing: Something that is referred to is not there.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        # First of all: who commits later has seen nothing that is newer than this.
        name = file_name(roles.TIMESTAMP, 0)
        self.stamp = existing(store, name)
        self.timestamp = parse(self.stamp, name, Timestamp)
        self.root = newest_root(store)
        version = self.timestamp.snapshot_meta.version
        self.snapshot = read(store, roles.SNAPSHOT, version, Snapshot)
        self.targets = self.delegate(roles.TARGETS)

    def delegate(self, role: str) -> Targets:
        """Current metadata of a targets role."""
        return read(self._store, role, self.snapshot.meta[f"{role}.json"].version, Targets)


def trusted(role: str, root: Root, targets: Targets | None) -> tuple[list[str], int]:
    """Key ids and threshold of a role, from the metadata that delegates to it."""
    if role in roles.TOP_LEVEL:
        role_keys: Any = root.roles[role]
    else:
        assert targets is not None
        role_keys = targets.get_delegated_role(role)
    return list(role_keys.keyids), int(role_keys.threshold)


def sign(signed: S, signers: Sequence[Signer]) -> bytes:
    """Signed metadata as bytes; equal input gives equal bytes (ed25519 has no randomness)."""
    document = Metadata(signed)
    for signer in sorted(signers, key=lambda each: each.public_key.keyid):
        document.sign(signer, append=True)
    return document.to_bytes()


def put(store: Store, role: str, signed: S, signers: Sequence[Signer]) -> MetaFile:
    """Sign and write a role's first version; returns its line for the role that lists it."""
    content = sign(signed, signers)
    store.write(file_name(role, signed.version), content)
    return MetaFile.from_data(signed.version, content, _HASHES)


def put_next(store: Store, role: str, signed: S, signers: Sequence[Signer]) -> MetaFile:
    """Sign and write what follows `signed.version`, under the first number that nobody wrote.

    Raises:
        TryLater: Another writer was first.
    """
    signed.version += 1
    while store.read(file_name(role, signed.version)) is not None:
        signed.version += 1
    content = sign(signed, signers)
    store.swap(file_name(role, signed.version), None, content)
    return MetaFile.from_data(signed.version, content, _HASHES)


def with_new(
    keys: KeyRing, role: str, known: tuple[list[str], int], new: Sequence[Signer]
) -> list[Signer]:
    """Signers of a role, and those that the next root will trust.

    Raises:
        Refused: The trusted ones are not here, and there is no new one to take their place.
    """
    try:
        return [*keys.signers(role, *known), *new]
    except Refused:
        if not new:
            raise
        return list(new)


def valid(store: Store, role: str, version: int, root: Root) -> bool:
    """Whether a top-level role's current file carries the signatures that the root asks for."""
    content = store.read(file_name(role, version))
    if content is None:
        return False
    try:
        document = Metadata.from_bytes(content)
        root.verify_delegate(role, document.signed_bytes, document.signatures)
    except RepositoryError:
        return False
    return True


def seal_first(
    store: Store, keys: KeyRing, root: Root, now: datetime, changed: Mapping[str, MetaFile]
) -> None:
    """Write a depot's first snapshot and timestamp.

    Args:
        store: The depot.
        keys: Must hold the snapshot and timestamp keys.
        root: Names those keys.
        now: Signing time, UTC.
        changed: Lines of the targets roles that were just written.

    Raises:
        Refused: A key is not here.
    """
    signers = _sealing_signers(keys, root, {})
    first = root.version
    snapshot = Snapshot(version=first, expires=expiry(roles.SNAPSHOT, now), meta=_lines(changed))
    line = put(store, roles.SNAPSHOT, snapshot, signers[roles.SNAPSHOT])
    timestamp = Timestamp(version=first, expires=expiry(roles.TIMESTAMP, now), snapshot_meta=line)
    put(store, roles.TIMESTAMP, timestamp, signers[roles.TIMESTAMP])


def seal(
    store: Store,
    keys: KeyRing,
    now: datetime,
    *,
    changed: Mapping[str, MetaFile],
    before: Current,
    also: Mapping[str, Sequence[Signer]] | None = None,
) -> None:
    """Write the next snapshot, then the timestamp: from that moment readers see the new state.

    Args:
        store: The depot.
        keys: Must hold the snapshot and timestamp keys.
        now: Signing time, UTC.
        changed: Lines of the targets roles that were just written.
        before: What was current; its root names the keys.
        also: Further signers by role, for keys that the next root will trust.

    Raises:
        Refused: A key is not here.
        TryLater: Another writer was first; readers see nothing of this one's work.
    """
    signers = _sealing_signers(keys, before.root, also or {})
    snapshot = Snapshot(
        version=before.snapshot.version,
        expires=expiry(roles.SNAPSHOT, now),
        meta=before.snapshot.meta | _lines(changed),
    )
    timestamp = Timestamp(
        version=before.timestamp.version + 1,
        expires=expiry(roles.TIMESTAMP, now),
        snapshot_meta=put_next(store, roles.SNAPSHOT, snapshot, signers[roles.SNAPSHOT]),
    )
    stamp = sign(timestamp, signers[roles.TIMESTAMP])
    store.swap(file_name(roles.TIMESTAMP, 0), before.stamp, stamp)


def _sealing_signers(
    keys: KeyRing, root: Root, also: Mapping[str, Sequence[Signer]]
) -> dict[str, list[Signer]]:
    """Signers of both roles, looked for before the first of the two files is written."""
    return {
        role: with_new(keys, role, trusted(role, root, None), also.get(role, ()))
        for role in (roles.SNAPSHOT, roles.TIMESTAMP)
    }


def _lines(changed: Mapping[str, MetaFile]) -> dict[str, MetaFile]:
    return {f"{role}.json": line for role, line in changed.items()}
