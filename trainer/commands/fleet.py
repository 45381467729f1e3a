"""`trainer fleet`."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from edge_agent.clock import SystemClock
from edge_agent.console import print_json, verbosity_options
from edge_agent.errors import CannotCreate, ConfigError
from trainer.commands.options import json_option

_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--mqtt", "address", required=True, help="mqtt://host or mqtts://user@host:port.")
@click.option("--base", default="farm/v1", show_default=True, help="What topics begin with.")
@click.option("--password-file", type=_file, help="One line; or MQTT_PASSWORD.")
@click.option("--ca", type=_file, help="The broker's certificate authority, for mqtts://.")
@click.option(
    "--wait",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.1, 60.0),
    help="Seconds to listen after the last message.",
)
@click.option("--html", type=_file, help="Write the table as a page that opens offline.")
@click.option("--csv", "csv_path", type=_file, help="Write the table as CSV.")
@json_option
@verbosity_options
def fleet(
    *,
    address: str,
    base: str,
    password_file: Path | None,
    ca: Path | None,
    wait: float,
    html: Path | None,
    csv_path: Path | None,
    as_json: bool,
) -> None:
    """Show every device as it last told of itself: version, release, skill, faults, last seen.

    Reads what the broker retains and asks no device.

    Example: trainer fleet --mqtt mqtts://office@broker.farm --password-file pw --html fleet.html
    """
    from trainer.fleet import devices, to_csv, to_html, to_text
    from trainer.fleet_broker import Place, retained

    password = _password(password_file)
    messages = retained(Place.of(address), base, password=password, ca=ca, wait_s=wait)
    now = SystemClock().now()
    rows = devices(messages, base, now)
    if html:
        _write(html, to_html(rows, now))
    if csv_path:
        _write(csv_path, to_csv(rows))
    if as_json:
        print_json([msgspec.to_builtins(row) for row in rows])
    elif not rows:
        click.echo(f"no device below {base}: check --base and the broker's access list")
    elif not html and not csv_path:
        click.echo(to_text(rows))


def _password(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get("MQTT_PASSWORD")
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path}: cannot be read: {fault}") from fault


def _write(path: Path, text: str) -> None:
    from edge_agent.files import write_atomic

    try:
        write_atomic(path, text.encode())
    except OSError as fault:
        raise CannotCreate(f"{path}: {fault.strerror}; choose another place") from fault
