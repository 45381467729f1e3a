"""`trainer daily`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.contract.errors import TryLater
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import day_type, json_option, workspace_option
from trainer.depot import roles

if TYPE_CHECKING:
    from datetime import date

    from trainer.workspace.workspace import Workspace


@click.command()
@click.option("--date", "when", type=day_type, help="Logical date, Korean (default: today).")
@click.option("--channel", type=click.Choice(roles.CHANNELS), help="Default: from the settings.")
@workspace_option
@json_option
@verbosity_options
def daily(when: date | None, channel: str | None, workspace: Workspace, as_json: bool) -> None:
    """Ingest, relay, train, gate, correct for farms and publish for one date; again exits 11.

    Exit 10: the gate refused. Exit 75: the day before is not out yet, or KMA does not answer:
    nothing is trained, and the date stays open. From noon (Korean time) on, one of several stations
    that has the day is enough for a release; it exits 75 as well until the others have come, and
    is then worked again.

    Example: trainer daily --date 2024-05-01
    """
    from trainer import daily as work
    from trainer.commands.progress import progress
    from trainer.commands.steps import timed_steps
    from trainer.ingest import pipeline
    from trainer.ingest.kma_client import KmaClient
    from trainer.report.mlflow_mirror import mirrored

    clock = SystemClock()
    client = KmaClient(workspace, clock)
    target = channel or workspace.config.depot.default_channel
    with mirrored(workspace), timed_steps("daily") as say:
        journal = work.run(
            workspace,
            work.logical_date(when, clock),
            target,
            clock,
            work.Steps(say, lambda wanted: pipeline.run(client, wanted, progress)),
        )
    if as_json:
        print_json(journal)
    else:
        click.echo(f"{journal.date}: release {journal.release} is live on {target}")
        if journal.laggards:
            late = ", ".join(map(str, journal.laggards))
            click.echo(f"  without the newest day of stations {late}")
        for note in journal.notes:
            click.echo(f"  {note}")
        if journal.farms:
            click.echo(f"  farms: {journal.farms}")
    if journal.awaited:
        raise TryLater(journal.still_open(journal.awaited))
