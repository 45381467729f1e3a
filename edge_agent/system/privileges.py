"""Root's commands work on the service's files as the service's account, not as root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def work_as_owner(state: Path) -> None:
    """Take on the account that owns the state folder, for good, where root calls.

    What root would create there (a release from a stick, the database's log), the service could
    not write to any more.
    """
    if os.geteuid() != 0 or not state.is_dir():
        return
    owner = state.stat()
    if owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
