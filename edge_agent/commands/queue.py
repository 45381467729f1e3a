"""`edge-agent queue`: look into the outbox, check it, copy it out, clear it by hand."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.commands.common import (
    config_option,
    open_state_in_use,
    read_config,
    standard_options,
)
from edge_agent.contract.errors import UsageError
from edge_agent.system.console import print_json, verbosity_options

if TYPE_CHECKING:
    from edge_agent.mqtt.outbox_inspection import Row

_KINDS = ("alert", "state", "telemetry")
_database_option = click.option(
    "--database",
    type=click.Path(path_type=Path),
    help="Another file, such as one set aside as damaged (agent.db.corrupt-1).",
)


@click.group()
def queue() -> None:
    """Messages that wait for the broker, and those it refused. Works beside a running service.

    Example: edge-agent queue ls; edge-agent queue export > waiting.jsonl
    """


@queue.command("ls")
@_database_option
@standard_options
def ls(database: Path | None, config_path: Path | None, as_json: bool) -> None:
    """List what waits, oldest first, then the dead letters.

    Example: edge-agent queue ls --json
    """
    from edge_agent.mqtt import outbox_inspection
    from edge_agent.mqtt.outbox_table import counters
    from edge_agent.mqtt.refusal_texts import by_cause

    with closing(outbox_inspection.open_existing(database or _database(config_path))) as db:
        rows = list(outbox_inspection.rows(db))
        counted = counters(db)
        refusals, _ = outbox_inspection.refusals(db)
    if as_json:
        print_json({"messages": [outbox_inspection.plain(row) for row in rows], "counts": counted})
        return
    for row in rows:
        click.echo(_line(row))
    for text in by_cause(refusals):
        click.echo(text)
    for what, by_kind in counted.items():
        numbers = ", ".join(f"{number} {kind}" for kind, number in by_kind.items())
        click.echo(f"{what.replace('_', ' ')}: {numbers}")
    if not rows:
        click.echo("nothing waits")


@queue.command()
@_database_option
@standard_options
def verify(database: Path | None, config_path: Path | None, as_json: bool) -> None:
    """Check the file and every message in it; exit 1 when something is wrong.

    Example: edge-agent queue verify
    """
    from edge_agent.mqtt import outbox_inspection

    with closing(outbox_inspection.open_existing(database or _database(config_path))) as db:
        problems = outbox_inspection.problems(db)
    if as_json:
        print_json({"ok": not problems, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        if not problems:
            click.echo("good")
    if problems:
        raise click.exceptions.Exit(1)


@queue.command()
@_database_option
@config_option
@verbosity_options
def export(database: Path | None, config_path: Path | None) -> None:
    """Write every message that can be read as JSON lines to standard output.

    Of a damaged file everything in front of the damage comes out; exit 74 says that more is lost.

    Example: edge-agent queue export --database agent.db.corrupt-1 > saved.jsonl
    """
    import msgspec

    from edge_agent.mqtt import outbox_inspection

    with closing(outbox_inspection.open_existing(database or _database(config_path))) as db:
        for row in outbox_inspection.rows(db):
            click.echo(msgspec.json.encode(outbox_inspection.plain(row)).decode())


@queue.command()
@click.option("--id", "ids", multiple=True, help="This message; may be given several times.")
@click.option("--kind", type=click.Choice(_KINDS), help="All that wait of one class.")
@click.option("--dead", is_flag=True, help="All dead letters.")
@click.option("--everything", is_flag=True, help="All that wait, and the dead letters.")
@config_option
@verbosity_options
def drop(
    ids: tuple[str, ...],
    kind: str | None,
    dead: bool,
    everything: bool,
    config_path: Path | None,
) -> None:
    """Delete messages for good; counted as dropped by hand.

    Example: edge-agent queue drop --kind telemetry
    """
    from edge_agent.mqtt import outbox_inspection

    if not (ids or kind or dead or everything):
        raise UsageError("say which: --id ID, --kind KIND, --dead or --everything")
    with closing(outbox_inspection.open_existing(_database(config_path))) as db:
        kinds = _KINDS if everything else (kind,) if kind else ()
        gone = outbox_inspection.drop(db, ids, kinds, dead=dead or everything)
    click.echo(f"{gone} dropped")


def _database(config_path: Path | None) -> Path:
    from edge_agent.core import service_answer
    from edge_agent.core.runtime import DATABASE

    state = open_state_in_use(read_config(config_path), config_path)
    answer = service_answer.ask(state)
    if answer is not None and answer.edges is not None:
        click.echo("the service has its queue in memory: the disk has an older one", err=True)
    return state / DATABASE


def _line(row: Row) -> str:
    message = row.message
    end = f" until {message.expires_at:%Y-%m-%d %H:%M} UTC" if message.expires_at else ""
    dead = f" DEAD: {row.refused}" if row.refused else ""
    return (
        f"{message.id}  {message.kind.value}  {message.topic}  "
        f"{len(message.payload)} bytes{end}{dead}"
    )
