"""`trainer tune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import json_option, workspace_option
from trainer.depot import roles

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace


@click.command()
@click.option("--channel", type=click.Choice(roles.CHANNELS), help="Default: from the settings.")
@click.option(
    "--farm", "names", multiple=True, metavar="SITE/DEVICE", help="Only this one (may repeat)."
)
@click.option("--dry-run", is_flag=True, help="Only tell; nothing is written or published.")
@workspace_option
@json_option
@verbosity_options
def tune(
    channel: str | None,
    names: tuple[str, ...],
    dry_run: bool,
    workspace: Workspace,
    as_json: bool,
) -> None:
    """Correct the live models for single farms, by each farm's own history in the lake.

    What is better by the gate is published: the same models in a new release. `trainer daily` does
    it for the models of the day.

    Exit 11: the release has these corrections already, or the lake has no farm.

    Example: trainer tune --farm hill/edge-1 --dry-run
    """
    from trainer.commands.steps import timed_steps
    from trainer.report.mlflow_mirror import mirrored
    from trainer.site_corrections.republish import republish
    from trainer.workspace.places import FarmId

    target = channel or workspace.config.depot.default_channel
    only = tuple(FarmId.of(name) for name in names)
    with mirrored(workspace), timed_steps("tune") as say:
        say("farms")
        done = republish(
            workspace, target, SystemClock(), only=only, publish=not dry_run, progress=say
        )
    if as_json:
        document = {"release": done.release, "channel": target}
        print_json(document | msgspec.to_builtins(done.outcome))
        return
    for name, why in done.outcome.left_out.items():
        click.echo(f"{name}: not judged: {why}")
    click.echo(done.outcome.text())
    if done.release is not None:
        click.echo(f"release {done.release} is published on {target}")
