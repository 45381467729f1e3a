"""`trainer promote` and `trainer rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import chosen_run, json_option, workspace_option
from trainer.depot import roles

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace

_channel = click.Choice(roles.CHANNELS)


@click.command()
@click.argument("run", required=False)
@click.option("--channel", type=_channel, required=True, help="Where to publish.")
@click.option("--reason", default="passed the gate", show_default=True, help="For the log.")
@click.option(
    "--percent",
    type=click.FloatRange(0, 100),
    default=100.0,
    show_default=True,
    help="Share of the channel's devices that take it; raise it with `trainer rollout`.",
)
@click.option(
    "--device", "devices", multiple=True, metavar="SITE/ID", help="Takes it whatever the share."
)
@workspace_option
@json_option
@verbosity_options
def promote(  # noqa: PLR0917 - click passes them by name
    run: str | None,
    channel: str,
    reason: str,
    percent: float,
    devices: tuple[str, ...],
    workspace: Workspace,
    as_json: bool,
) -> None:
    """Publish a candidate RUN (default: the newest) on a channel, if it passes the gate.

    Which devices belong to a share follows from a hash of their id, salted by the run: whoever has
    it at 10 % keeps it at 50 %.

    Exit 10: the gate refused. Exit 11: the channel holds these models already.

    Example: trainer promote --channel canary --percent 10 --device farm/edge-1
    """
    from edge_agent.contract.manifest import Rollout
    from trainer.depot.releases import publish_run
    from trainer.evaluation import run_folder
    from trainer.gate import gate
    from trainer.report.mlflow_mirror import mirrored

    clock = SystemClock()
    candidate = chosen_run(workspace, run)
    with mirrored(workspace):
        before = gate.champion_of(workspace, channel, clock)
        folder = gate.decide(workspace, candidate, channel, clock)
        staged = percent < 100
        rollout = Rollout(percent, folder.name, devices) if staged else None
        number = publish_run(workspace, folder, channel, reason, clock, rollout=rollout)
    _say(number, channel, folder.name, as_json)
    note = run_folder.guidance_note(run_folder.load(folder)[0].lineage)
    if note and folder != candidate:
        click.echo(f"trainer: {note}", err=True)
    if before is not None and before.tuned:
        click.echo(
            f"trainer: the corrections for farms of release {before.release} fitted its models "
            f"alone: `trainer tune --channel {channel}` fits new ones",
            err=True,
        )


@click.command()
@click.option("--to", "release", type=int, required=True, help="Release to go back to.")
@click.option("--reason", required=True, help="Why; it stands in the log and on the devices.")
@click.option("--channel", type=_channel, help="Default: the channel of that release.")
@workspace_option
@json_option
@verbosity_options
def rollback(
    release: int, reason: str, channel: str | None, workspace: Workspace, as_json: bool
) -> None:
    """Publish an older release's models again, as a new, higher release.

    Example: trainer rollback --to 41 --reason "release 42 is 1 degree too warm at dawn"
    """
    from trainer.depot.releases import rollback as go_back
    from trainer.report.mlflow_mirror import mirrored

    with mirrored(workspace):
        number = go_back(workspace, release, reason, SystemClock(), channel=channel)
    _say(number, channel or "its channel", f"the models of release {release}", as_json)


@click.command()
@click.option("--channel", type=_channel, required=True, help="Whose live release.")
@click.option("--percent", type=click.FloatRange(0, 100), required=True, help="New share.")
@click.option("--reason", required=True, help="Why; for the log.")
@workspace_option
@json_option
@verbosity_options
def rollout(channel: str, percent: float, reason: str, workspace: Workspace, as_json: bool) -> None:
    """Give a channel's live release to another share of its devices.

    The same models under a new, higher number: whoever took them before keeps them. A smaller
    share keeps later devices away, it takes nothing from a device; for that, use rollback.

    Example: trainer rollout --channel stable --percent 50 --reason "no complaint in 3 days"
    """
    from trainer.depot.releases import restage

    number = restage(workspace, channel, percent, reason, SystemClock())
    _say(number, channel, f"its live models, for {percent:g} % of the devices", as_json)


def _say(number: int, channel: str, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"release": number, "channel": channel, "from": what})
    else:
        click.echo(f"release {number} is published on {channel}: {what}")
