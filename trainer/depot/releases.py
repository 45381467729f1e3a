"""From a candidate run to a release, and back to an older one. Every step is logged with a reason.

The depot says what is live; the log is written after it. Where a publisher dies between the two,
the next call logs what it finds live.
"""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Protocol

import msgspec

from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import BadData, InputMissing, NothingNew, UsageError
from trainer.depot import roles
from trainer.depot.keyring import KeyRing, no_passphrase
from trainer.depot.publisher import ROLLBACK, RUN, Depot
from trainer.depot.release_log import NAME, Entry, ReleaseLog
from trainer.workspace import free_space, runs
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest
    from edge_agent.system.ports import Clock
    from trainer.workspace.store import Store


class ReleasePlaces(Protocol):
    """The part of a workspace that releasing needs."""

    @property
    def keys(self) -> Path:
        """Folder of the key files."""
        ...

    @property
    def depot_store(self) -> Store:
        """Files that the web server serves."""
        ...

    @property
    def records(self) -> Store:
        """Where the release log lies."""
        ...


def open_depot(
    workspace: ReleasePlaces,
    clock: Clock,
    passphrase: Callable[[], bytes | None] = no_passphrase,
) -> Depot:
    """The depot of a workspace, for publishing."""
    return Depot(workspace.depot_store, KeyRing(workspace.keys, passphrase), clock)


def check_publishable(workspace: ReleasePlaces, clock: Clock) -> None:
    """Refuse before long work what `publish_run` would refuse after it.

    Raises:
        Refused, InputMissing, BadData: A signing key is not on this machine, or cannot be used.
        StorageError: The depot has no room.
    """
    store = workspace.depot_store
    if isinstance(store, FolderStore):
        free_space.check(store.root, "a release")
    open_depot(workspace, clock).check_keys(roles.MODELS)


def publish_run(
    workspace: ReleasePlaces,
    run: Path,
    channel: str,
    reason: str,
    clock: Clock,
    *,
    rollout: contract.Rollout | None = None,
) -> int:
    """Publish a candidate run on a channel.

    Args:
        workspace: Keys, depot and log.
        run: Folder with `manifest.json` (release 0, channel empty) and `files/<target path>`.
        channel: One of `roles.CHANNELS`.
        reason: Why, for the people who read the log later.
        clock: Signing time.
        rollout: Who takes it; None = every device of the channel.

    Returns:
        The new release number.

    Raises:
        NothingNew: The channel holds these models already.
        InputMissing: The run has no manifest or lacks a file.
        BadData: The run's files are not those of its manifest.
        UsageError: No reason, or no such channel.
        Refused: A signing key is not on this machine.
        TryLater: Another process is publishing.
    """
    manifest, files = runs.content_of(run)
    named = msgspec.structs.replace(
        manifest, lineage={**manifest.lineage, RUN: run.name}, rollout=rollout
    )
    return _publish(workspace, channel, named, files, reason=reason, clock=clock)


def rollback(
    workspace: ReleasePlaces, to: int, reason: str, clock: Clock, *, channel: str | None = None
) -> int:
    """Publish an older release's models again, under a new, higher number.

    Args:
        workspace: Keys, depot and log.
        to: Release to go back to.
        reason: Why.
        clock: Signing time.
        channel: Where; the channel that `to` was published on where None.

    Returns:
        The new release number.

    Raises:
        InputMissing: No such release, or its files are gone from the depot.
        NothingNew: The channel holds those models now.
        UsageError: No reason.
        Refused: A signing key is not on this machine.
    """
    entry = ReleaseLog(workspace.records).find(to)
    depot = open_depot(workspace, clock)
    old = depot.manifest(entry.channel, entry.manifest)
    if old.release != to:
        raise BadData(f"{NAME}: release {to} names the manifest of {old.release}")
    back = msgspec.structs.replace(old, lineage={**old.lineage, ROLLBACK: str(to)}, rollout=None)
    return _publish(
        workspace, channel or entry.channel, back, depot.content(old), reason=reason, clock=clock
    )


def carry(workspace: ReleasePlaces, live: Manifest, channel: str, reason: str, clock: Clock) -> int:
    """Publish a release of one channel on another, for all of its devices.

    Args:
        workspace: Keys, depot and log.
        live: A manifest as it lies in the depot.
        channel: Where to.
        reason: Why.
        clock: Signing time.

    Returns:
        The new, higher release number.

    Raises:
        NothingNew: The channel holds these models already.
        UsageError: No reason, or no such channel.
        Refused: A signing key is not on this machine.
    """
    files = open_depot(workspace, clock).content(live)
    whole = msgspec.structs.replace(live, rollout=None)
    return _publish(workspace, channel, whole, files, reason=reason, clock=clock)


def restage(
    workspace: ReleasePlaces, channel: str, percent: float, reason: str, clock: Clock
) -> int:
    """Publish a channel's live release again for another share of its devices.

    Args:
        workspace: Keys, depot and log.
        channel: Whose live release.
        percent: 0 to 100; at 100 the rollout is over.
        reason: Why.
        clock: Signing time.

    Returns:
        The new release number.

    Raises:
        InputMissing: The channel has no release.
        NothingNew: The share is what it was.
        UsageError: No reason.
        Refused: A signing key is not on this machine.
    """
    depot = open_depot(workspace, clock)
    live = depot.live().get(channel)
    if live is None:
        raise InputMissing(f"channel {channel} has no release; publish one with `trainer promote`")
    old = live.manifest
    # The salt stays, so that whoever takes part goes on taking part.
    before = old.rollout or contract.Rollout(100.0, old.lineage.get(RUN, ""))
    after = msgspec.structs.replace(before, percent=percent) if percent < 100 else None
    restaged = msgspec.structs.replace(old, rollout=after)
    return _publish(workspace, channel, restaged, depot.content(old), reason=reason, clock=clock)


def reconcile(workspace: ReleasePlaces, clock: Clock) -> tuple[int, ...]:
    """Log what is live but not logged, as a publisher that was killed leaves it.

    Returns:
        Release numbers that were added.
    """
    log = ReleaseLog(workspace.records)
    logged = {entry.release for entry in log.entries()}
    live = open_depot(workspace, clock).live()
    missing = sorted(
        (release for release in live.values() if release.manifest.release not in logged),
        key=lambda release: release.manifest.release,
    )
    for release in missing:
        log.add(_entry(release.manifest, release.sha256, "found live, publisher was cut short"))
    return tuple(release.manifest.release for release in missing)


def _publish(
    workspace: ReleasePlaces,
    channel: str,
    manifest: Manifest,
    files: dict[str, bytes],
    *,
    reason: str,
    clock: Clock,
) -> int:
    if not reason.strip():
        raise UsageError("a release needs a reason: give one with --reason TEXT")
    reconcile(workspace, clock)
    depot = open_depot(workspace, clock)
    try:
        number = depot.publish(channel, msgspec.structs.replace(manifest, reason=reason), files)
    except NothingNew:
        depot.refresh()
        raise
    published = depot.live()[channel]
    ReleaseLog(workspace.records).add(
        _entry(published.manifest, published.sha256, getpass.getuser())
    )
    return number


def _entry(manifest: Manifest, sha256: str, by: str) -> Entry:
    return Entry(
        release=manifest.release,
        channel=manifest.channel,
        run=manifest.lineage.get(RUN, ""),
        at=manifest.created_at,
        by=by,
        why=manifest.reason,
        manifest=sha256,
    )
