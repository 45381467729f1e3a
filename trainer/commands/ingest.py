"""`trainer ingest` and `trainer import`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.contract.errors import NothingNew, UsageError
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, set_up_logging, verbosity_options
from trainer.commands.faults import Faults
from trainer.commands.options import day_type, json_option, numbers_type, workspace_option
from trainer.workspace.kma_sources import SOURCES

if TYPE_CHECKING:
    from datetime import date

    from edge_agent.contract.dfs_grid import Cell
    from trainer.ingest.kma_client import KmaClient
    from trainer.ingest.source import RequestPlan
    from trainer.workspace.workspace import Workspace

_NAMES = tuple(source.name for source in SOURCES)
_BRINGS = [source.brings for source in SOURCES]


@click.command()
@click.option(
    "--source",
    type=click.Choice(_NAMES),
    default=_NAMES[0],
    show_default=True,
    help=f"{', '.join(_BRINGS[:-1])}, or {_BRINGS[-1]}.",
)
@click.option("--station", "stations", type=int, multiple=True, help="ASOS number; repeatable.")
@click.option("--all-stations", is_flag=True, help="All of KMA's ASOS stations.")
@click.option("--from", "first", type=day_type, help="First day, KST (default: start of settings).")
@click.option("--to", "last", type=day_type, help="Last day, KST (default: newest that is out).")
@click.option("--dry-run", is_flag=True, help="Print the requests and minutes it would take.")
@click.option("--rebuild", is_flag=True, help="Make the tidy lake anew from what is kept raw.")
@workspace_option
@json_option
@verbosity_options
def ingest(
    *,
    workspace: Workspace,
    source: str,
    stations: tuple[int, ...],
    all_stations: bool,
    first: date | None,
    last: date | None,
    dry_run: bool,
    rebuild: bool,
    as_json: bool,
) -> None:
    """Fetch the hours that the lake lacks, oldest first.

    With --rebuild nothing is fetched: observations and forecasts of all sources are read again from
    the answers and imported files in the raw store; rows that are still to come are left out.
    Exit 11: the lake is what they say.

    Example: trainer ingest --station 108 --from 2024-01-01 --to 2024-12-31
    """
    from edge_agent.contract.stations import stations as known_stations
    from trainer.commands.progress import progress
    from trainer.ingest.kma_client import KmaClient
    from trainer.ingest.registry import MODULES
    from trainer.ingest.source import Selection

    if not logging.getLogger().handlers:
        set_up_logging(0)
    if rebuild:
        if dry_run or all_stations or stations or first or last:
            raise UsageError("--rebuild is of the whole lake: give no station, day or --dry-run")
        _rebuild(workspace, as_json=as_json)
        return
    client = KmaClient(workspace, SystemClock())
    selection = Selection(tuple(known_stations()) if all_stations else stations, first, last)
    if dry_run:
        _show_plan(MODULES[source].plan(client, selection), client, as_json=as_json)
        return
    result = MODULES[source].fetch(client, selection, progress)
    if as_json:
        print_json(result.document())
    else:
        for line in result.lines():
            click.echo(line)
    result.check()


def _rebuild(workspace: Workspace, *, as_json: bool) -> None:
    from trainer.ingest.rebuild import rebuild

    result = rebuild(workspace, SystemClock().now())
    if as_json:
        print_json(result)
    else:
        click.echo(
            f"lake: {result.read} raw answers and files read; "
            f"{len(result.replaced)} of {result.files} tidy files replaced"
        )
    if not result.replaced:
        raise NothingNew("the lake is what its raw answers say")


def _show_plan(plan: RequestPlan, client: KmaClient, *, as_json: bool) -> None:
    minutes = round(client.minutes(plan.requests), 1)
    if as_json:
        document = {
            "requests": plan.requests,
            "hours": plan.hours,
            "minutes": minutes,
            "stations": plan.stations,
        }
        print_json({name: value for name, value in document.items() if value is not None})
        return
    lacking = ""
    if plan.stations is not None:
        lacking = f"{plan.hours} hours of {len(plan.stations)} stations are missing: "
    click.echo(
        f"{lacking}{plan.requests} requests, about {minutes} minutes "
        f"({client.workspace.config.kma.requests_per_day} requests a day allowed)"
    )


@click.command("import")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--station", type=int, help="ASOS number of rows that do not say it.")
@click.option(
    "--cell",
    "numbers",
    type=numbers_type,
    metavar="NX,NY",
    help="Grid cell of past forecasts that do not say it.",
)
@click.option(
    "--place",
    type=numbers_type,
    metavar="LAT,LON",
    help="The same by latitude and longitude.",
)
@workspace_option
@json_option
@verbosity_options
def import_files(
    *,
    workspace: Workspace,
    files: tuple[Path, ...],
    station: int | None,
    numbers: tuple[float, ...] | None,
    place: tuple[float, ...] | None,
    as_json: bool,
) -> None:
    """Bring in files: Parquet or CSV in KMA's names or ours, CSV from KMA's portal.

    Hours of stations, or past village forecasts of a grid cell (a file for each category).

    Example: trainer import asos_108_2013_2018.parquet OBS_ASOS_TIM_2024.csv --station 108
    """
    from trainer.ingest.importer import Import

    cell = _cell(numbers, place)
    importer = Import(workspace, SystemClock())
    rows: list[dict[str, Any]] = []
    faults = Faults()
    for path in files:
        with faults.collected():
            result = importer.bring(path, station, cell)
            rows += [{"file": str(path), **row} for row in result]
            if as_json:
                continue
            for row in result:
                click.echo(f"{path.name}: {_brought(row)}")
    if as_json:
        print_json(rows)
    faults.end()


def _cell(numbers: tuple[float, ...] | None, place: tuple[float, ...] | None) -> Cell | None:
    from edge_agent.contract.dfs_grid import cell_at, cell_of

    if place is not None:
        cell = cell_of(*place)
        if numbers is not None and numbers != (cell.nx, cell.ny):
            raise UsageError(f"--place lies in cell {cell.nx},{cell.ny}, not in that of --cell")
        return cell
    if numbers is None:
        return None
    if any(number % 1 for number in numbers):
        raise UsageError("--cell takes two whole numbers")
    return cell_at(*map(int, numbers))


def _brought(row: dict[str, Any]) -> str:
    if "station" in row:
        return (
            f"station {row['station']}: {row['rows']} rows, "
            f"{row['added']} new, {row['changed']} changed"
        )
    return (
        f"cell {row['cell']}: {row['rows']} forecasts, "
        f"{row['added']} new, {row['completed']} completed, {row['differing']} values differ"
    )
