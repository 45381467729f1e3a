"""`edge-agent sync`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from edge_agent import config, locations
from edge_agent.clock import SystemClock
from edge_agent.commands.config import config_option, json_option
from edge_agent.console import print_json, verbosity_options

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.option(
    "--from",
    "place",
    metavar="URL|DIR",
    help="Pull from this address or folder (a USB stick) instead of the configured depot.",
)
@config_option
@json_option
@verbosity_options
def sync(place: str | None, config_path: Path | None, as_json: bool) -> None:
    """Pull the approved release now; a folder is checked exactly as a server is.

    Exit 11: nothing new. Exit 75: try later. Exit 77: refused, the text names the file and says
    why. Whatever happens, the running release is untouched until a new one has passed every check.

    Example: edge-agent sync --from /media/usb/depot
    """
    from edge_agent.updates.assemble import open_updater

    loaded = config.load(config_path, os.environ)
    state = locations.state_folder(loaded.storage.path, os.environ, root=os.geteuid() == 0)
    with open_updater(loaded, state, SystemClock(), place=place) as updater:
        installed = updater.sync()
    manifest = installed.manifest
    if as_json:
        print_json(
            {
                "release": manifest.release,
                "channel": manifest.channel,
                "created_at": manifest.created_at,
                "manifest_sha256": installed.sha256,
                "reason": manifest.reason,
            }
        )
        return
    click.echo(f"release {manifest.release} ({manifest.channel}) is live: {manifest.reason}")
