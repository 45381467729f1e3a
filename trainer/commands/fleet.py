"""`trainer fleet`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from edge_agent.contract.errors import CannotCreate
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.broker import broker_options
from trainer.commands.options import json_option

if TYPE_CHECKING:
    from trainer.commands.broker import Broker

_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@broker_options
@click.option("--html", type=_file, help="Write the table as a page that opens offline.")
@click.option("--csv", "csv_path", type=_file, help="Write the table as CSV.")
@json_option
@verbosity_options
def fleet(
    *,
    broker: Broker,
    html: Path | None,
    csv_path: Path | None,
    as_json: bool,
) -> None:
    """Show every device as it last told of itself: version, release, skill, faults, last seen.

    Reads what the broker retains and asks no device.

    Example: trainer fleet --mqtt mqtts://office@broker.farm --password-file pw --html fleet.html
    """
    from trainer.fleet.table import KINDS, devices, to_csv, to_html, to_text

    heard = broker.hear(KINDS)
    for topic in heard.too_long:
        click.echo(f"{topic}: too long, passed over", err=True)
    now = SystemClock().now()
    rows = devices(heard.messages, broker.base, now)
    if html:
        _write(html, to_html(rows, now))
    if csv_path:
        _write(csv_path, to_csv(rows))
    if as_json:
        print_json([msgspec.to_builtins(row) for row in rows])
    elif not rows:
        click.echo(f"no device below {broker.base}: check --base and the broker's access list")
    elif not html and not csv_path:
        click.echo(to_text(rows))


def _write(path: Path, text: str) -> None:
    from edge_agent.system.files import write_atomic

    try:
        write_atomic(path, text.encode())
    except OSError as fault:
        raise CannotCreate(f"{path}: {fault.strerror}; choose another place") from fault
