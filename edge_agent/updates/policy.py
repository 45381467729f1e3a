"""Policy: whether a verified release may run on this device. Pure.

Signatures prove who made a release; these rules decide whether it fits this device. Each is
numbered, and the error names the file and the reason:

A1 the manifest is of this project, in a format this agent reads;
A2 it was signed for the channel it was found on, so that nobody can move it to another;
A3 its number is higher than any this device ever ran (a rollback is a new, higher release), or it
   is the very release that was installed last, whose files were damaged here since;
A4 this agent is new enough;
A5 the feature code it was trained with is the feature code on this device, that of guidance too;
A6 its files lie where models lie, under names that cannot leave a folder, each name once, and none
   is too large, nor are those that this device takes in all;
A7 it is rolled out to this device, and this device is not pinned to another release.

A release that A7 excludes is no error: there is nothing new for this device. Neither is one that
the device rolled back from: it waits for a higher one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from edge_agent.contract import manifest as contract
from edge_agent.contract import site_correction
from edge_agent.contract.errors import BadData, NothingNew, Refused

if TYPE_CHECKING:
    from edge_agent.contract.manifest import FileRef, Manifest, Rollout
    from edge_agent.updates.slots import RolledBackRelease

MAX_FILE_BYTES: Final = 32_000_000
MAX_RELEASE_BYTES: Final = 64_000_000
_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device, as far as the policy depends on it.

    Attributes:
        channel: The one it follows.
        agent_version: Such as "0.1.0".
        digest: Of the feature code on this device, `contract.features.digest()`.
        highest: Highest release number it ever ran; 0 for none.
        current_sha256: Of the live manifest, hex; empty for none.
        current_release: Number of the live release; 0 for none.
        installed_sha256: Of the manifest that was installed last, hex, its files whole or not.
        id: "site/id", for staged rollouts and the device's own corrections.
        pinned: The only release number that this device takes; 0 for any.
        left: The release it rolled back from, or None.
        guidance_digest: As `digest`, of `contract.guidance_features`.
    """

    channel: str
    agent_version: str
    digest: str
    highest: int = 0
    current_sha256: str = ""
    current_release: int = 0
    installed_sha256: str = ""
    id: str = ""
    pinned: int = 0
    left: RolledBackRelease | None = None
    guidance_digest: str = ""


def admit(content: bytes, digest: str, device: DeviceState) -> Manifest:
    """Manifest from its verified bytes, if this device may run it.

    Args:
        content: The manifest's bytes.
        digest: SHA-256 of those bytes, hex.
        device: This device.

    Raises:
        NothingNew: It is the release that is live, or one that is not for this device.
        Refused: A rule is broken.
    """
    name = f"channels/{device.channel}/manifest.json"
    if digest == device.current_sha256:
        raise NothingNew(f"{name}: release {device.current_release} is the newest and is installed")
    if device.left is not None and digest == device.left.sha256:
        raise NothingNew(
            f"{name}: release {device.left.release} was left by this device ({device.left.why}); "
            "a higher one is awaited"
        )
    try:
        manifest = contract.decode(content)
    except BadData as fault:
        raise Refused(f"{name}: {fault}") from fault
    _fits(manifest, device, name, again=digest == device.installed_sha256)
    _files(manifest, device.id, name)
    if device.pinned and manifest.release != device.pinned:
        raise NothingNew(
            f"{name}: release {manifest.release} is left aside: this device is pinned to "
            f"{device.pinned}"
        )
    if manifest.rollout is not None and not included(manifest.rollout, device.id):
        raise NothingNew(
            f"{name}: release {manifest.release} is rolled out to {manifest.rollout.percent:g} % "
            "of the devices, and this one is not among them yet"
        )
    return manifest


def included(rollout: Rollout, device_id: str) -> bool:
    """Whether a rollout includes a device: its number is below the percentage.

    The number is SHA-256 of salt and id, scaled to [0, 100). It does not depend on the percentage,
    so a device that is included at 10 % is included at 50 %.
    """
    if device_id in rollout.devices:
        return True
    digest = sha256(f"{rollout.salt}\0{device_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100.0 < rollout.percent


def _fits(manifest: Manifest, device: DeviceState, name: str, *, again: bool) -> None:
    if manifest.project != contract.PROJECT:
        raise Refused(
            f"{name}: made for project {manifest.project!r}, this is {contract.PROJECT!r}"
        )
    if manifest.channel != device.channel:
        raise Refused(
            f"{name}: signed for channel {manifest.channel!r}, this device follows "
            f"{device.channel!r}"
        )
    if manifest.release <= device.highest and not again:
        raise Refused(
            f"{name}: release {manifest.release} is not newer than {device.highest}, which ran "
            "here: publish going back as a new release (`trainer rollback`)"
        )
    if _version(manifest.min_agent, name) > _version(device.agent_version, name):
        raise Refused(
            f"{name}: release {manifest.release} needs agent {manifest.min_agent}, this is "
            f"{device.agent_version}: update the agent"
        )
    _same_code("", manifest.features.digest, device.digest, f"{name}: release {manifest.release}")
    if manifest.guidance:
        _same_code(
            " of guidance",
            manifest.guidance.digest,
            device.guidance_digest,
            f"{name}: release {manifest.release}",
        )


def _same_code(of: str, trained_with: str, here: str, release: str) -> None:
    if trained_with != here:
        raise Refused(
            f"{release} was trained with feature code{of} {trained_with[:12]}, this agent has "
            f"{here[:12]}: update the agent, or retrain with its version"
        )


def _files(manifest: Manifest, device_id: str, name: str) -> None:
    named: dict[str, FileRef] = {}
    for file in manifest.all_files():
        if not contract.safe_path(file.path) or not file.path.startswith(contract.FILE_ROOTS):
            raise Refused(f"{name}: {file.path!r} is not a path that a release may use")
        if not 0 < file.length <= MAX_FILE_BYTES:
            raise Refused(
                f"{name}: {file.path}: {file.length} bytes, allowed are 1 to {MAX_FILE_BYTES}"
            )
        if named.setdefault(file.path, file) != file:
            raise Refused(f"{name}: {file.path} stands for two files")
    total = sum(file.length for file in set(site_correction.files_of(manifest, device_id)))
    if total > MAX_RELEASE_BYTES:
        raise Refused(f"{name}: {total} bytes in all, more than the limit of {MAX_RELEASE_BYTES}")


def _version(text: str, name: str) -> tuple[int, ...]:
    match = _VERSION.fullmatch(text)
    if match is None:
        raise Refused(f"{name}: {text!r} is not a version such as 1.2.3")
    return tuple(int(part) for part in match.groups())
