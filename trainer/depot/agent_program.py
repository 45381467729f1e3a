"""The agent's program as a target of the depot, under the offline `targets` key."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tuf.api.metadata import TargetFile

from edge_agent.contract.errors import BadData, NothingNew
from trainer.depot import metadata, roles

if TYPE_CHECKING:
    from datetime import datetime

    from trainer.depot.publisher import Depot

MACHINES: Final = {"x86_64": 62, "aarch64": 183}
"""Machines as `uname -m` names them, and their number in an ELF file's header."""
_HEADER: Final = b"\x7fELF\x02"
"""An ELF file of 64 bits."""


def publish_program(depot: Depot, content: bytes, now: datetime) -> str:
    """Offer a program to the devices of its machine type; it replaces the previous one.

    Args:
        depot: Its key ring must hold the targets, snapshot and timestamp keys.
        content: The single file that `make binary` builds.
        now: Signing time, UTC.

    Returns:
        The machine that it is for, as the file itself says.

    Raises:
        BadData: Not a 64-bit program for one of `MACHINES`.
        NothingNew: The depot offers it already.
        Refused: A key is not here.
        TryLater: Another process is publishing.
    """
    machine = _machine(content)
    path = f"agent/{machine}/edge-agent"
    folder = f"targets/agent/{machine}"
    line = TargetFile.from_data(path, content)
    with depot.store.lock():
        current = metadata.Current(depot.store)
        before = current.targets.targets.get(path)
        if before == line:
            raise NothingNew(f"depot: {path} is this program already")
        signers = depot.keys.signers(
            roles.TARGETS, *metadata.trusted(roles.TARGETS, current.root, None)
        )
        depot.store.write(f"{folder}/{sha256(content).hexdigest()}.edge-agent", content)
        current.targets.targets[path] = line
        current.targets.expires = metadata.expiry(roles.TARGETS, now)
        changed = {
            roles.TARGETS: metadata.put_next(depot.store, roles.TARGETS, current.targets, signers)
        }
        metadata.seal(depot.store, depot.keys, now, changed=changed, before=current)
        # A device that is downloading the previous program still finds it. Older ones are removed.
        kept = {
            f"targets/{name}"
            for target in (before, line)
            if target
            for name in target.get_prefixed_paths()
        }
        for name in depot.store.names(folder):
            if name not in kept:
                depot.store.remove(name)
    return machine


def _machine(content: bytes) -> str:
    number = int.from_bytes(content[18:20], "little")
    machines = [name for name, known in MACHINES.items() if known == number]
    if not content.startswith(_HEADER) or not machines:
        raise BadData(
            f"not a program for {' or '.join(MACHINES)}: name the file dist/edge-agent of "
            "`make binary`"
        )
    return machines[0]
