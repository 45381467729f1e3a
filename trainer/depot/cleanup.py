"""Removes old observations from the depot: hourly relays of 97 stations fill a disk in weeks.

Only observations, their metadata and old snapshots are removed. Manifests, models and golden
windows stay, since a rollback publishes them again. A device in the middle of a download still
finds what the last `KEPT` publications named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tuf.api.metadata import Targets

from trainer.depot import metadata, roles

if TYPE_CHECKING:
    from trainer.workspace.store import Store

KEPT: Final = 48
"""Versions of the observations role, and snapshots, that stay: two days of hourly relays."""


def remove_old_observations(store: Store) -> int:
    """Remove what no recent version names. A removal that is cut short is completed by the next.

    Args:
        store: The depot; its lock is held.

    Returns:
        Number of files removed.
    """
    current = metadata.Current(store)
    newest = int(current.snapshot.meta[f"{roles.OBSERVATIONS}.json"].version)
    oldest = {
        roles.OBSERVATIONS: newest - KEPT,
        roles.SNAPSHOT: int(current.snapshot.version) - KEPT,
    }
    removed = [
        name for name in store.names("metadata") if _version(name) <= oldest.get(_role(name), 0)
    ]
    listed: set[str] = set()
    for version in range(max(1, newest - KEPT + 1), newest + 1):
        content = store.read(metadata.file_name(roles.OBSERVATIONS, version))
        if content is not None:
            named = metadata.parse(content, f"{version}.{roles.OBSERVATIONS}.json", Targets)
            listed.update(
                f"targets/{path}"
                for line in named.targets.values()
                for path in line.get_prefixed_paths()
            )
    removed += [name for name in store.names("targets/observations") if name not in listed]
    for name in removed:
        store.remove(name)
    return len(removed)


def _version(name: str) -> int:
    first = name.rpartition("/")[2].partition(".")[0]
    return int(first) if first.isdigit() else 2**62


def _role(name: str) -> str:
    return name.removesuffix(".json").rpartition(".")[2]
