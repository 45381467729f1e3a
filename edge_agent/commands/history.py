"""`edge-agent history`: the alerts that were sent, and the hours that the farm measured."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import click
import msgspec

from edge_agent.commands.common import (
    open_state_in_use,
    opened,
    read_config,
    standard_options,
)
from edge_agent.contract.errors import CannotCreate, InputMissing, UsageError
from edge_agent.system.console import print_json
from edge_agent.system.files import write_atomic

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.settings import Config

_day = click.DateTime(["%Y-%m-%d"])
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@click.group(invoke_without_command=True)
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 2000))
@standard_options
@click.pass_context
def history(context: click.Context, count: int, config_path: Path | None, as_json: bool) -> None:
    """The last alerts that were raised, updated and cleared, oldest first.

    Example: edge-agent history --count 50
    """
    if context.invoked_subcommand:
        return
    from edge_agent.core import service_answer
    from edge_agent.core.status_document import written_at

    with opened(config_path) as runtime:
        answer = service_answer.ask(runtime.state)
        # While the disk refuses, the service alone knows the newest alerts.
        in_memory = None if answer is None else answer.edges
        alerts = runtime.log.newest(count) if in_memory is None else in_memory[-count:]
        written = written_at(runtime) if answer is None else None
    if written is not None:
        click.echo(f"up to {written:%Y-%m-%d %H:%M} UTC: the service does not answer", err=True)
    if as_json:
        print_json([msgspec.to_builtins(alert) for alert in alerts])
        return
    for alert in alerts:
        click.echo(f"{alert.at:%Y-%m-%d %H:%M} UTC  {alert.rule}  {alert.edge}  {alert.text}")
    if not alerts:
        click.echo("no alert so far")


@history.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from", "first", type=_day, help="First day, local time (default: the oldest).")
@click.option("--to", "last", type=_day, help="Last day, local time (default: the newest).")
@standard_options
def export(
    *,
    file: Path,
    first: datetime | None,
    last: datetime | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Write the hours of the farm's own outdoor sensors to a new .parquet or .csv file.

    Relayed stations are left out. The file says which device it is of and where that stands; with
    it `trainer farm import` trains on the farm's own history. Works beside a running service.

    Example: edge-agent history export /media/usb/farm.parquet
    """
    from edge_agent.observations import export as history_export

    encoder = {".parquet": history_export.to_parquet, ".csv": history_export.to_csv}.get(
        file.suffix.lower()
    )
    if encoder is None:
        raise UsageError(f"{file}: name a .parquet or a .csv file")
    settings = read_config(config_path)
    if not any(sensor.role == "outdoor" for sensor in settings.sensors):
        raise InputMissing(
            "no outdoor sensor is configured, so the farm has no hours of its own: add [[sensors]]"
        )
    frame = _read(settings, open_state_in_use(settings, config_path), first, last)
    if frame.is_empty():
        raise InputMissing(
            "nothing is stored of the farm's own outdoor sensors in that time: see "
            "`edge-agent status` for how old their newest hour is"
        )
    _write_new(file, encoder(frame, history_export.identity(settings.device)))
    summary = {
        "file": str(file),
        "hours": frame.height,
        "from": frame["time"][0],
        "to": frame["time"][-1],
        "quantities": frame.columns[1:],
    }
    if as_json:
        print_json(summary)
    else:
        click.echo(
            f"{file}: {frame.height} hours from {summary['from']:%Y-%m-%d %H:%M} to "
            f"{summary['to']:%Y-%m-%d %H:%M} UTC of {', '.join(frame.columns[1:])}"
        )


def _read(
    settings: Config, state: Path, first: datetime | None, last: datetime | None
) -> pl.DataFrame:
    from edge_agent.core.runtime import DATABASE
    from edge_agent.observations import export as history_export
    from edge_agent.observations.store import Store
    from edge_agent.system.clock import SystemClock
    from edge_agent.system.database import connect_to_read

    zone = ZoneInfo(settings.device.timezone)
    start = first.replace(tzinfo=zone) if first else _NEVER
    end = SystemClock().now()
    if last is not None:
        end = (last + timedelta(days=1)).replace(tzinfo=zone) - timedelta(seconds=1)
    if end < start:
        raise UsageError("--from lies after --to")
    path = state / DATABASE
    if not path.is_file():
        raise InputMissing(f"{path}: no such file; the agent has not run yet, or look elsewhere")
    with closing(connect_to_read(path)) as db:
        return history_export.hours(Store(db), start, end)


def _write_new(path: Path, content: bytes) -> None:
    if path.exists():
        raise CannotCreate(f"{path}: is there already; name a new file")
    try:
        write_atomic(path, content)
    except OSError as fault:
        raise CannotCreate(f"{path}: {fault.strerror}; choose another place") from fault
