"""`trainer status` and `trainer runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_agent.clock import SystemClock
from edge_agent.console import print_json, verbosity_options
from trainer.commands.options import config_option, json_option

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.key_report import RoleReport
    from trainer.workspace import Workspace


@click.command()
@click.option("--quality", is_flag=True, help="Hours, usable values and flags by month instead.")
@config_option
@json_option
@verbosity_options
def status(quality: bool, config_path: Path | None, as_json: bool) -> None:
    """What the lake holds, what is live on each channel, and what expires when.

    Example: trainer status --json
    """
    from trainer.workspace import Workspace

    workspace = Workspace.open(config_path)
    if quality:
        from trainer.commands.quality import show

        show(workspace, as_json=as_json)
        return
    roles = _roles(workspace)
    document = {
        "stations": _stations(workspace),
        "channels": _channels(workspace),
        "roles": msgspec.to_builtins(roles),
        "warnings": [role.warning for role in roles if role.warning],
    }
    if as_json:
        print_json(document)
        return
    for number, held in document["stations"].items():
        click.echo(f"station {number}: {held['hours']} hours, {held['from']} to {held['to']}")
    if not document["stations"]:
        click.echo("the lake is empty: run `trainer ingest` or `trainer import`")
    for channel, live in document["channels"].items():
        click.echo(
            f"{channel}: release {live['release']} of {live['created_at']}, run {live['run']}: "
            f"{live['reason']}"
        )
        click.echo(f"  report: {live['report'] or 'none; write it: trainer report ' + live['run']}")
    if not document["channels"]:
        click.echo("nothing is published: run `trainer daily`, or `trainer train` and `promote`")
    ends = ", ".join(f"{role.role} {role.expires:%Y-%m-%d}" for role in roles)
    click.echo(f"signatures end: {ends}")
    for warning in document["warnings"]:
        click.echo(f"warning: {warning}", err=True)


@click.command()
@config_option
@json_option
@verbosity_options
def runs(config_path: Path | None, as_json: bool) -> None:
    """Candidate runs, oldest first, with their scores and the gate's word.

    Example: trainer runs
    """
    from trainer.commands.steps import score_table
    from trainer.workspace import Workspace

    workspace = Workspace.open(config_path)
    found = [_run(path.parent) for path in sorted(workspace.runs.glob("*/manifest.json"))]
    if as_json:
        print_json(found)
        return
    for run in found:
        click.echo(f"{run['run']}  gate: {run['gate'] or 'not asked'}")
        click.echo(score_table(run["scores"]))
    if not found:
        click.echo("no runs yet: run `trainer train`")


def _stations(workspace: Workspace) -> dict[str, Any]:
    held = {}
    for number in workspace.lake.stations():
        times = workspace.lake.observations(number)["time"]
        held[str(number)] = {
            "hours": len(times),
            "from": f"{times[0]:%Y-%m-%d %H:%MZ}" if len(times) else None,
            "to": f"{times[-1]:%Y-%m-%d %H:%MZ}" if len(times) else None,
        }
    return held


def _roles(workspace: Workspace) -> tuple[RoleReport, ...]:
    from trainer.key_report import report
    from trainer.keyring import KeyRing

    return report(workspace.depot_store, KeyRing(workspace.keys), SystemClock().now())


def _channels(workspace: Workspace) -> dict[str, Any]:
    from trainer.release import open_depot

    return {
        channel: {
            "release": live.manifest.release,
            "created_at": live.manifest.created_at,
            "run": live.manifest.lineage.get("run", ""),
            "reason": live.manifest.reason,
            "scores": live.manifest.scores,
            "report": _report(workspace, live.manifest.lineage.get("run", "")),
        }
        for channel, live in sorted(open_depot(workspace, SystemClock()).live().items())
    }


def _report(workspace: Workspace, run: str) -> str | None:
    """Where the page about a run lies, None where it was not written."""
    path = workspace.runs / run / "report.html"
    return str(path) if run and path.exists() else None


def _run(folder: Path) -> dict[str, Any]:
    from trainer import candidate

    manifest, _, _ = candidate.load(folder)
    decisions = {
        path.stem.removeprefix("gate-"): msgspec.json.decode(path.read_bytes())
        for path in sorted(folder.glob("gate-*.json"))
    }
    gate = ", ".join(
        f"{channel} {'passed' if one['passed'] else 'refused'}"
        for channel, one in decisions.items()
    )
    return {"run": folder.name, "gate": gate, "scores": manifest.scores, "decisions": decisions}
