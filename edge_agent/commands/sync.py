"""`edge-agent sync`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.commands.common import (
    opened,
    standard_options,
)
from edge_agent.contract.errors import NothingNew
from edge_agent.system.console import print_json


@click.command()
@click.option(
    "--from",
    "place",
    metavar="URL|DIR",
    help="Pull from this address or folder (a USB stick) instead of the configured depot.",
)
@click.option(
    "--for-service",
    "state",
    type=click.Path(path_type=Path),
    hidden=True,
    help="Work as the child of the service that uses this state folder.",
)
@standard_options
def sync(place: str | None, state: Path | None, config_path: Path | None, as_json: bool) -> None:
    """Pull the approved release and observations now; a folder is checked as a server is.

    Exit 11: nothing new. Exit 75: try later. Exit 77: refused, the text names the file and says
    why. Whatever happens, the running release is untouched until a new one has passed every check.

    Example: edge-agent sync --from /media/usb/depot
    """
    from edge_agent.core.pull_process import work_for_the_service

    if state is not None:
        work_for_the_service()
    with opened(config_path, state) as runtime:
        pulled = runtime.fetch(place)()
        live = pulled.release or runtime.slots.load()
    if not pulled or live is None:
        raise NothingNew(f"nothing new: {pulled.none_because}; no new observations")
    manifest = live.manifest
    if as_json:
        print_json(
            {
                "release": manifest.release,
                "channel": manifest.channel,
                "created_at": manifest.created_at,
                "manifest_sha256": live.sha256,
                "reason": manifest.reason,
                "new_hours": pulled.hours,
                "new_guidance": pulled.guidance,
            }
        )
        return
    click.echo(
        f"release {manifest.release} ({manifest.channel}) is live: {manifest.reason}; "
        f"{pulled.hours} new hours of observations, {pulled.guidance} of KMA's forecasts"
    )
