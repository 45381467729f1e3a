"""`trainer init`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.console import verbosity_options


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@verbosity_options
def init(folder: Path) -> None:
    """Make a workspace: settings, signing keys, empty lake and depot.

    Example: trainer init farm && cd farm && trainer ingest --station 108
    """
    from trainer.workspace import create

    workspace = create(folder)
    click.echo(f"{workspace.root}: workspace made")
    click.echo(f"  {workspace.root / 'trainer.toml'}: settings, every key explained")
    click.echo(f"  {workspace.keys}: signing keys; keep a copy elsewhere, and away from the web")
    click.echo(f"  {workspace.root / 'root.json'}: give this file to every device")
    click.echo("next: set KMA_SERVICE_KEY and run `trainer ingest` there")
