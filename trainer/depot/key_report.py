"""Which keys a depot trusts, which of them are on this machine, and when signatures end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import FarmError
from trainer.depot import metadata, roles

if TYPE_CHECKING:
    from datetime import datetime

    from trainer.depot.keyring import KeyRing
    from trainer.workspace.store import Store

WARN: Final = {
    role: min(lifetime / 4, timedelta(days=60)) for role, lifetime in roles.LIFETIME.items()
}


@dataclass(frozen=True, slots=True)
class RoleReport:
    """One role.

    Attributes:
        role: Its name.
        threshold: Signatures needed.
        keyids: Keys that the metadata trusts.
        here: Those of them whose private half is on this machine and readable.
        version: Of the current metadata.
        expires: When it ends, UTC.
        warning: What to do soon, or empty.
    """

    role: str
    threshold: int
    keyids: tuple[str, ...]
    here: tuple[str, ...]
    version: int
    expires: datetime
    warning: str


def report(store: Store, keys: KeyRing, now: datetime) -> tuple[RoleReport, ...]:
    """Every role of a depot, offline roles first.

    Raises:
        InputMissing: The depot is not whole.
    """
    current = metadata.Current(store)
    reports = []
    for role in (*roles.TOP_LEVEL, *roles.PATHS):
        signed = {
            roles.ROOT: current.root,
            roles.SNAPSHOT: current.snapshot,
            roles.TIMESTAMP: current.timestamp,
        }.get(role) or current.delegate(role)
        keyids, threshold = metadata.trusted(role, current.root, current.targets)
        reports.append(
            RoleReport(
                role,
                threshold,
                tuple(keyids),
                _here(keys, role, keyids),
                signed.version,
                signed.expires,
                _warning(role, signed.expires, now),
            )
        )
    return tuple(reports)


def _here(keys: KeyRing, role: str, keyids: list[str]) -> tuple[str, ...]:
    keyids_here = []
    for path in keys.files(role):
        try:
            keyid = keys.load(path).public_key.keyid
        except FarmError:
            continue
        if keyid in keyids:
            keyids_here.append(keyid)
    return tuple(keyids_here)


def _warning(role: str, expires: datetime, now: datetime) -> str:
    if expires - now > WARN[role]:
        return ""
    cure = (
        "sign it anew with `trainer keys renew`"
        if role in roles.OFFLINE
        else "run `trainer daily` or `trainer relay`"
    )
    state = "has ended" if expires <= now else f"ends in {(expires - now).days} days"
    return f"{role} metadata {state}: devices install nothing after that: {cure}"
