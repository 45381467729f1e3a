"""`trainer daily`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import config_option, day_type, json_option
from trainer.depot import roles

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path


@click.command()
@click.option("--date", "when", type=day_type, help="Logical date, Korean (default: today).")
@click.option("--channel", type=click.Choice(roles.CHANNELS), help="Default: from the settings.")
@config_option
@json_option
@verbosity_options
def daily(when: date | None, channel: str | None, config_path: Path | None, as_json: bool) -> None:
    """Ingest, relay, train, gate, correct for farms and publish for one date; again exits 11.

    Exit 10: the gate refused. Exit 75: the day before is not out yet, or KMA does not answer; from
    noon (Korean time) on, one of several stations that has the day is enough.

    Example: trainer daily --date 2024-05-01
    """
    from trainer import daily as work
    from trainer.commands.ingest import run_with_progress
    from trainer.commands.steps import told
    from trainer.report.mlflow_mirror import mirrored
    from trainer.workspace.workspace import Workspace

    workspace, clock = Workspace.open(config_path), SystemClock()
    target = channel or workspace.config.depot.default_channel
    with mirrored(workspace), told("daily") as say:
        journal = work.run(
            workspace,
            work.logical_date(when, clock),
            target,
            clock,
            work.Steps(say, lambda wanted: run_with_progress(workspace, clock, wanted)),
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
