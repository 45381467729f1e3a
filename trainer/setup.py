"""A new workspace: settings, signing keys, empty lake, depot, runs and release log."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from edge_agent.contract.errors import CannotCreate, UsageError
from edge_agent.system.files import make_folder, write_atomic
from trainer.depot import release_log
from trainer.workspace import config as settings
from trainer.workspace.workspace import BUCKETS, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def create(
    root: Path,
    *,
    bucket: str = "",
    single_key: bool = False,
    passphrase: Callable[[], bytes | None] | None = None,
    first: int = 1,
) -> Workspace:
    """Make a workspace: settings, keys, empty lake, depot, runs and release log.

    A creation that was cut short is completed by the next call.

    Args:
        root: Its folder.
        bucket: s3:// address below which lake, runs and depot are to lie; empty = in the folder.
        single_key: One root key instead of 2 of 3; for trials.
        passphrase: Encrypts the offline keys with what it answers.
        first: What versions and releases begin with, see `key_ceremony.create`.

    Raises:
        UsageError: `bucket` is no such address.
        CannotCreate: There is a workspace already, or the folder cannot be made.
        StorageError: The bucket cannot be reached, or refuses.
    """
    if bucket and not bucket.startswith(tuple(f"{scheme}://" for scheme in BUCKETS)):
        raise UsageError(f"--bucket {bucket}: not an address like s3://bucket/prefix")
    path = root / settings.FILE_NAME
    if path.exists():
        raise CannotCreate(f"{path}: there is a workspace already; choose another folder")
    content = _template(bucket.rstrip("/"))
    workspace = Workspace(root.absolute(), settings.decode(content, settings.FILE_NAME))
    try:
        here = () if bucket else (workspace.root / "lake" / "raw", workspace.runs)
        for folder in (*here, workspace.state):
            make_folder(folder)
        if workspace.records.read(release_log.NAME) is None:
            workspace.records.write(release_log.NAME, b"")
        _make_keys(workspace, single_key=single_key, passphrase=passphrase, first=first)
        # Last: the file is what marks a workspace as complete.
        write_atomic(path, content)
    except OSError as fault:
        raise CannotCreate(f"{root}: cannot be made: {fault.strerror}") from fault
    return workspace


def _template(bucket: str) -> bytes:
    text = files("trainer").joinpath(settings.FILE_NAME).read_text("utf-8")
    for name in ("lake", "runs", "depot") if bucket else ():
        text = text.replace(f'# {name}_path = "{name}"', f'{name}_path = "{bucket}/{name}"')
    return text.encode()


def _make_keys(
    workspace: Workspace,
    *,
    single_key: bool,
    passphrase: Callable[[], bytes | None] | None,
    first: int,
) -> None:
    from trainer.depot import key_ceremony
    from trainer.depot.keyring import no_passphrase

    try:
        key_ceremony.create(
            workspace,
            single_key=single_key,
            passphrase=passphrase or no_passphrase,
            first=first,
        )
    except CannotCreate:
        # Signed already: by a creation of this workspace that stopped after the ceremony.
        if not (workspace.root / "root.json").exists():
            raise
