"""The `edge-agent` command line. Each command's module is imported only when it is called."""

from __future__ import annotations

import sys

import click

from edge_agent import __version__
from edge_agent.system.console import LazyGroup, run

_COMMANDS = {
    "check-config": "edge_agent.commands.check_config:check_config",
    "doctor": "edge_agent.commands.doctor:doctor",
    "drill": "edge_agent.commands.drill:drill",
    "history": "edge_agent.commands.history:history",
    "install": "edge_agent.commands.install:install",
    "once": "edge_agent.commands.once:once",
    "queue": "edge_agent.commands.queue:queue",
    "release": "edge_agent.commands.status:release",
    "replay": "edge_agent.commands.replay:replay",
    "run": "edge_agent.commands.run:run_service",
    "self-test": "edge_agent.commands.self_test:self_test",
    "self-update": "edge_agent.commands.self_update:self_update",
    "status": "edge_agent.commands.status:status",
    "support-bundle": "edge_agent.commands.doctor:support_bundle",
    "sync": "edge_agent.commands.sync:sync",
    "uninstall": "edge_agent.commands.install:uninstall",
    "water": "edge_agent.commands.water:water",
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="edge-agent")
def cli() -> None:
    """Forecasts, alerts and watering advice for one farm, with or without a link.

    Example: edge-agent --help; edge-agent check-config --config /etc/edge-agent/config.toml
    """


def entry() -> int:
    """Run the command line and return the exit code."""
    return run(cli, "edge-agent")


def main() -> None:
    """Console script."""
    sys.exit(entry())
