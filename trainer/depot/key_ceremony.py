"""The key ceremony: a depot's first root, and the keys behind every role.

The first root is what a device is given by hand; everything later is checked against it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Protocol

from tuf.api.metadata import DelegatedRole, Delegations, Key, Root, Targets

from edge_agent.contract.errors import CannotCreate, InputMissing
from edge_agent.system.clock import SystemClock
from edge_agent.system.files import write_atomic
from trainer.depot import metadata, roles
from trainer.depot.keyring import KeyRing, no_passphrase

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import CryptoSigner

    from edge_agent.system.ports import Clock
    from trainer.workspace.store import Store

ROOT_KEYS: Final = 3
ROOT_THRESHOLD: Final = 2


class KeyPlaces(Protocol):
    """The part of a workspace that the ceremony needs."""

    @property
    def root(self) -> Path:
        """The workspace's folder; `root.json` for the devices is left here."""
        ...

    @property
    def keys(self) -> Path:
        """Folder of the key files."""
        ...

    @property
    def depot_store(self) -> Store:
        """Files that the web server serves."""
        ...


def create(
    workspace: KeyPlaces,
    clock: Clock | None = None,
    *,
    single_key: bool = False,
    passphrase: Callable[[], bytes | None] = no_passphrase,
    first: int = 1,
) -> Path:
    """Make the keys, sign the first metadata, and write `root.json` for the devices.

    A ceremony that was cut short is completed by the next call with the keys it had made.

    Args:
        workspace: Where keys and depot go.
        clock: Signing time; the system's clock where None.
        single_key: One root key instead of 2 of 3: whoever copies that one file owns the fleet.
        passphrase: Encrypts the offline keys (root, targets) where it answers with bytes.
        first: What versions and releases begin with. After lost root keys it is above what the
            devices have: they take no lower release, and mirrors keep files of equal names.

    Returns:
        Path of `root.json`, to be carried to every device.

    Raises:
        CannotCreate: This depot has its keys already, or was begun with another number.
    """
    store, keys = workspace.depot_store, KeyRing(workspace.keys, passphrase)
    now = (clock or SystemClock()).now()
    with store.lock():
        pinned = workspace.root / "root.json"
        if store.read(metadata.file_name(roles.TIMESTAMP, 0)) is not None:
            if pinned.exists():
                raise CannotCreate(
                    f"{workspace.root}: its depot is signed already: choose another folder, or "
                    "use `trainer keys rotate` to replace keys"
                )
            return _pin(store, pinned)
        _check_first(store, first)
        count = 1 if single_key else ROOT_KEYS
        signers = {role: _keys_of(keys, role, count) for role in (*roles.TOP_LEVEL, *roles.PATHS)}
        root = _first_root(signers, now, 1 if single_key else ROOT_THRESHOLD, first)
        metadata.put(store, roles.ROOT, root, signers[roles.ROOT])
        changed = {
            role: metadata.put(
                store,
                role,
                Targets(version=first, expires=metadata.expiry(role, now)),
                signers[role],
            )
            for role in roles.PATHS
        }
        targets = _first_targets(signers, now, first)
        changed[roles.TARGETS] = metadata.put(store, roles.TARGETS, targets, signers[roles.TARGETS])
        metadata.seal_first(store, keys, root, now, changed)
        return _pin(store, pinned)


def _pin(store: Store, pinned: Path) -> Path:
    """Write the newest root for devices. It comes last, since it says that all is done."""
    version = metadata.newest_root(store).version
    write_atomic(pinned, store.read(metadata.file_name(roles.ROOT, version)) or b"")
    return pinned


def _keys_of(keys: KeyRing, role: str, root_keys: int) -> list[CryptoSigner]:
    count = root_keys if role == roles.ROOT else 1
    signers = [keys.load(path) for path in keys.files(role)][:count]
    while len(signers) < count:
        signers.append(keys.generate(role, encrypted=role in roles.OFFLINE))
    return signers


def _check_first(store: Store, first: int) -> None:
    if store.read(metadata.file_name(roles.ROOT, first)) is None:
        with contextlib.suppress(InputMissing):
            begun = metadata.first_version(store)
            raise CannotCreate(
                f"the depot was begun with the number {begun}: give that one, or choose another "
                "folder"
            )


def _first_root(
    signers: dict[str, list[CryptoSigner]], now: datetime, threshold: int, first: int
) -> Root:
    expires = metadata.expiry(roles.ROOT, now)
    root = Root(version=first, expires=expires, consistent_snapshot=True)
    for role in roles.TOP_LEVEL:
        for signer in signers[role]:
            root.add_key(signer.public_key, role)
    root.roles[roles.ROOT].threshold = threshold
    return root


def _first_targets(signers: dict[str, list[CryptoSigner]], now: datetime, first: int) -> Targets:
    keys: dict[str, Key] = {
        signer.public_key.keyid: signer.public_key
        for role in roles.PATHS
        for signer in signers[role]
    }
    delegated = {
        role: DelegatedRole(
            role,
            [signer.public_key.keyid for signer in signers[role]],
            threshold=1,
            terminating=True,
            paths=list(paths),
        )
        for role, paths in roles.PATHS.items()
    }
    return Targets(
        version=first,
        expires=metadata.expiry(roles.TARGETS, now),
        delegations=Delegations(keys=keys, roles=delegated),
    )
