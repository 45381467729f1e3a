"""`trainer publish-agent`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.system.clock import SystemClock
from edge_agent.system.console import verbosity_options
from trainer.commands.options import workspace_option

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace


@click.command("publish-agent")
@click.argument("program", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@workspace_option
@verbosity_options
def publish_agent(program: Path, workspace: Workspace) -> None:
    """Offer PROGRAM (dist/edge-agent of `make binary`) to devices that update themselves.

    Signed with the offline `targets` key, so bring that from its drawer. Only devices whose
    edge-agent-update.timer is enabled take it. Exit 11: it is there already.

    Example: trainer publish-agent dist/edge-agent
    """
    from trainer.depot.agent_program import publish_program
    from trainer.depot.keyring import ask_passphrase
    from trainer.depot.releases import open_depot

    depot = open_depot(workspace, clock := SystemClock(), ask_passphrase)
    machine = publish_program(depot, program.read_bytes(), clock.now())
    click.echo(f"offered to devices with {machine}")
