"""`trainer relay`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.clock import SystemClock
from edge_agent.console import print_json, verbosity_options
from edge_agent.errors import NothingNew
from trainer.commands.options import config_option, json_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.option("--station", "stations", type=int, multiple=True, help="ASOS number; repeatable.")
@config_option
@json_option
@verbosity_options
def relay(stations: tuple[int, ...], config_path: Path | None, as_json: bool) -> None:
    """Publish the newest hourly observations for farms without a sensor.

    With KMA_HUB_KEY the hours up to now come from KMA's API hub; without it, from the lake.
    Exit 11: nothing is new. Run it every hour, about 15 minutes past.

    Example: trainer relay --station 108
    """
    from trainer.relay import relay as pass_on
    from trainer.workspace import Workspace

    done = pass_on(Workspace.open(config_path), SystemClock(), stations=stations)
    newest = {str(number): f"{at:%Y-%m-%dT%H:%MZ}" for number, at in done.newest.items()}
    if as_json:
        fault = str(done.fault) if done.fault else None
        print_json(
            {"published": done.published, "added": done.added, "newest": newest, "fault": fault}
        )
    else:
        for number, at in newest.items():
            click.echo(f"station {number}: newest hour {at}")
    if done.fault is not None:
        raise done.fault
    if not done.published:
        raise NothingNew("the depot has these hours already")
