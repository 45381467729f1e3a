"""`trainer keys`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from edge_agent.clock import SystemClock
from edge_agent.console import print_json, verbosity_options
from trainer.commands.options import config_option, json_option

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def keys() -> None:
    """Signing keys of this workspace.

    Example: trainer keys show
    """


@keys.command()
@config_option
@json_option
@verbosity_options
def show(config_path: Path | None, as_json: bool) -> None:
    """Roles, the keys they trust, which of them are here, and when signatures end.

    Example: trainer keys show --json
    """
    from trainer.depot_store import FolderStore
    from trainer.key_report import report
    from trainer.keyring import KeyRing
    from trainer.workspace import Workspace

    workspace = Workspace.open(config_path)
    found = report(FolderStore(workspace.depot), KeyRing(workspace.keys), SystemClock().now())
    if as_json:
        print_json([msgspec.to_builtins(one) for one in found])
        return
    click.echo(f"{'role':13} {'needs':>5} {'keys':>4} {'here':>4} {'version':>7}  ends")
    for one in found:
        click.echo(
            f"{one.role:13} {one.threshold:5} {len(one.keyids):4} {len(one.here):4} "
            f"{one.version:7}  {one.expires:%Y-%m-%d}"
        )
    for one in found:
        if one.warning:
            click.echo(f"warning: {one.warning}", err=True)
