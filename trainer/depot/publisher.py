"""Publishing releases and observations as signed static files, for any web server.

Order of every publication: the files, the role that lists them, the snapshot, the timestamp. So a
reader finds a complete depot at any moment. A writer that dies before the last step has published
nothing; the next one writes the same names again.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from tuf.api.metadata import MetaFile, TargetFile, Targets

from edge_agent.contract import compression
from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import BadData, NothingNew, UsageError
from trainer.depot import metadata, roles
from trainer.depot.cleanup import remove_old_observations
from trainer.depot.targets import TargetFiles, manifest_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edge_agent.contract.manifest import Manifest
    from edge_agent.system.ports import Clock
    from trainer.depot.keyring import KeyRing
    from trainer.depot.metadata import Current
    from trainer.depot.targets import Published
    from trainer.workspace.store import Store

RUN: Final = "run"
"""Key in a manifest's lineage: the candidate run that it came from."""
ROLLBACK: Final = "rollback_to"
"""Key in a manifest's lineage: the older release whose models it has."""
FARMS: Final = "farms"
"""Key in a manifest's lineage: for how many farms its models are corrected, in words."""


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
        self._files = TargetFiles(store)

    def publish(self, channel: str, manifest: Manifest, files: Mapping[str, bytes]) -> int:
        """Publish a release on a channel; number, channel and time are set here.

        Args:
            channel: One of `roles.CHANNELS`.
            manifest: Its `channel`, `release` and `created_at` are replaced.
            files: Content by target path, exactly the files that the manifest names.

        Returns:
            The release number: one more than the highest of all channels; the first is the
            depot's first number.

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
            live = self._files.live(models)
            if channel in live and _essence(live[channel].manifest) == _essence(manifest):
                raise NothingNew(
                    f"depot: channel {channel} holds these models already as release "
                    f"{live[channel].manifest.release}"
                )
            numbers = [known.manifest.release for known in live.values()]
            number = 1 + max([*numbers, metadata.first_version(self.store) - 1])
            numbered = msgspec.structs.replace(
                manifest,
                channel=channel,
                release=number,
                created_at=self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
            # The manifest last: files are there before anything names them.
            contents = {**files, manifest_path(channel): contract.encode(numbered)}
            lines = models.targets | self._put_with_packed(contents)
            others = [known.manifest for other, known in live.items() if other != channel]
            named = {*contents, *(path for other in others for path in _paths(other))}
            named |= {compression.packed_path(path) for path in named}
            targets = {path: line for path, line in lines.items() if path in named}
            self._replace(current, roles.MODELS, models, targets)
        return number

    def check_keys(self, role: str) -> None:
        """See that this machine can publish what a role signs.

        Raises:
            Refused, InputMissing, BadData: See `KeyRing.signers`.
        """
        current = metadata.Current(self.store)
        for name in (role, roles.SNAPSHOT, roles.TIMESTAMP):
            self.keys.signers(name, *metadata.trusted(name, current.root, current.targets))

    def publish_bundles(self, contents: Mapping[str, bytes]) -> bool:
        """Publish what is relayed to farms, in one step.

        Args:
            contents: Parquet bytes by target path; see `contract.bundles`.

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
                    self._files.put(path, content)
                self._replace(current, roles.OBSERVATIONS, role, role.targets | lines)
                remove_old_observations(self.store)
                return True
        self.refresh()
        return False

    def refresh(self) -> tuple[str, ...]:
        """Sign again the roles whose lifetime is half over and whose keys are on this machine.

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
            metadata.seal(self.store, self.keys, now, changed=changed, before=current)
            return (*changed, roles.SNAPSHOT, roles.TIMESTAMP)

    def live(self) -> dict[str, Published]:
        """Release that each channel offers now."""
        return self._files.live(metadata.Current(self.store).delegate(roles.MODELS))

    def manifest(self, channel: str, digest: str) -> Manifest:
        """A manifest that was published once, by the SHA-256 (hex) of its bytes.

        Raises:
            InputMissing: The depot has no such file any more.
        """
        return self._files.manifest(channel, digest)

    def content(self, manifest: Manifest) -> dict[str, bytes]:
        """Files of a manifest by target path, as they lie in the depot.

        Raises:
            InputMissing: One of them is gone.
            BadData: One of them is damaged.
        """
        return {ref.path: self._files.get(ref.path, ref.sha256) for ref in manifest.all_files()}

    def _put_with_packed(self, contents: Mapping[str, bytes]) -> dict[str, TargetFile]:
        """Write files, each with a compressed copy beside it where that saves bytes."""
        lines = {}
        for path, content in contents.items():
            lines[path] = self._files.put(path, content)
            packed = compression.pack(content)
            if packed is not None:
                packed_path = compression.packed_path(path)
                lines[packed_path] = self._files.put(packed_path, packed)
        return lines

    def _replace(
        self, current: Current, role: str, before: Targets, targets: dict[str, TargetFile]
    ) -> None:
        now = self._clock.now()
        assert before.version == current.snapshot.meta[f"{role}.json"].version
        changed = self._renewed(current, now, but=role)
        changed[role] = self._write(current, role, targets)
        metadata.seal(self.store, self.keys, now, changed=changed, before=current)

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


def _paths(manifest: Manifest) -> tuple[str, ...]:
    """Target paths of a release that lies in the depot."""
    return (manifest_path(manifest.channel), *(ref.path for ref in manifest.all_files()))


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
    """What two equal releases share: all but number, time, channel and reason."""
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
