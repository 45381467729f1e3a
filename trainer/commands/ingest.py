"""`trainer ingest` and `trainer import`."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.contract.errors import NothingNew, UsageError
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, set_up_logging, verbosity_options
from trainer.commands.faults import Faults
from trainer.commands.options import config_option, day_type, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from trainer.commands.progress import Progress
    from trainer.ingest.asos import Job, Outcome
    from trainer.ingest.pipeline import Request, Summary
    from trainer.workspace.workspace import Workspace


@click.command()
@click.option(
    "--source",
    type=click.Choice(("asos", "hub", "village")),
    default="asos",
    show_default=True,
    help="Archive of hours, newest hours, or forecasts and nowcasts of grid cells.",
)
@click.option("--station", "stations", type=int, multiple=True, help="ASOS number; repeatable.")
@click.option("--all-stations", is_flag=True, help="All of KMA's ASOS stations.")
@click.option("--from", "first", type=day_type, help="First day, KST (default: start of settings).")
@click.option("--to", "last", type=day_type, help="Last day, KST (default: newest that is out).")
@click.option("--dry-run", is_flag=True, help="Print the requests and minutes it would take.")
@click.option("--rebuild", is_flag=True, help="Make the tidy lake anew from what is kept raw.")
@config_option
@json_option
@verbosity_options
def ingest(
    *,
    source: str,
    stations: tuple[int, ...],
    all_stations: bool,
    first: date | None,
    last: date | None,
    dry_run: bool,
    rebuild: bool,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Fetch the hours that the lake lacks, oldest first.

    With --rebuild nothing is fetched: observations and forecasts of all sources are read again from
    the answers and imported files in the raw store. Exit 11: the lake is what they say.

    Example: trainer ingest --station 108 --from 2024-01-01 --to 2024-12-31
    """
    from trainer.ingest import pipeline
    from trainer.workspace.stations import stations as all_of_them
    from trainer.workspace.workspace import Workspace

    if not logging.getLogger().handlers:
        set_up_logging(0)
    workspace, clock = Workspace.open(config_path), SystemClock()
    if rebuild:
        if dry_run or all_stations or stations or first or last:
            raise UsageError("--rebuild is of the whole lake: give no station, day or --dry-run")
        _rebuild(workspace, as_json=as_json)
        return
    chosen = tuple(all_of_them()) if all_stations else stations
    if source != "asos":
        _other(source, workspace, chosen, first, last, dry_run=dry_run, as_json=as_json)
        return
    wanted = pipeline.request(
        workspace,
        clock,
        stations=chosen,
        first=first,
        last=last,
    )
    if dry_run:
        _show_plan(pipeline.plan_only(workspace, clock, wanted), workspace, as_json)
        return
    summary = run_with_progress(workspace, clock, wanted)
    if as_json:
        print_json(_document(summary))
    elif summary.answered or not summary.left:
        _show(summary)
    summary.check()


def _rebuild(workspace: Workspace, *, as_json: bool) -> None:
    from trainer.ingest.rebuild import rebuild

    done = rebuild(workspace)
    if as_json:
        print_json(done)
    else:
        click.echo(
            f"lake: {done.read} raw answers and files read; {len(done.replaced)} of {done.files} "
            "tidy files replaced"
        )
    if not done.replaced:
        raise NothingNew("the lake is what its raw answers say")


def _other(
    source: str,
    workspace: Workspace,
    stations: tuple[int, ...],
    first: date | None,
    last: date | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from trainer.commands import sources

    chosen = tuple(dict.fromkeys(stations or workspace.config.stations))
    if source == "hub":
        sources.ingest_hub(workspace, chosen, first, last, dry_run=dry_run, as_json=as_json)
    elif first or last:
        raise UsageError("--from and --to are not for village: KMA keeps forecasts for two days")
    else:
        farms = () if stations else workspace.config.farms
        sources.ingest_village(workspace, chosen, farms, dry_run=dry_run, as_json=as_json)


def run_with_progress(workspace: Workspace, clock: SystemClock, wanted: Request) -> Summary:
    """Fetch what the lake lacks, with a bar or log lines."""
    from trainer.commands.progress import progress
    from trainer.ingest import pipeline

    with ExitStack() as stack:
        shown: list[tuple[Progress, Callable[[], int]]] = []

        def started(jobs: Sequence[Job], left: Callable[[], int]) -> None:
            total = sum(len(job.windows) for job in jobs)
            shown.append((stack.enter_context(progress("ingest", total)), left))

        def report(station: int, outcome: Outcome) -> None:
            steps, left = shown[0]
            steps.advance(f"{_note(station, outcome)}, {left()} requests left today")

        return pipeline.heal(workspace, clock, wanted, started=started, report=report)


def _note(station: int, outcome: Outcome) -> str:
    return f"station {station}: {outcome.answered} of {outcome.windows} answered"


def _show_plan(jobs: Sequence[Job], workspace: Workspace, as_json: bool) -> None:
    from trainer.ingest.pipeline import minutes

    requests = sum(len(job.windows) for job in jobs)
    hours = sum(len(window.hours) for job in jobs for window in job.windows)
    estimate = round(minutes(workspace, requests), 1)
    if as_json:
        by_station = {str(job.station): len(job.windows) for job in jobs}
        print_json(
            {"requests": requests, "hours": hours, "minutes": estimate, "stations": by_station}
        )
        return
    click.echo(
        f"{hours} hours of {len(jobs)} stations are missing: {requests} requests, "
        f"about {estimate} minutes ({workspace.config.kma.requests_per_day} requests a day allowed)"
    )


def _document(summary: Summary) -> dict[str, Any]:
    return {
        "from": summary.first.isoformat(),
        "to": summary.last.isoformat(),
        "added": summary.added,
        "changed": summary.changed,
        "recovered": summary.recovered.added,
        "requests_left_over": summary.left,
        "quota_left": summary.quota_left,
        "stations": {
            str(number): {
                "requests": outcome.windows,
                "answered": outcome.answered,
                "added": outcome.merge.added,
                "changed": outcome.merge.changed,
                "revised": outcome.merge.revised,
                "absent": outcome.absent,
                "fault": str(outcome.fault) if outcome.fault else None,
            }
            for number, outcome in summary.stations.items()
        },
    }


def _show(summary: Summary) -> None:
    click.echo(f"{'station':>7} {'requests':>8} {'added':>8} {'changed':>8} {'absent':>7}")
    for number, outcome in summary.stations.items():
        click.echo(
            f"{number:7} {outcome.answered:3} of {outcome.windows:<3}{outcome.merge.added:8} "
            f"{outcome.merge.changed:8} {outcome.absent:7}  {outcome.fault or ''}"
        )
    click.echo(
        f"{summary.first} to {summary.last}: {summary.added} hours new, {summary.changed} changed; "
        f"{summary.quota_left} requests left today"
    )


@click.command("import")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--station", type=int, help="ASOS number of rows that do not say it.")
@config_option
@json_option
@verbosity_options
def import_files(
    files: tuple[Path, ...], station: int | None, config_path: Path | None, as_json: bool
) -> None:
    """Bring in files: Parquet or CSV in KMA's names or ours, CSV from KMA's portal.

    Example: trainer import asos_108_2013_2018.parquet OBS_ASOS_TIM_2024.csv --station 108
    """
    from trainer.ingest.importer import Import
    from trainer.workspace.workspace import Workspace

    workspace = Workspace.open(config_path)
    importer = Import(workspace, SystemClock())
    done: list[dict[str, Any]] = []
    faults = Faults()
    for path in files:
        with faults.told():
            result = importer.bring(path, station)
            done += [{"file": str(path), **row} for row in result]
            if as_json:
                continue
            for row in result:
                click.echo(
                    f"{path.name}: station {row['station']}: {row['rows']} rows, "
                    f"{row['added']} new, {row['changed']} changed"
                )
    if as_json:
        print_json(done)
    faults.end()
