"""Makes the old state that `tests/integration/test_made_before.py` goes on with."""

from __future__ import annotations

import tarfile
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tools.behaviour.central import WINTER, Central
from tools.behaviour.device import HOUSE, Device

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tools.behaviour.folder import Folder
    from tools.behaviour.programs import Programs

ARCHIVE: Final = "state.tar.xz"
HOURS: Final = 6
_PASSING: Final = (".lock", "-shm", ".log")


def make(programs: Programs, out: Folder) -> None:
    """Write `central` (workspace) and `house` (device) into one archive: they share the models."""
    central = Central(programs, out)
    central.make()
    central.train()
    central.call("promote", "--channel", "stable")
    device = Device(programs, out, "house", HOUSE, WINTER, HOURS)
    central.relay(device.name, device.end + timedelta(hours=2))
    device.work()
    pack(out.path / ARCHIVE, (central.root, device.root))


def pack(archive: Path, folders: Sequence[Path]) -> None:
    """Folders as a `.tar.xz`, without owners and without what a running program leaves."""

    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return None if member.name.endswith(_PASSING) else member

    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for folder in folders:
            packed.add(folder, folder.name, filter=kept)
