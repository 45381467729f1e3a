"""`trainer forecast`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.contract.errors import BadData, InputMissing, UsageError
from edge_agent.contract.hours import start_of_hour
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json, verbosity_options
from trainer.commands.options import chosen_run, json_option, time_type, workspace_option
from trainer.depot import roles

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.core.loaded_release import DeviceRelease
    from trainer.workspace.workspace import Workspace

_FILES = click.Path(path_type=Path)


@click.command()
@click.option("--place", metavar="LAT,LON,ELEV", help="Where: degrees and metres above the sea.")
@click.option("--station", type=int, metavar="N", help="ASOS number: where, or whose hours.")
@click.option(
    "--observations",
    "files",
    multiple=True,
    required=True,
    type=_FILES,
    help="Parquet or CSV of hourly observations, in KMA's names (tm in KST, ta, hm, ...) or ours; "
    "may be repeated.",
)
@click.option(
    "--guidance",
    multiple=True,
    type=_FILES,
    help="KMA's past forecasts for the cell (issued_at, valid_at, tmp, reh, ...; UTC); each issue "
    "is known ten minutes after its base time. May be repeated.",
)
@click.option("--from", "first", type=time_type, required=True, help="First hour (UTC).")
@click.option("--to", "last", type=time_type, required=True, help="Last hour (UTC).")
@click.option("--out", type=_FILES, required=True, metavar="OUT.parquet", help="File to write.")
@click.option("--run", help="Candidate run (default: the newest).")
@click.option("--channel", type=click.Choice(roles.CHANNELS), help="The channel's release instead.")
@workspace_option
@json_option
@verbosity_options
def forecast(**options: Any) -> None:  # noqa: ANN401 - the fields of `ForecastOptions`
    """Forecast past hours at a place as a device there would have, by a run or a release.

    A run that the gate refused or has not judged forecasts too; standard error says so.

    The device begins with the first hour, as a new one does, and learns from then on. It knows
    observations up to the hour and KMA's forecasts that were out. The file has the columns that
    `edge-agent replay --forecasts` writes (docs/replay.md).

    Example: trainer forecast --station 159 --observations station.parquet
    --guidance village.parquet --from 2019-07-01 --to 2019-07-03 --out forecasts.parquet
    """
    chosen = ForecastOptions(**options)
    from edge_agent.replay import history as past
    from edge_agent.replay.forecast_table import check_output, past_forecasts
    from edge_agent.replay.places import device_at
    from edge_agent.settings import Device

    if chosen.place is None and chosen.station is None:
        raise UsageError("where? Name --station N or --place LAT,LON,ELEV")
    check_output(chosen.out, (*chosen.files, *chosen.guidance))
    device = device_at(Device(), chosen.place, chosen.station)
    files = past.HistoryFiles(station=chosen.files, guidance=chosen.guidance)
    first, last = start_of_hour(chosen.first), start_of_hour(chosen.last)
    history = past.read(files, device, first, last)
    release, name, why_not = _release(chosen)
    rows = past_forecasts(device, release, history).write(chosen.out)
    if chosen.as_json:
        document = {"out": str(chosen.out), "rows": rows, "models": name, "approved": not why_not}
        print_json(document)
    else:
        click.echo(f"{chosen.out}: {rows} rows by {name}")
    if why_not:
        click.echo(f"trainer: warning: {name} is not approved: {why_not}", err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastOptions:
    """What the command line gives, see the options of `forecast`."""

    place: str | None
    station: int | None
    files: tuple[Path, ...]
    guidance: tuple[Path, ...]
    first: datetime
    last: datetime
    out: Path
    run: str | None
    channel: str | None
    workspace: Workspace
    as_json: bool


def _release(options: ForecastOptions) -> tuple[DeviceRelease, str, str]:
    """What forecasts, its name, and why the gate has not approved it (empty: it has)."""
    from edge_agent.contract import features
    from edge_agent.core.loaded_release import DeviceRelease
    from trainer.depot.releases import open_depot
    from trainer.evaluation import run_folder
    from trainer.evaluation.hindcast import ReleaseModels
    from trainer.gate.gate import why_not_approved

    why_not = ""
    if options.channel is None:
        folder = chosen_run(options.workspace, options.run)
        manifest, files, _ = run_folder.load(folder)
        name, why_not = folder.name, why_not_approved(folder)
    elif options.run is not None:
        raise UsageError("name --run or --channel, not both")
    else:
        depot = open_depot(options.workspace, SystemClock())
        live = depot.live().get(options.channel)
        if live is None:
            raise InputMissing(f"nothing is published on {options.channel}")
        manifest, files = live.manifest, depot.content(live.manifest)
        name = f"release {manifest.release}"
    if manifest.features.digest != features.digest():
        raise BadData(f"{name}: has other features than this program, and cannot be run by it")
    models = ReleaseModels.tried(manifest, files)
    if manifest.guidance and not models.corrects:
        click.echo(
            f"trainer: warning: {name} corrects KMA's forecasts from other inputs than this "
            "program computes: only their bias is taken off; train again",
            err=True,
        )
    return DeviceRelease(manifest, models.predictors, guided=models.guided), name, why_not
