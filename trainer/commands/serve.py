"""`trainer serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.contract.errors import Unavailable
from edge_agent.system.console import verbosity_options
from trainer.commands.options import workspace_option

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port; 0 = any free one.")
@workspace_option
@verbosity_options
def serve(host: str, port: int, workspace: Workspace) -> None:
    """Serve the depot, read-only: for trials; any web server does it in production.

    Example: trainer serve --host 0.0.0.0 --port 8080
    """
    from trainer.depot.serve import DepotServer

    try:
        server = DepotServer(workspace.depot, host, port)
    except OSError as fault:
        raise Unavailable(
            f"cannot listen on {host}:{port}: {fault.strerror}: choose another --port"
        ) from fault
    with server:
        click.echo(f"{workspace.depot} at {server.url} (stop with Ctrl-C)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped")
