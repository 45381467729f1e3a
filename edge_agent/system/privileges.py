"""Commands that root calls run as the service's account, since they write its files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def work_as_owner(state: Path) -> None:
    """Switch to the account that owns the state folder, for good, where root calls.

    The service could not write to files that root creates there, such as the database's log.
    """
    if os.geteuid() != 0 or not state.is_dir():
        return
    owner = state.stat()
    if owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
