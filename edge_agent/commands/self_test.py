"""`edge-agent self-test`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.commands.common import (
    read_config,
    standard_options,
    state_folder,
)
from edge_agent.contract.errors import InputMissing
from edge_agent.ops import self_test as self_tests
from edge_agent.settings import Config
from edge_agent.system.console import print_json
from edge_agent.updates.slots import Slots

if TYPE_CHECKING:
    from pathlib import Path

EXIT_FOUND_ERRORS = 1


@click.command("self-test")
@standard_options
def self_test(config_path: Path | None, as_json: bool) -> None:
    """Check this installation: libraries, database, the installed release's golden windows.

    Forecasts on plain weather with it too, with this farm's own corrections where it has some.
    Works without a configuration; what needs a release is then skipped. Exit 1: a check failed.

    Example: edge-agent self-test
    """
    checks = []
    settings = _settings(config_path)
    installed = Slots(state_folder(settings)).load()
    for check in self_tests.run(installed, settings.device.full_id):
        checks.append(check)
        if not as_json:
            click.echo(f"{check.outcome:<8}{check.name}: {check.detail}")
    good = all(check.outcome != "failed" for check in checks)
    if as_json:
        print_json({"ok": good, "checks": checks})
    if not good:
        raise click.exceptions.Exit(EXIT_FOUND_ERRORS)


def _settings(config_path: Path | None) -> Config:
    try:
        return read_config(config_path)
    except InputMissing:
        if config_path is not None:
            raise
        return Config()
