"""`trainer status` and `trainer runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import json_option, workspace_option
from trainer.workspace.future_hours import latest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from trainer.depot.key_report import RoleReport
    from trainer.workspace.runs import RunStore
    from trainer.workspace.workspace import Workspace


@click.command()
@click.option("--quality", is_flag=True, help="Hours, usable values and flags by month instead.")
@workspace_option
@json_option
@verbosity_options
def status(quality: bool, workspace: Workspace, as_json: bool) -> None:
    """What the lake holds, what is live on each channel, and what expires when.

    Example: trainer status --json
    """
    from trainer.workspace.runs import plain_name

    if quality:
        from trainer.commands.quality import show

        show(workspace, as_json=as_json)
        return
    roles = _roles(workspace)
    now = latest(SystemClock().now())
    stations, forecasts = _stations(workspace, now), _forecasts(workspace, now)
    ahead = [held["ahead"] for held in (*stations.values(), *forecasts.values())]
    document: dict[str, Any] = {
        "stations": stations,
        "forecasts": forecasts,
        "channels": _channels(workspace),
        "roles": msgspec.to_builtins(roles),
        "warnings": [*filter(None, ahead), *(role.warning for role in roles if role.warning)],
    }
    if as_json:
        print_json(document)
        return
    for number, held in stations.items():
        click.echo(f"station {number}: {held['hours']} hours, {held['from']} to {held['to']}")
    for cell, held in forecasts.items():
        click.echo(
            f"cell {cell}: {held['rows']} past forecasts, issued {held['from']} to {held['to']}"
        )
    if not stations and not forecasts:
        click.echo("the lake is empty: run `trainer ingest` or `trainer import`")
    for channel, live in document["channels"].items():
        click.echo(
            f"{channel}: release {live['release']} of {live['created_at']}, run {live['run']}: "
            f"{live['reason']}"
        )
        if live["farms"]:
            click.echo(f"  farms: {live['farms']}")
        todo = f"none; write it: trainer report {plain_name(live['run'])}"
        click.echo(f"  report: {live['report'] or todo}")
    if not document["channels"]:
        click.echo("nothing is published: run `trainer daily`, or `trainer train` and `promote`")
    ends = ", ".join(f"{role.role} {role.expires:%Y-%m-%d}" for role in roles)
    click.echo(f"signatures end: {ends}")
    for warning in document["warnings"]:
        click.echo(f"warning: {warning}", err=True)


@click.command()
@workspace_option
@json_option
@verbosity_options
def runs(workspace: Workspace, as_json: bool) -> None:
    """Candidate runs, oldest first, with their scores and the gate's word.

    Example: trainer runs
    """
    from trainer.commands.steps import score_table

    rows = _runs(workspace)
    if as_json:
        print_json(rows)
        return
    for run in rows:
        state = f"farms: {run['farms']}" if run["farms"] else f"gate: {run['gate'] or 'not asked'}"
        click.echo(f"{run['run']}  {state}")
        click.echo(score_table(run["scores"]))
    if not rows:
        click.echo("no runs yet: run `trainer train`")


def _stations(workspace: Workspace, now: datetime) -> dict[str, Any]:
    lake = workspace.lake
    times = {number: lake.observations(number)["time"] for number in lake.stations()}
    return {str(i): _held(f"station {i}", held, "hours", now) for i, held in times.items()}


def _forecasts(workspace: Workspace, now: datetime) -> dict[str, Any]:
    from trainer.ingest.guidance import Archive
    from trainer.ingest.sources.village_table import ISSUED

    archive = Archive(workspace.store)
    return {
        f"{cell.nx},{cell.ny}": _held(
            f"cell {cell.nx},{cell.ny}", archive.read(cell)[ISSUED], "rows", now
        )
        for cell in archive.cells()
    }


def _held(name: str, times: pl.Series, what: str, now: datetime) -> dict[str, Any]:
    """Rows of a place up to `now`, and what to say of those later."""
    past, late = times.filter(times <= now), times.filter(times > now)
    count = "a row is" if len(late) == 1 else f"{len(late)} rows are"
    return {
        what: len(past),
        "from": f"{past[0]:%Y-%m-%d %H:%MZ}" if len(past) else None,
        "to": f"{past[-1]:%Y-%m-%d %H:%MZ}" if len(past) else None,
        "ahead": f"{name}: {count} still to come, the first of {late[0]:%Y-%m-%d %H:%MZ}, and not "
        "used: `trainer ingest --rebuild` removes them"
        if len(late)
        else None,
    }


def _roles(workspace: Workspace) -> tuple[RoleReport, ...]:
    from trainer.depot.key_report import report
    from trainer.depot.keyring import KeyRing

    return report(workspace.depot_store, KeyRing(workspace.keys), SystemClock().now())


def _channels(workspace: Workspace) -> dict[str, Any]:
    from trainer.depot.publisher import FARMS
    from trainer.depot.releases import open_depot

    return {
        channel: {
            "release": live.manifest.release,
            "created_at": live.manifest.created_at,
            "run": live.manifest.lineage.get("run", ""),
            "reason": live.manifest.reason,
            "scores": live.manifest.scores,
            "farms": live.manifest.lineage.get(FARMS, ""),
            "report": _report(workspace, live.manifest.lineage.get("run", "")),
        }
        for channel, live in sorted(open_depot(workspace, SystemClock()).live().items())
    }


def _report(workspace: Workspace, run: str) -> str | None:
    """Address of the report about a run, None where it was not written."""
    from trainer.workspace.runs import REPORT, plain_name

    runs, run = workspace.run_store, plain_name(run)
    return runs.place(run, REPORT) if run and runs.read(run, REPORT) is not None else None


def _runs(workspace: Workspace) -> list[dict[str, Any]]:
    runs = workspace.run_store
    return [_run(runs, run, names) for run, names in runs.listing().items()]


def _run(runs: RunStore, run: str, names: Sequence[str]) -> dict[str, Any]:
    from edge_agent.contract import manifest
    from trainer.depot.publisher import FARMS
    from trainer.workspace.runs import MANIFEST

    decisions = {
        name.removeprefix("gate-").removesuffix(".json"): msgspec.json.decode(
            runs.read(run, name) or b""
        )
        for name in names
        if name.startswith("gate-") and name.endswith(".json")
    }
    gate = ", ".join(
        f"{channel} {'passed' if decision['passed'] else 'refused'}"
        for channel, decision in decisions.items()
    )
    run_manifest = manifest.decode(runs.read(run, MANIFEST) or b"")
    return {
        "run": run,
        "gate": gate,
        "scores": run_manifest.scores,
        "decisions": decisions,
        "farms": run_manifest.lineage.get(FARMS, ""),
    }
