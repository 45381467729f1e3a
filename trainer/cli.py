"""The `trainer` command line. Each command's module is imported only when it is called."""

from __future__ import annotations

import sys

import click

from edge_agent import __version__
from edge_agent.system.console import LazyGroup, run

_COMMANDS = {
    "backtest": "trainer.commands.evaluate:backtest",
    "canary": "trainer.commands.canary:canary",
    "daily": "trainer.commands.daily:daily",
    "evaluate": "trainer.commands.evaluate:evaluate",
    "farm": "trainer.commands.farm:farm",
    "fleet": "trainer.commands.fleet:fleet",
    "forecast": "trainer.commands.forecast:forecast",
    "import": "trainer.commands.ingest:import_files",
    "ingest": "trainer.commands.ingest:ingest",
    "init": "trainer.commands.workspace:init",
    "keys": "trainer.commands.keys:keys",
    "promote": "trainer.commands.release:promote",
    "publish-agent": "trainer.commands.programs:publish_agent",
    "relay": "trainer.commands.relay:relay",
    "report": "trainer.commands.report:report",
    "rollback": "trainer.commands.release:rollback",
    "rollout": "trainer.commands.release:rollout",
    "runs": "trainer.commands.status:runs",
    "serve": "trainer.commands.serve:serve",
    "status": "trainer.commands.status:status",
    "train": "trainer.commands.train:train",
    "tune": "trainer.commands.tune:tune",
    "warnings": "trainer.commands.relay:warnings",
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="trainer")
def cli() -> None:
    """Train weather models on KMA observations, gate them, and publish them signed.

    Example: trainer init farm && cd farm && trainer ingest --station 108 && trainer daily
    """


def entry() -> int:
    """Run the command line and return the exit code."""
    return run(cli, "trainer")


def main() -> None:
    """Console script."""
    sys.exit(entry())
