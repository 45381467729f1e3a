"""`edge-agent check-config`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_agent import config
from edge_agent.alerts import default_rules
from edge_agent.commands.common import standard_options
from edge_agent.core.masking import PASSWORD_CREDENTIAL, masked
from edge_agent.system import locations
from edge_agent.system.console import is_quiet, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@click.command()
@standard_options
def check_config(config_path: Path | None, as_json: bool) -> None:
    """Check the configuration; print it as it takes effect, secrets masked.

    Every error is listed with its line, its key and what is allowed; exit 78 when there is any.

    Example: edge-agent check-config --config /etc/edge-agent/config.toml
    """
    path = locations.config_file(config_path, os.environ)
    try:
        settings = config.load(path, os.environ)
        # Read here, so that an error shows now and not at the first connection.
        password = locations.secret(settings.mqtt.password_file, PASSWORD_CREDENTIAL, os.environ)
    except config.InvalidConfig as fault:
        if as_json:
            errors = [{"path": p.path, "line": p.line, "error": p.text} for p in fault.problems]
            print_json({"file": str(path), "ok": False, "errors": errors})
        for problem in fault.problems:
            line = f":{problem.line}" if problem.line else ""
            click.echo(f"{path}{line}: {problem}", err=True)
        raise click.exceptions.Exit(fault.exit_code) from fault
    effective = masked(settings)
    effective["mqtt"]["password"] = "***" if password else ""
    if not settings.rules:
        effective["rules"] = msgspec.to_builtins(default_rules.rules(settings))
    if as_json:
        print_json({"file": str(path), "ok": True, "errors": [], "config": effective})
        return
    if is_quiet():
        return
    click.echo(f"{path}: good. In effect:\n")
    for line in _lines(effective, ""):
        click.echo(line)


def _lines(value: Any, at: str) -> Iterator[str]:  # noqa: ANN401 - plain values of any shape
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lines(item, f"{at}.{key}" if at else key)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _lines(item, f"{at}[{index}]")
    elif value is not None:
        yield f"{at} = {msgspec.json.encode(value).decode()}"
