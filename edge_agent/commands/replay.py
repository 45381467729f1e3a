"""`edge-agent replay`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from edge_agent.commands.common import read_config, standard_options, state_folder, utc_time
from edge_agent.commands.explain import explain_alert
from edge_agent.contract.errors import InputMissing, UsageError
from edge_agent.contract.hours import start_of_hour

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

MAX_FILE_BYTES: Final = 200_000_000
MAX_FILE_ROWS: Final = 24 * 366 * 60
_HISTORY: Final = timedelta(days=20)
_AFTER: Final = timedelta(hours=49)


@click.command()
@click.option(
    "--observations",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Parquet of hourly observations, such as the trainer's lake has; may be repeated.",
)
@click.option(
    "--own",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The same of the farm's own outdoor sensors, which then are the truth.",
)
@click.option(
    "--beside",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The same of another system's points 24 h ahead, by valid hour: bare thresholds beside.",
)
@click.option("--from", "start", metavar="TIME", help="First hour (UTC).")
@click.option("--to", "end", metavar="TIME", help="Last hour (UTC).")
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
    beside: tuple[Path, ...]
    start: str | None
    end: str | None
    alert: str | None
    config_path: Path | None
    as_json: bool


def _replay(options: ReplayOptions) -> None:
    if not (options.files or options.own) or options.start is None or options.end is None:
        raise UsageError("replay needs --observations or --own, --from and --to; or --explain ID")
    from edge_agent.core.loaded_release import load_release
    from edge_agent.core.rules import rules_of
    from edge_agent.observations import source_choice
    from edge_agent.replay.alert_scores import AlertScorer
    from edge_agent.replay.replay import run
    from edge_agent.updates.slots import Slots

    settings = read_config(options.config_path)
    installed = Slots(state_folder(settings)).load()
    if installed is None:
        raise InputMissing("no release is installed: run `edge-agent sync`")
    first, last = _hour(options.start, "--from"), _hour(options.end, "--to")
    start, end = first - _HISTORY, last + _AFTER
    own_name, station_name, *_ = source_choice.names(settings.device)
    frames = {
        name: _read(paths, start, end)
        for name, paths in ((own_name, options.own), (station_name, options.files))
        if paths
    }
    others = {path.stem: _read((path,), start, end) for path in options.beside}
    truth = next(iter(frames.values()))
    rules = [rule for rule in rules_of(settings) if not rule.now]
    scorers = [AlertScorer(rule, truth, others) for rule in rules]
    began, hours = time.monotonic(), 0
    release = load_release(installed, settings.device.full_id)
    for decision in run(settings, release, frames, first, last):
        hours += 1
        for _, _, event in decision.edges:
            click.echo(event.payload)
        for scorer in scorers:
            scorer.add(decision)
    for scorer in scorers:
        click.echo(msgspec.json.encode(asdict(scorer.score())))
    seconds = round(time.monotonic() - began, 2)
    summary = {"hours": hours, "seconds": seconds, "release": installed.manifest.release}
    click.echo(msgspec.json.encode(summary))


def _hour(text: str, option: str) -> datetime:
    return start_of_hour(utc_time(text, option, example="2018-07-01T00:00Z"))


def _read(files: Sequence[Path], start: datetime, end: datetime) -> pl.DataFrame:
    import polars as pl

    from edge_agent.contract.schema import TIME
    from edge_agent.observations import bundles

    frames = []
    for path in files:
        try:
            content = path.read_bytes()
        except OSError as fault:
            raise InputMissing(f"{path}: {fault.strerror}; name a Parquet file") from fault
        frames.append(
            bundles.read(content, str(path), max_bytes=MAX_FILE_BYTES, max_rows=MAX_FILE_ROWS)
        )
    hours = pl.concat(frames).unique(TIME, keep="last").sort(TIME)
    hours = hours.filter(pl.col(TIME).is_between(start, end))
    if hours.height == 0:
        raise InputMissing(f"no observations between {start:%Y-%m-%d} and {end:%Y-%m-%d}")
    return hours
