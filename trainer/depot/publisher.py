"""Publishing: releases and observations become signed, static files that any web server carries.

Order of every publication, so that a reader finds a whole depot at any moment: the files, then the
role that lists them, then the snapshot, then the timestamp. A writer that dies before the last step
has published nothing; the next one writes the same names again.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from tuf.api.metadata import MetaFile, TargetFile, Targets

from edge_agent.contract import compression
from edge_agent.contract import manifest as contract
from edge_agent.contract.bundles import station_path
from edge_agent.contract.errors import BadData, InputMissing, NothingNew, UsageError
from trainer.depot import metadata, roles
from trainer.depot.cleanup import sweep

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edge_agent.contract.manifest import Manifest
    from edge_agent.system.ports import Clock
    from trainer.depot.keyring import KeyRing
    from trainer.depot.metadata import Current
    from trainer.workspace.store import Store

RUN: Final = "run"
"""Key in a manifest's lineage: the candidate run that it came from."""
ROLLBACK: Final = "rollback_to"
"""Key in a manifest's lineage: the release that was gone back to."""
FARMS: Final = "farms"
"""Key in a manifest's lineage: for how many farms its models are corrected, in words."""


@dataclass(frozen=True, slots=True)
class Published:
    """A release as it lies in the depot. `sha256` (hex) is that of the manifest's bytes."""

    manifest: Manifest
    sha256: str


class Depot:
    """The publisher's side of one depot.

    Args:
        store: Where its files lie.
        keys: The keys on this machine; each call needs those of the role it writes, and the
            snapshot and timestamp keys.
        clock: Signing time.
    """

    def __init__(self, store: Store, keys: KeyRing, clock: Clock) -> None:
        self.store = store
        self.keys = keys
        self._clock = clock

    def publish(self, channel: str, manifest: Manifest, files: Mapping[str, bytes]) -> int:
        """Publish a release on a channel; number, channel and time are set here.

        Args:
            channel: One of `roles.CHANNELS`.
            manifest: Its `channel`, `release` and `created_at` are replaced.
            files: Content by target path, exactly the files that the manifest names.

        Returns:
            The release number: one more than the highest of all channels.

        Raises:
            NothingNew: The channel holds this release already, whatever its number, time and words.
            BadData: Files and manifest disagree.
            UsageError: No such channel.
            Refused: A key is not here.
            TryLater: Another process is publishing.
        """
        _check(channel, manifest, files)
        with self.store.lock():
            current = metadata.Current(self.store)
            models = current.delegate(roles.MODELS)
            live = self._live(models)
            if channel in live and _essence(live[channel].manifest) == _essence(manifest):
                raise NothingNew(
                    f"depot: channel {channel} holds these models already as release "
                    f"{live[channel].manifest.release}"
                )
            now = self._clock.now()
            number = 1 + max((one.manifest.release for one in live.values()), default=0)
            numbered = msgspec.structs.replace(
                manifest,
                channel=channel,
                release=number,
                created_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
            content = contract.encode(numbered)
            path = manifest_path(channel)
            added = {}
            # The manifest last: files are there before anything names them.
            for name, data in (*files.items(), (path, content)):
                added[name] = self._put(name, data)
                packed = compression.pack(data)
                if packed is not None:
                    beside = compression.packed_path(name)
                    added[beside] = self._put(beside, packed)
            wanted = {path, *files} | {
                name
                for other, one in live.items()
                if other != channel
                for name in (manifest_path(other), *(ref.path for ref in one.manifest.all_files()))
            }
            wanted |= {compression.packed_path(name) for name in wanted}
            targets = {
                name: line for name, line in (models.targets | added).items() if name in wanted
            }
            self._replace(current, roles.MODELS, models, targets)
        return number

    def publish_observations(self, station: int, content: bytes) -> bool:
        """Publish the newest hourly observations of one station: see `publish_bundles`."""
        return self.publish_bundles({station_path(station): content})

    def publish_bundles(self, contents: Mapping[str, bytes]) -> bool:
        """Publish what is relayed to farms, in one step.

        Args:
            contents: Parquet bytes by target path; see `contract.relayed`.

        Returns:
            Whether anything changed; where nothing did, ageing signatures are renewed.

        Raises:
            Refused: The observations, snapshot or timestamp key is not here.
            TryLater: Another process is publishing.
        """
        with self.store.lock():
            current = metadata.Current(self.store)
            role = current.delegate(roles.OBSERVATIONS)
            lines = {
                path: TargetFile.from_data(path, content)
                for path, content in sorted(contents.items())
            }
            if any(role.targets.get(path) != line for path, line in lines.items()):
                for path, content in contents.items():
                    self._put(path, content)
                self._replace(current, roles.OBSERVATIONS, role, role.targets | lines)
                sweep(self.store)
                return True
        self.refresh()
        return False

    def refresh(self) -> tuple[str, ...]:
        """Renew what this machine has keys for and what has used up half of its lifetime.

        Returns:
            Roles that were renewed; offline roles never are.
        """
        with self.store.lock():
            current = metadata.Current(self.store)
            now = self._clock.now()
            changed = self._renewed(current, now)
            ageing = [
                role
                for role, signed in (
                    (roles.SNAPSHOT, current.snapshot),
                    (roles.TIMESTAMP, current.timestamp),
                )
                if _half_used(role, signed.expires, now)
                # A rotation that was cut short leaves signatures of a key no longer trusted.
                or not metadata.valid(self.store, role, signed.version, current.root)
            ]
            if not changed and not ageing:
                return ()
            metadata.seal(self.store, self.keys, current.root, now, changed=changed, before=current)
            return (*changed, roles.SNAPSHOT, roles.TIMESTAMP)

    def live(self) -> dict[str, Published]:
        """Release that each channel offers now."""
        return self._live(metadata.Current(self.store).delegate(roles.MODELS))

    def manifest(self, channel: str, digest: str) -> Manifest:
        """A manifest that was published once, by the SHA-256 (hex) of its bytes.

        Raises:
            InputMissing: The depot has no such file any more.
        """
        path = manifest_path(channel)
        return contract.decode(self._get(path, digest))

    def content(self, manifest: Manifest) -> dict[str, bytes]:
        """Files of a manifest by target path, as they lie in the depot.

        Raises:
            InputMissing: One of them is gone.
            BadData: One of them is damaged.
        """
        return {ref.path: self._get(ref.path, ref.sha256) for ref in manifest.all_files()}

    def _live(self, models: Targets) -> dict[str, Published]:
        found = {}
        for channel in roles.CHANNELS:
            line = models.targets.get(manifest_path(channel))
            if line is not None:
                digest = line.hashes["sha256"]
                found[channel] = Published(self.manifest(channel, digest), digest)
        return found

    def _replace(
        self, current: Current, role: str, before: Targets, targets: dict[str, TargetFile]
    ) -> None:
        now = self._clock.now()
        assert before.version == current.snapshot.meta[f"{role}.json"].version
        changed = self._renewed(current, now, but=role)
        changed[role] = self._write(current, role, targets)
        metadata.seal(self.store, self.keys, current.root, now, changed=changed, before=current)

    def _renewed(self, current: Current, now: datetime, but: str = "") -> dict[str, MetaFile]:
        """Sign ageing delegated roles again, where their key is on this machine."""
        signed = {
            role: current.delegate(role)
            for role in roles.PATHS
            if role != but and self.keys.files(role)
        }
        return {
            role: self._write(current, role, old.targets)
            for role, old in signed.items()
            if _half_used(role, old.expires, now)
        }

    def _write(self, current: Current, role: str, targets: dict[str, TargetFile]) -> MetaFile:
        signers = self.keys.signers(role, *metadata.trusted(role, current.root, current.targets))
        signed = Targets(
            version=current.snapshot.meta[f"{role}.json"].version,
            expires=metadata.expiry(role, self._clock.now()),
            targets=dict(sorted(targets.items())),
        )
        return metadata.put_next(self.store, role, signed, signers)

    def _put(self, path: str, content: bytes) -> TargetFile:
        self.store.write(stored_name(path, sha256(content).hexdigest()), content)
        return TargetFile.from_data(path, content)

    def _get(self, path: str, digest: str) -> bytes:
        name = stored_name(path, digest)
        content = self.store.read(name)
        if content is None:
            raise InputMissing(f"depot: {name} is missing: restore the depot from a copy")
        if sha256(content).hexdigest() != digest:
            raise BadData(f"depot: {name} is damaged: restore it from a copy")
        return content


def manifest_path(channel: str) -> str:
    """Target path of a channel's manifest."""
    return f"channels/{channel}/manifest.json"


def stored_name(path: str, digest: str) -> str:
    """Name in the store of a target: TUF's consistent snapshots put the hash before the name."""
    folder, _, name = path.rpartition("/")
    return f"targets/{folder}/{digest}.{name}"


def _check(channel: str, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    if channel not in roles.CHANNELS:
        raise UsageError(f"no channel {channel!r}: choose one of {', '.join(roles.CHANNELS)}")
    named = {ref.path: ref for ref in manifest.all_files()}
    if named.keys() != files.keys():
        odd = ", ".join(sorted(named.keys() ^ files.keys()))
        raise BadData(f"release: files and manifest disagree about {odd}")
    for path, ref in named.items():
        content = files[path]
        if (sha256(content).hexdigest(), len(content)) != (ref.sha256, ref.length):
            raise BadData(f"release: {path} is not the file that the manifest names")
        if not contract.safe_path(path):
            raise BadData(f"release: {path} is not a path that agents accept")


def _essence(manifest: Manifest) -> Manifest:
    """What makes two releases of a channel the same: all but number, time, place and words."""
    return msgspec.structs.replace(
        manifest,
        channel="",
        release=0,
        created_at="",
        reason="",
        lineage={
            name: text
            for name, text in manifest.lineage.items()
            if name not in {RUN, ROLLBACK, FARMS}
        },
    )


def _half_used(role: str, expires: datetime, now: datetime) -> bool:
    return expires - roles.LIFETIME[role] / 2 <= now
