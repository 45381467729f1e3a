"""`edge-agent history`: the alerts that were said, and the hours that the farm measured."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import click
import msgspec

from edge_agent import config
from edge_agent.commands.config import config_option, json_option
from edge_agent.contract.errors import CannotCreate, InputMissing, UsageError
from edge_agent.system import locations
from edge_agent.system.console import print_json, verbosity_options
from edge_agent.system.files import write_atomic

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.settings import Config

_day = click.DateTime(["%Y-%m-%d"])
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@click.group(invoke_without_command=True)
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 2000))
@config_option
@json_option
@verbosity_options
@click.pass_context
def history(context: click.Context, count: int, config_path: Path | None, as_json: bool) -> None:
    """The last alerts that were raised, updated and cleared, oldest first.

    Example: edge-agent history --count 50
    """
    from edge_agent.core.runtime import opened

    if context.invoked_subcommand:
        return
    with opened(config_path) as runtime:
        said = runtime.log.newest(count)
    if as_json:
        print_json([msgspec.to_builtins(line) for line in said])
        return
    for line in said:
        click.echo(f"{line.at:%Y-%m-%d %H:%M} UTC  {line.rule}  {line.edge}  {line.text}")
    if not said:
        click.echo("no alert so far")


@history.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from", "first", type=_day, help="First day, local time (default: the oldest).")
@click.option("--to", "last", type=_day, help="Last day, local time (default: the newest).")
@config_option
@json_option
@verbosity_options
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
    settings = config.load(config_path, os.environ)
    if not any(sensor.role == "outdoor" for sensor in settings.sensors):
        raise InputMissing(
            "no outdoor sensor is configured, so the farm has no hours of its own: add [[sensors]]"
        )
    frame = _read(settings, first, last)
    if frame.is_empty():
        raise InputMissing(
            "nothing is stored of the farm's own outdoor sensors in that time: see "
            "`edge-agent status` for how old their newest hour is"
        )
    _write_new(file, encoder(frame, history_export.identity(settings.device)))
    done = {
        "file": str(file),
        "hours": frame.height,
        "from": frame["time"][0],
        "to": frame["time"][-1],
        "quantities": frame.columns[1:],
    }
    if as_json:
        print_json(done)
    else:
        click.echo(
            f"{file}: {frame.height} hours from {done['from']:%Y-%m-%d %H:%M} to "
            f"{done['to']:%Y-%m-%d %H:%M} UTC of {', '.join(frame.columns[1:])}"
        )


def _read(settings: Config, first: datetime | None, last: datetime | None) -> pl.DataFrame:
    from edge_agent.core.runtime import DATABASE
    from edge_agent.observations import export as history_export
    from edge_agent.observations.store import Store
    from edge_agent.system.clock import SystemClock
    from edge_agent.system.database import connect_to_read
    from edge_agent.system.privileges import work_as_owner

    zone = ZoneInfo(settings.device.timezone)
    start = first.replace(tzinfo=zone) if first else _NEVER
    end = SystemClock().now()
    if last is not None:
        end = (last + timedelta(days=1)).replace(tzinfo=zone) - timedelta(seconds=1)
    if end < start:
        raise UsageError("--from lies after --to")
    state = locations.state_folder(settings.storage.path, os.environ, root=os.geteuid() == 0)
    work_as_owner(state)
    place = state / DATABASE
    if not place.is_file():
        raise InputMissing(f"{place}: no such file; the agent has not run yet, or look elsewhere")
    with closing(connect_to_read(place)) as db:
        return history_export.hours(Store(db), start, end)


def _write_new(path: Path, content: bytes) -> None:
    if path.exists():
        raise CannotCreate(f"{path}: is there already; name a new file")
    try:
        write_atomic(path, content)
    except OSError as fault:
        raise CannotCreate(f"{path}: {fault.strerror}; choose another place") from fault
