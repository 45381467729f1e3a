"""`trainer train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.contract.hours import korean_midnight
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import day_type, json_option, workspace_option
from trainer.depot import roles

if TYPE_CHECKING:
    from datetime import date

    from trainer.workspace.workspace import Workspace


@click.command()
@click.option("--as-of", type=day_type, help="Use hours before this Korean day (default: all).")
@click.option("--channel", type=click.Choice(roles.CHANNELS), help="Whose normals to keep.")
@click.option("--new-normals", is_flag=True, help="Fit normals anew instead of keeping them.")
@workspace_option
@json_option
@verbosity_options
def train(
    *,
    as_of: date | None,
    channel: str | None,
    new_normals: bool,
    workspace: Workspace,
    as_json: bool,
) -> None:
    """Train a candidate and score it on its holdout; never live by itself.

    Example: trainer train --as-of 2024-05-01
    """
    from trainer.commands.steps import score_table, timed_steps
    from trainer.evaluation import run_folder
    from trainer.evaluation.run_folder import notes
    from trainer.gate import gate
    from trainer.report.mlflow_mirror import mirrored
    from trainer.training import candidate

    clock = SystemClock()
    target = channel or workspace.config.depot.default_channel
    until = korean_midnight(as_of) if as_of else clock.now()
    with mirrored(workspace), timed_steps("train") as say:
        champion = None if new_normals else gate.champion_of(workspace, target, clock)
        folder = candidate.train(workspace, until, champion=champion, progress=say)
    manifest, _, _ = run_folder.load(folder)
    without = notes(manifest.lineage)
    if as_json:
        print_json({"run": folder.name, "scores": manifest.scores, "notes": without})
    else:
        click.echo(score_table(manifest.scores))
        for note in without:
            click.echo(f"  {note}")
        click.echo(f"candidate {folder.name}; next: trainer promote {folder.name} --channel canary")
