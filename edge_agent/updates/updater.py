"""One update: ask the depot, decide, stage, check on this CPU, switch.

The running release is not touched before the last step. Every reason to stop before is an error
that names the file and says why.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from edge_agent.contract import onnx_guard, site_correction
from edge_agent.contract.errors import BadData, FarmError, Refused, StorageError, TryLater
from edge_agent.contract.manifest import MAX_BYTES
from edge_agent.system.file_lock import locked
from edge_agent.system.files import make_folder, write_atomic
from edge_agent.updates import installed_release
from edge_agent.updates.policy import admit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest
    from edge_agent.system.clock_trust import Timekeeper
    from edge_agent.updates.depot import DepotClient
    from edge_agent.updates.installed_release import InstalledRelease
    from edge_agent.updates.policy import DeviceState
    from edge_agent.updates.slots import Slots

_log = logging.getLogger(__name__)
MAX_OBSERVATION_BYTES: Final = 4_000_000
_CLOCK_LEEWAY: Final = timedelta(days=1)


class Updater:
    """Keeps one device on the release its channel offers.

    Args:
        depot: Verified content.
        slots: The releases of this device.
        device: What does not depend on the slots: channel, versions, name and pin.
        self_check: Replays the golden windows of a release and its files on this CPU; raises
            `FarmError` where they differ.
        timekeeper: Time that expiry is checked against, and whether to trust it.
        lock: File that keeps two updates from running at once; bundles are kept beside it.
    """

    def __init__(
        self,
        depot: DepotClient,
        slots: Slots,
        device: DeviceState,
        *,
        self_check: Callable[[Manifest, Mapping[str, bytes]], None],
        timekeeper: Timekeeper,
        lock: Path,
    ) -> None:
        self._depot = depot
        self._slots = slots
        self._device = device
        self._self_check = self_check
        self._timekeeper = timekeeper
        self._refreshed = False
        self._lock = lock

    def sync(self) -> InstalledRelease:
        """Install what the channel offers.

        Returns:
            The release that is live now.

        Raises:
            NothingNew: It was live already.
            Refused: Something is forged, damaged, old, or not for this device; the text names
                the file and the reason. After every error the running release is untouched.
            TryLater: The depot cannot be reached, was not renewed, or offers nothing yet.
            StorageError: The disk failed.
        """
        with self._exclusive():
            now = self._trusted_now()
            self._depot.refresh(now)
            self._refreshed = True
            path = f"channels/{self._device.channel}/manifest.json"
            content = self._offered(path)
            manifest = admit(content, sha256(content).hexdigest(), self._state())
            signed = _signing_time(manifest, now)
            files = self._download(manifest)
            staged = self._slots.stage(content, files)
            try:
                self._self_check(manifest, files)
            except FarmError as fault:
                self._slots.discard(staged)
                raise Refused(
                    f"release {manifest.release}: self-check on this device failed: {fault}"
                ) from fault
            installed = self._slots.switch(staged)
            self._timekeeper.learn(signed)
        _log.info("release %d is live: %s", manifest.release, manifest.reason)
        return installed

    def fetch_relayed(self, path: str) -> bytes | None:
        """Newest bundle of the observations role, or None where none is relayed.

        Metadata is refreshed once, by `sync` or by the first call, so one updater serves one poll.

        Args:
            path: See `contract.bundles`.

        Raises:
            Refused: It is forged or damaged.
            TryLater: The depot cannot be reached, or was not renewed.
        """
        with self._exclusive():
            if not self._refreshed:
                self._depot.refresh(self._trusted_now())
                self._refreshed = True
            file = self._lock.parent / path
            have = _content(file)
            content = self._depot.fetch(path, MAX_OBSERVATION_BYTES, have)
            if content is not None and content != have:
                _store(file, content)
            return content

    def _offered(self, path: str) -> bytes:
        """The channel's manifest; one that was seen before is not downloaded again."""
        file = self._lock.parent / "offered" / f"{self._device.channel}.json"
        have = _content(file)
        content = self._depot.fetch(path, MAX_BYTES, have)
        if content is None:
            raise TryLater(f"{path}: the depot has no release on this channel yet")
        if content != have:
            _store(file, content)
        return content

    def _state(self) -> DeviceState:
        pointer = self._slots.pointer()
        live = self._slots.load()
        return replace(
            self._device,
            highest=pointer.highest,
            current_sha256="" if live is None else live.sha256,
            current_release=0 if live is None else live.manifest.release,
            installed_sha256="" if pointer.current is None else pointer.current.sha256,
            left=pointer.left,
        )

    def _trusted_now(self) -> datetime:
        now, state = self._timekeeper.judge()
        if state == "untrusted":
            raise TryLater(
                f"the clock shows {now:%Y-%m-%d %H:%M} UTC, which cannot be right (it is later "
                f"than {self._timekeeper.floor():%Y-%m-%d %H:%M}): set the clock; until then "
                "nothing is installed, as old signatures could pass for fresh ones"
            )
        return now

    def _download(self, manifest: Manifest) -> dict[str, bytes]:
        files = {}
        live = self._slots.load()
        # A new release may name files that are here already.
        present = {} if live is None else {ref.sha256: live.read(ref) for ref in live.files()}
        for file in site_correction.files_of(manifest, self._device.id):
            content = self._depot.fetch(file.path, file.length, present.get(file.sha256))
            if content is None:
                raise Refused(
                    f"{file.path}: named by release {manifest.release}, but no trusted role lists "
                    "it"
                )
            # The depot has signed a file of this name; the manifest names these bytes.
            if not installed_release.matches(file, content):
                raise Refused(
                    f"{file.path}: not the file that the manifest of release {manifest.release} "
                    "names: files of two releases are mixed"
                )
            files[file.path] = content
        for model in manifest.models.values():
            onnx_guard.check(files[model.file.path], model.file.path)
        shard = site_correction.shard_of(manifest, self._device.id)
        if shard is not None:
            self._check_shard(files[shard.path], shard.path, manifest)
        return files

    def _check_shard(self, content: bytes, path: str, manifest: Manifest) -> None:
        try:
            shard = site_correction.decode(content, manifest)
        except BadData as fault:
            raise Refused(f"{path}: {fault}") from fault
        shards = len(manifest.tuned)
        number = site_correction.shard_number(self._device.id, shards)
        strangers = site_correction.strangers(shard, number, shards)
        if strangers:
            raise Refused(
                f"{path}: holds the correction of {strangers[0]}, which belongs into another file "
                f"than that of {self._device.id}"
            )

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        try:
            make_folder(self._lock.parent)
            handle = self._lock.open("wb")
        except OSError as fault:
            raise StorageError(f"{self._lock}: {fault.strerror}: check the disk") from fault
        with locked(handle, "another update is running: wait for it to end"):
            yield


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _store(path: Path, content: bytes) -> None:
    try:
        write_atomic(path, content)
    except OSError as fault:
        # The file only saves a download; the content itself is here.
        _log.warning("%s: cannot be written: %s", path, fault.strerror)


def _signing_time(manifest: Manifest, now: datetime) -> datetime:
    """When a release was made; a day in the future at most, or one of two clocks is wrong."""
    try:
        signed = datetime.fromisoformat(manifest.created_at)
    except ValueError as fault:
        raise Refused(
            f"release {manifest.release}: created_at {manifest.created_at!r} is not a time"
        ) from fault
    if signed.tzinfo is None:
        raise Refused(f"release {manifest.release}: created_at has no time zone")
    if signed > now + _CLOCK_LEEWAY:
        raise TryLater(
            f"release {manifest.release} was signed at {manifest.created_at}, the clock here shows "
            f"{now:%Y-%m-%dT%H:%M:%SZ}: set the clock of this device or of the trainer"
        )
    return signed
