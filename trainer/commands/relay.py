"""`trainer relay`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.contract.errors import NothingNew
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import json_option, workspace_option

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace


@click.command()
@click.option("--station", "stations", type=int, multiple=True, help="ASOS number; repeatable.")
@workspace_option
@json_option
@verbosity_options
def relay(stations: tuple[int, ...], workspace: Workspace, as_json: bool) -> None:
    """Publish newest hours, and KMA's forecasts, for the farms.

    With KMA_HUB_KEY the hours up to now come from KMA's API hub; with farms in the settings and
    KMA_SERVICE_KEY, their grid cells' nowcasts and forecasts from the village service; else all
    from the lake. Exit 11: nothing is new. Run it every hour, about 15 minutes past.

    Example: trainer relay --station 108
    """
    from trainer.ingest.kma_client import KmaClient
    from trainer.relay import relay as run_relay

    result = run_relay(KmaClient(workspace, SystemClock()), stations)
    newest = {str(place): f"{at:%Y-%m-%dT%H:%MZ}" for place, at in result.newest.items()}
    issues = {str(cell): f"{at:%Y-%m-%dT%H:%MZ}" for cell, at in result.guidance.items()}
    if as_json:
        print_json(
            {
                "published": result.published,
                "added": result.added,
                "newest": newest,
                "guidance": issues,
                "fault": str(result.fault) if result.fault else None,
            }
        )
    else:
        for place, at in newest.items():
            click.echo(f"{'cell' if '-' in place else 'station'} {place}: newest hour {at}")
        for cell, at in issues.items():
            click.echo(f"cell {cell}: newest forecast of {at}")
    if result.fault is not None:
        raise result.fault
    if not result.published:
        raise NothingNew("the depot has these hours already")
