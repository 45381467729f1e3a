"""`edge-agent replay`."""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_agent.commands.common import read_config, standard_options, state_in_use, utc_time
from edge_agent.commands.explain import explain_alert
from edge_agent.contract.errors import InputMissing, UsageError
from edge_agent.contract.hours import start_of_hour

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.core.loaded_release import DeviceRelease
    from edge_agent.settings import Config

_FILES = click.Path(path_type=Path)


@click.command()
@click.option(
    "--observations",
    "files",
    multiple=True,
    type=_FILES,
    help="Parquet or CSV of hourly observations, in KMA's names (tm in KST, ta, hm, ...) or ours, "
    "such as the trainer's lake has; may be repeated.",
)
@click.option(
    "--own",
    multiple=True,
    type=_FILES,
    help="The same of the farm's own outdoor sensors, which then are the truth.",
)
@click.option(
    "--guidance",
    multiple=True,
    type=_FILES,
    help="KMA's past forecasts for the farm's cell (issued_at, valid_at, tmp, reh, ...; UTC); each "
    "issue is known ten minutes after its base time. May be repeated.",
)
@click.option(
    "--beside",
    multiple=True,
    type=_FILES,
    help="The same of another system's points 24 h ahead, by valid hour: bare thresholds beside.",
)
@click.option("--from", "start", metavar="TIME", help="First hour (UTC).")
@click.option("--to", "end", metavar="TIME", help="Last hour (UTC).")
@click.option(
    "--forecasts",
    type=_FILES,
    metavar="OUT.parquet",
    help="Write every forecast to this file (see docs/replay.md).",
)
@click.option(
    "--release",
    "folder",
    type=_FILES,
    metavar="DIR",
    help="A release's or training run's folder instead of the installed release.",
)
@click.option(
    "--place", metavar="LAT,LON,ELEV", help="Another place than the configuration's (m above sea)."
)
@click.option(
    "--station", type=int, metavar="N", help="Another relayed station; without --place at it."
)
@click.option("--explain", "alert", metavar="ID", help="Work one alert of this device out again.")
@standard_options
def replay(**options: Any) -> None:  # noqa: ANN401 - the fields of `ReplayOptions`
    """Run the real cycle over recorded hours at full speed, with the installed release.

    Prints one JSON line for each alert edge, then one for each rule with its score (POD, FAR, CSI,
    lead time, alerts a week, flaps) beside bare thresholds on points 24 h ahead, then one about the
    run. Touches neither state nor broker.

    With --explain it works one alert that was said (`edge-agent history --json` lists ids; an id's
    end will do) out again from what it rested on, and shows that. Exit 1: it comes out otherwise.

    Example: edge-agent replay --observations lake/observations/station=108/year=2018.parquet
    --from 2018-01-20 --to 2018-12-30

    Example: edge-agent replay --observations station.parquet --guidance village.parquet
    --from 2019-07-01 --to 2019-07-03 --forecasts forecasts.parquet
    """
    chosen = ReplayOptions(**options)
    if chosen.alert is not None:
        explain_alert(chosen.alert, chosen.config_path, as_json=chosen.as_json)
        return
    _replay(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What the command line gives, see the options of `replay`."""

    files: tuple[Path, ...]
    own: tuple[Path, ...]
    guidance: tuple[Path, ...]
    beside: tuple[Path, ...]
    start: str | None
    end: str | None
    forecasts: Path | None
    folder: Path | None
    place: str | None
    station: int | None
    alert: str | None
    config_path: Path | None
    as_json: bool


def _replay(options: ReplayOptions) -> None:
    if not (options.files or options.own) or options.start is None or options.end is None:
        raise UsageError("replay needs --observations or --own, --from and --to; or --explain ID")
    from edge_agent.alerts.windows import is_scored
    from edge_agent.core.rules import rules_of
    from edge_agent.replay import history as past
    from edge_agent.replay.alert_scores import AlertScorer
    from edge_agent.replay.forecast_table import ForecastTable, check_output
    from edge_agent.replay.replay import run

    if options.forecasts is not None:
        inputs = (options.files, options.own, options.guidance, options.beside)
        check_output(options.forecasts, itertools.chain(*inputs))
    settings = _settings(options)
    release = _release(options, settings)
    first, last = _hour(options.start, "--from"), _hour(options.end, "--to")
    files = past.HistoryFiles(station=options.files, own=options.own, guidance=options.guidance)
    history = past.read(files, settings.device, first, last)
    others = {
        path.stem: past.past_hours((path,), settings.device, first, last) for path in options.beside
    }
    truth = next(iter(history.observations.values()))
    rules = [rule for rule in rules_of(settings) if is_scored(rule)]
    scorers = [AlertScorer(rule, truth, others) for rule in rules]
    table = None if options.forecasts is None else ForecastTable()
    began, hours = time.monotonic(), 0
    for decision in run(
        settings, release, history.observations, first, last, guidance=history.guidance
    ):
        hours += 1
        for _, _, event in decision.edges:
            click.echo(event.payload)
        for scorer in scorers:
            scorer.add(decision)
        if table is not None:
            table.add(decision)
    if options.forecasts is not None and table is not None:
        table.write(options.forecasts)
    for scorer in scorers:
        click.echo(msgspec.json.encode(asdict(scorer.score())))
    seconds = round(time.monotonic() - began, 2)
    summary = {"hours": hours, "seconds": seconds, "release": release.manifest.release}
    click.echo(msgspec.json.encode(summary))
    if not release.manifest.release:
        click.echo(
            f"edge-agent: warning: {options.folder} is a training run and no release: nothing here "
            "says that the gate approved it (`trainer runs` does)",
            err=True,
        )


def _settings(options: ReplayOptions) -> Config:
    """The configuration, at the place of the options."""
    from edge_agent.replay.places import device_at

    settings = read_config(options.config_path)
    device = device_at(settings.device, options.place, options.station)
    return msgspec.structs.replace(settings, device=device)


def _release(options: ReplayOptions, settings: Config) -> DeviceRelease:
    from edge_agent.core.loaded_release import load_release
    from edge_agent.updates.installed_release import open_folder
    from edge_agent.updates.slots import Slots

    if options.folder is not None:
        installed = open_folder(options.folder)
    else:
        found = Slots(state_in_use(settings, options.config_path)).load()
        if found is None:
            raise InputMissing("no release is installed: run `edge-agent sync`, or name --release")
        installed = found
    return load_release(installed, settings.device.full_id)


def _hour(text: str, option: str) -> datetime:
    return start_of_hour(utc_time(text, option, example="2018-07-01T00:00Z"))
