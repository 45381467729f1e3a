"""`trainer farm`: farms' own hours in the lake."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_agent.contract.errors import BadData, NothingNew, UsageError
from edge_agent.contract.hours import korean_midnight
from edge_agent.contract.schema import TARGETS, Site
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.broker import broker_options
from trainer.commands.faults import Faults
from trainer.commands.options import day_type, json_option, number_type, workspace_option

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from edge_agent.contract.farm_identity import Identity
    from trainer.commands.broker import Broker
    from trainer.workspace.farms import Extent
    from trainer.workspace.lake import Merge
    from trainer.workspace.places import FarmId
    from trainer.workspace.workspace import Workspace


FAR_KM = 100.0
"""No place in Korea is farther from a station of KMA: Dokdo lies 87 km from Ulleungdo."""
_IDENTITY = ("site", "device", "latitude", "longitude", "elevation_m")


def _identity_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --site and its companions; the command gets them as `given`, None without any."""

    @click.option("--site", help="Site of the farm, where the file does not say it.")
    @click.option("--device", help="Id of the device, likewise.")
    @click.option("--latitude", type=number_type, help="Degrees north, likewise.")
    @click.option("--longitude", type=number_type, help="Degrees east, likewise.")
    @click.option(
        "--elevation", "elevation_m", type=number_type, help="Metres above the sea, likewise."
    )
    @wraps(command)
    def with_identity(**options: Any) -> None:  # noqa: ANN401 - the command's own
        fields = {name: options.pop(name) for name in _IDENTITY}
        command(given=_identity(fields), **options)

    return with_identity


def _identity(fields: dict[str, Any]) -> Identity | None:
    from edge_agent.contract.farm_identity import decode

    lacking = [name for name, value in fields.items() if value is None]
    if len(lacking) == len(fields):
        return None
    if lacking:
        raise UsageError(f"--{lacking[0].removesuffix('_m')} lacks: give all five or none")
    try:
        return decode(msgspec.json.encode({**fields, "source": "import"}))
    except BadData as fault:
        raise UsageError(str(fault)) from fault


@click.group()
def farm() -> None:
    """Hours that farms measured themselves: bring them in, list them, say where a farm is.

    Example: trainer farm import hill.parquet && trainer farm ls
    """


@farm.command("import")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@_identity_options
@workspace_option
@json_option
@verbosity_options
def import_files(
    *, workspace: Workspace, files: tuple[Path, ...], given: Identity | None, as_json: bool
) -> None:
    """Bring in exports of `edge-agent history export`, or tables in our names from elsewhere.

    Example: trainer farm import hill.parquet; trainer farm import old.csv --site hill --device a
    --latitude 37.5 --longitude 127.0 --elevation 86
    """
    from trainer.ingest import farm_files

    clock = SystemClock()
    rows: list[dict[str, Any]] = []
    faults = Faults()
    for path in files:
        with faults.collected():
            farm_id, merge = farm_files.bring(workspace, clock, path, given)
            rows.append({"file": str(path), **_row(farm_id, merge)})
            if not as_json:
                click.echo(f"{path.name}: {_line(farm_id, merge)}")
    if as_json:
        print_json(rows)
    faults.end()


@farm.command()
@broker_options
@workspace_option
@json_option
@verbosity_options
def collect(*, broker: Broker, workspace: Workspace, as_json: bool) -> None:
    """Take in the last week of every farm that shares it, from what the broker retains.

    Twice is once. A message that is not as agreed is named and passed over; exit 65 where there
    were only such, 11 where nothing was new.

    Example: trainer farm collect --mqtt mqtts://office@broker.farm --password-file pw
    """
    from trainer.fleet import farm_histories

    heard = broker.hear([farm_histories.KIND])
    with workspace.lake_lock():
        now = SystemClock().now()
        result = farm_histories.collect(workspace.lake, heard.messages, broker.base, now)
    passed_over = [*result.passed_over, *(f"{topic}: too long" for topic in heard.too_long)]
    for text in passed_over:
        click.echo(f"trainer: passed over: {text}", err=True)
    new = {
        farm_id: merge for farm_id, merge in result.merges.items() if merge.added or merge.changed
    }
    if as_json:
        rows = [_row(farm_id, merge) for farm_id, merge in result.merges.items()]
        print_json({"farms": rows, "passed_over": passed_over})
    else:
        for farm_id, merge in new.items():
            click.echo(_line(farm_id, merge))
    if passed_over and not result.merges:
        raise BadData("nothing was taken in: each message was passed over")
    if not result.merges:
        raise NothingNew(
            f"no farm shares its history below {broker.base}: see [mqtt] share_history of the "
            "agents, --base, and the broker's access list"
        )
    if not new:
        raise NothingNew("the lake has all that the farms tell")


@farm.command()
@click.argument("name", metavar="SITE/DEVICE")
@click.option("--latitude", type=number_type, required=True, help="Degrees north.")
@click.option("--longitude", type=number_type, required=True, help="Degrees east.")
@click.option(
    "--elevation", "elevation_m", type=number_type, required=True, help="Metres above the sea."
)
@click.option(
    "--since",
    type=day_type,
    help="First Korean day there: no hour before counts. Default: it was there all along.",
)
@workspace_option
@verbosity_options
def move(*, workspace: Workspace, name: str, since: date | None, **place: float) -> None:
    """Enrol a farm at another place; hours are taken from devices within 1 km and 30 m of it.

    Without --since the former place was a mistake, and all hours stay the farm's. No hour is
    removed.

    Example: trainer farm move hill/edge-1 --latitude 37.6 --longitude 127.1 --elevation 120 --since
    2026-05-01
    """
    from edge_agent.contract import stations
    from trainer.workspace import farms
    from trainer.workspace.places import FarmId

    begin = None if since is None else korean_midnight(since)
    with workspace.lake_lock():
        moved = farms.move(workspace.lake, FarmId.of(name), Site(**place), begin)
    counted = "all its hours count" if since is None else f"hours from {since} (KST) on count"
    nearest, far = stations.nearest(Site(**place))
    if far > FAR_KM:
        text = f"lies outside Korea: the nearest station is {nearest.number}, {far:.0f} km away"
        click.echo(f"warning: farm {moved.id}: {text}", err=True)
    if begin is not None and begin > SystemClock().now():
        click.echo(
            f"warning: farm {moved.id}: {since} is still to come, so no hour counts", err=True
        )
    click.echo(f"farm {moved.id}: enrolled at another place; {counted}")


@farm.command()
@workspace_option
@json_option
@verbosity_options
def ls(workspace: Workspace, as_json: bool) -> None:
    """List the farms of the lake: their hours, from when to when, and what is missing of them.

    Example: trainer farm ls --json
    """
    from trainer.workspace import farms

    lake = workspace.lake
    extents: dict[FarmId, Extent] = {}
    faults = Faults()
    for farm_id in farms.farm_ids(lake):
        with faults.collected():
            extents[farm_id] = farms.extent(lake, farms.farm(lake, farm_id))
    if as_json:
        print_json(
            [
                {"farm": str(i), **msgspec.to_builtins(farm_extent)}
                for i, farm_extent in extents.items()
            ]
        )
    elif extents:
        _list(extents)
    elif faults.first is None:
        click.echo("no farm yet: see trainer farm import --help")
    faults.end()


def _list(extents: dict[FarmId, Extent]) -> None:
    # Of the hours between, those without temperature, and those without humidity.
    click.echo(f"{'farm':30} {'hours':>7} {'from':10} {'to (UTC)':16} {'no T':>6} {'no RH':>6}")
    for farm_id, held in extents.items():
        if held.first is None or held.last is None:
            click.echo(f"{farm_id!s:30} {held.hours:7}")
            continue
        shares = " ".join(f"{held.missing[target]:6.1%}" for target in TARGETS)
        click.echo(
            f"{farm_id!s:30} {held.hours:7} {held.first:%Y-%m-%d} {held.last:%Y-%m-%d %H:%M} "
            f"{shares}"
        )


def _row(farm_id: FarmId, merge: Merge) -> dict[str, Any]:
    return {"farm": str(farm_id), **msgspec.to_builtins(merge)}


def _line(farm_id: FarmId, merge: Merge) -> str:
    return f"farm {farm_id}: {merge.added} hours new, {merge.changed} changed"
