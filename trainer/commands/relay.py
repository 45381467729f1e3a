"""`trainer relay` and `trainer warnings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.contract.errors import NothingNew
from edge_agent.contract.warning_zones import name_of
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


@click.command()
@workspace_option
@json_option
@verbosity_options
def warnings(workspace: Workspace, as_json: bool) -> None:
    """Publish KMA's official warnings (기상특보) of the whole country for the farms.

    They come from the service of warnings on data.go.kr with KMA_SERVICE_KEY (apply for
    기상청_기상특보 조회서비스), else from the API hub with KMA_HUB_KEY (wrn_now_data). Exit 11:
    nothing is new. Run it every 10 minutes.

    Example: trainer warnings
    """
    from trainer.ingest.kma_client import KmaClient
    from trainer.relay import relay_warnings

    result = relay_warnings(KmaClient(workspace, SystemClock()))
    as_of = result.bundle.as_of
    standing = [each for each in result.bundle.warnings if each.stands(as_of)]
    if as_json:
        print_json(
            {
                "published": result.published,
                "added": result.added,
                "as_of": f"{as_of:%Y-%m-%dT%H:%MZ}",
                "standing": standing,
                "fault": str(result.fault) if result.fault else None,
            }
        )
    else:
        click.echo(f"as of {as_of:%Y-%m-%d %H:%M} UTC: {len(standing)} warnings stand")
        for each in standing:
            click.echo(f"{each.zone} {name_of(each.zone)}: {each.name}{each.level_name}")
    if result.fault is not None:
        raise result.fault
    if not result.published:
        raise NothingNew("the depot has these warnings already")
