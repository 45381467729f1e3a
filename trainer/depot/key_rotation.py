"""Replacing keys, and signing the offline roles again, without a moment in which devices fail.

While a top-level key changes, metadata is signed by the old and the new key; the new root, which
trusts the new one only, comes last. A device sees a whole depot before and after, and a rotation
that is cut short leaves the old root in force.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from edge_agent.contract.errors import FarmError, InputMissing, Refused, UsageError
from edge_agent.system.files import write_atomic
from trainer.depot import metadata, roles
from trainer.depot.keyring import KeyRing, no_passphrase

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import MetaFile, Root, Targets

    from edge_agent.system.ports import Clock
    from trainer.depot.key_ceremony import KeyPlaces


class Rotation:
    """Key changes of one workspace.

    Args:
        workspace: Keys and depot.
        clock: Signing time.
        passphrase: For encrypted offline keys.
    """

    def __init__(
        self,
        workspace: KeyPlaces,
        clock: Clock,
        passphrase: Callable[[], bytes | None] = no_passphrase,
    ) -> None:
        self._workspace = workspace
        self._store = workspace.depot_store
        self._keys = KeyRing(workspace.keys, passphrase)
        self._clock = clock

    def rotate(self, role: str) -> str:
        """Replace a role's key (of several, the first) by a new one.

        Returns:
            Id of the new key.

        Raises:
            UsageError: No such role.
            Refused: A key that must sign this is not here.
        """
        if role not in (*roles.TOP_LEVEL, *roles.PATHS):
            raise UsageError(f"no role {role!r}: choose one of {', '.join(roles.LIFETIME)}")
        with self._store.lock():
            current = metadata.Current(self._store)
            keyids, _ = metadata.trusted(role, current.root, current.targets)
            return self._replace(current, role, keyids[0])

    def revoke(self, keyid: str) -> str:
        """Take the trust from a key that was lost or copied, and put a new one in its place.

        Args:
            keyid: The key's id, or enough of its beginning.

        Returns:
            Id of the new key.

        Raises:
            InputMissing: No trusted key has that id.
            UsageError: Several have.
            Refused: A key that must sign this is not here.
        """
        with self._store.lock():
            current = metadata.Current(self._store)
            matches = [
                (role, trusted_id)
                for role in (*roles.TOP_LEVEL, *roles.PATHS)
                for trusted_id in metadata.trusted(role, current.root, current.targets)[0]
                if trusted_id.startswith(keyid)
            ]
            if not matches:
                raise InputMissing(f"no trusted key {keyid!r}; `trainer keys show` lists them")
            if len(matches) > 1:
                raise UsageError(f"{keyid!r} begins {len(matches)} key ids: give more of it")
            return self._replace(current, *matches[0])

    def renew(self) -> tuple[str, ...]:
        """Sign root and targets again with the keys they have, for another lifetime.

        Returns:
            The roles that were signed.

        Raises:
            Refused: A key that must sign this is not here.
        """
        with self._store.lock():
            current = metadata.Current(self._store)
            now = self._clock.now()
            line = self._write_targets(current, now, current.root)
            metadata.seal(
                self._store,
                self._keys,
                now,
                changed={roles.TARGETS: line},
                before=current,
            )
            self._write_root(current.root, now, self._trusted_signers(roles.ROOT, current))
        return roles.OFFLINE

    def _replace(self, current: metadata.Current, role: str, keyid: str) -> str:
        now = self._clock.now()
        old_root = self._trusted_signers(roles.ROOT, current, without=keyid, last_resort=True)
        if role in roles.PATHS:
            # Asked for before the new key is made, so that a refusal leaves nothing behind.
            self._trusted_signers(roles.TARGETS, current)
        retired = self._file_of(role, keyid)
        new = self._keys.generate(role, encrypted=role in roles.OFFLINE)
        if role in roles.PATHS:
            self._replace_delegated(current, role, keyid, new, now)
        else:
            self._replace_top_level(current, role, keyid, new, old_root=old_root, now=now)
        if retired is not None:
            retired.rename(retired.with_suffix(".retired"))
        return new.public_key.keyid

    def _replace_delegated(
        self,
        current: metadata.Current,
        role: str,
        keyid: str,
        new: CryptoSigner,
        now: datetime,
    ) -> None:
        signed = current.delegate(role)
        signed.expires = metadata.expiry(role, now)
        changed = {role: metadata.put_next(self._store, role, signed, [new])}
        current.targets.revoke_key(keyid, role)
        current.targets.add_key(new.public_key, role)
        changed[roles.TARGETS] = self._write_targets(current, now, current.root)
        metadata.seal(self._store, self._keys, now, changed=changed, before=current)

    def _replace_top_level(
        self,
        current: metadata.Current,
        role: str,
        keyid: str,
        new: CryptoSigner,
        *,
        old_root: list[CryptoSigner],
        now: datetime,
    ) -> None:
        # The copy is what comes next; `current.root` stays what devices trust until the end.
        following = metadata.newest_root(self._store)
        following.revoke_key(keyid, role)
        following.add_key(new.public_key, role)
        changed: dict[str, MetaFile] = {}
        if role == roles.TARGETS:
            changed[role] = self._write_targets(current, now, current.root, new)
        if role != roles.ROOT:
            metadata.seal(
                self._store,
                self._keys,
                now,
                changed=changed,
                before=current,
                also={role: [new]},
            )
        signers = [*old_root, new] if role == roles.ROOT else old_root
        self._write_root(following, now, signers)

    def _write_targets(
        self, current: metadata.Current, now: datetime, root: Root, *also: CryptoSigner
    ) -> MetaFile:
        targets: Targets = current.targets
        targets.expires = metadata.expiry(roles.TARGETS, now)
        trusted = metadata.trusted(roles.TARGETS, root, None)
        signers = metadata.with_new(self._keys, roles.TARGETS, trusted, also)
        return metadata.put_next(self._store, roles.TARGETS, targets, signers)

    def _write_root(self, root: Root, now: datetime, signers: list[CryptoSigner]) -> None:
        root.expires = metadata.expiry(roles.ROOT, now)
        metadata.put_next(self._store, roles.ROOT, root, signers)
        content = self._store.read(metadata.file_name(roles.ROOT, root.version))
        assert content is not None
        # For devices that are set up from now on; those in the field follow the chain.
        write_atomic(self._workspace.root / "root.json", content)

    def _trusted_signers(
        self,
        role: str,
        current: metadata.Current,
        *,
        without: str = "",
        last_resort: bool = False,
    ) -> list[CryptoSigner]:
        """Signers of a role; a key that is being replaced signs only where it cannot be spared."""
        keyids, threshold = metadata.trusted(role, current.root, current.targets)
        spared = [keyid for keyid in keyids if keyid != without]
        if last_resort:
            with contextlib.suppress(Refused):
                return self._keys.signers(role, spared, threshold)
            return self._keys.signers(role, keyids, threshold)
        return self._keys.signers(role, spared, threshold)

    def _file_of(self, role: str, keyid: str) -> Path | None:
        for path in self._keys.files(role):
            with contextlib.suppress(FarmError):
                if self._keys.load(path).public_key.keyid == keyid:
                    return path
        return None
