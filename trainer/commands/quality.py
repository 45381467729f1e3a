"""`trainer status --quality`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import polars as pl

from edge_agent.contract.stations import stations
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json
from trainer.ingest.quality_report import report
from trainer.workspace.future_hours import latest

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace


def show(workspace: Workspace, *, as_json: bool) -> None:
    """Print hours, usable values and flags of every station and month that is in the lake."""
    lake, known = workspace.lake, stations()
    now = latest(SystemClock().now())
    frames = {n: lake.observations(n, end=now) for n in lake.stations() if n in known}
    table = report(frames, {number: known[number].site for number in frames})
    if as_json:
        print_json(table.to_dicts())
        return
    click.echo(f"{'station':>7} {'month':7} {'quantity':24} {'hours':>5} {'usable':>6}  flags")
    flags = table.columns[5:]
    for row in table.filter(pl.col("usable") < pl.col("hours")).iter_rows(named=True):
        raised = ", ".join(f"{name} {row[name]}" for name in flags if row[name])
        click.echo(
            f"{row['station']:7} {row['month']:7} {row['quantity']:24} {row['hours']:5} "
            f"{row['usable']:6}  {raised}"
        )
    complete = table.filter(pl.col("usable") == pl.col("hours")).height
    click.echo(f"{complete} of {table.height} rows (station, month, quantity) are whole, not shown")
