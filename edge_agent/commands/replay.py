"""`edge-agent replay`."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from edge_agent import config
from edge_agent.commands.config import config_option, json_option
from edge_agent.contract.errors import InputMissing, UsageError
from edge_agent.contract.hours import start_of_hour
from edge_agent.system import locations
from edge_agent.system.console import print_json, verbosity_options

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
@config_option
@json_option
@verbosity_options
def replay(
    *,
    files: tuple[Path, ...],
    own: tuple[Path, ...],
    beside: tuple[Path, ...],
    start: str | None,
    end: str | None,
    alert: str | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Run the real cycle over recorded hours at full speed, with the installed release.

    Prints one JSON line for each alert edge, then one for each rule with its score (POD, FAR, CSI,
    lead time, alerts a week, flaps) beside bare thresholds on points 24 h ahead, then one about the
    run. Touches neither state nor broker.

    With --explain it works one alert that was said (`edge-agent history --json` lists ids; an id's
    end will do) out again from what it rested on, and shows that. Exit 1: it comes out otherwise.

    Example: edge-agent replay --observations lake/observations/station=108/year=2018.parquet
    --from 2018-01-20 --to 2018-12-30
    """
    if alert is not None:
        _explain(alert, config_path, as_json=as_json)
        return
    if not (files or own) or start is None or end is None:
        raise UsageError("replay needs --observations or --own, --from and --to; or --explain ID")
    from edge_agent.core import cycle
    from edge_agent.core.loaded_release import load_release
    from edge_agent.observations import source_choice
    from edge_agent.replay import replay as player
    from edge_agent.replay.alert_scores import AlertScorer
    from edge_agent.updates.slots import Slots

    settings = config.load(config_path, os.environ)
    root = os.geteuid() == 0
    installed = Slots(locations.state_folder(settings.storage.path, os.environ, root=root)).load()
    if installed is None:
        raise InputMissing("no release is installed: run `edge-agent sync`")
    first, last = _hour(start, "--from"), _hour(end, "--to")
    begin, stop = first - _HISTORY, last + _AFTER
    mine, station, *_ = source_choice.names(settings.device)
    frames = {
        source: _read(paths, begin, stop)
        for source, paths in ((mine, own), (station, files))
        if paths
    }
    others = {path.stem: _read((path,), begin, stop) for path in beside}
    truth = next(iter(frames.values()))
    rules = [rule for rule in cycle.rules_of(settings) if not rule.now]
    scorers = [AlertScorer(rule, truth, others) for rule in rules]
    began, hours = time.monotonic(), 0
    release = load_release(installed, settings.device.full_id)
    for decision in player.run(settings, release, frames, first, last):
        hours += 1
        for _, _, event in decision.edges:
            click.echo(event.payload)
        for scorer in scorers:
            scorer.add(decision)
    for scorer in scorers:
        click.echo(msgspec.json.encode(asdict(scorer.score())))
    spent = round(time.monotonic() - began, 2)
    click.echo(
        msgspec.json.encode(
            {"hours": hours, "seconds": spent, "release": installed.manifest.release}
        )
    )


def _explain(alert: str, config_path: Path | None, *, as_json: bool) -> None:
    from edge_agent.commands.alerts import document, lines
    from edge_agent.core.runtime import opened
    from edge_agent.replay.explain import explain

    with opened(config_path) as runtime:
        found = explain(runtime.log.find(alert))
    if as_json:
        print_json(document(found))
    else:
        for line in lines(found):
            click.echo(line)
    if found.differences:
        click.get_current_context().exit(1)


def _hour(text: str, option: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as fault:
        raise UsageError(f"{option} {text!r}: give a time such as 2018-07-01T00:00Z") from fault
    at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    return start_of_hour(at)


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
    whole = pl.concat(frames).unique(TIME, keep="last").sort(TIME)
    kept = whole.filter(pl.col(TIME).is_between(start, end))
    if kept.height == 0:
        raise InputMissing(f"no observations between {start:%Y-%m-%d} and {end:%Y-%m-%d}")
    return kept
