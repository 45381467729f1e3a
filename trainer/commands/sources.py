"""`trainer ingest --source hub` and `--source village`."""

from __future__ import annotations

import os
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import click

from edge_agent.clock import SystemClock
from edge_agent.console import print_json
from edge_agent.errors import ConfigError, NothingNew, UsageError
from trainer.config import HUB_KEY
from trainer.plan import KST
from trainer.stations import station

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from trainer.workspace import Workspace


def ingest_hub(
    workspace: Workspace,
    stations: Sequence[int],
    first: date | None,
    last: date | None,
    *,
    as_json: bool,
) -> None:
    """Newest hours, or those of Korean days, from the API hub into the lake."""
    from trainer.near_time import catch_up, hub_key

    clock = SystemClock()
    for number in stations:
        station(number)
    key = hub_key(workspace, os.environ)
    if key is None:
        raise ConfigError(f"no key for the API hub: set {HUB_KEY} (free at apihub.kma.go.kr)")
    span = None
    if first is not None:
        now = clock.now()
        end = min(_midnight(last) + timedelta(hours=23), now) if last else now
        span = (_midnight(first), end)
        if span[0] > span[1]:
            raise UsageError(f"--from {first} lies behind --to {last or 'now'}")
    elif last is not None:
        raise UsageError("--to needs --from with --source hub")
    done = catch_up(workspace, clock, stations, key, span=span)
    if as_json:
        print_json({"added": done.added, "changed": done.changed, "revised": done.revised})
    else:
        click.echo(f"hub: {done.added} hours new, {done.changed} changed")
    if not (done.added or done.changed):
        raise NothingNew("the hub has nothing that the lake lacks")


def ingest_village(
    workspace: Workspace,
    stations: Sequence[int],
    farms: Sequence[tuple[float, float]],
    *,
    as_json: bool,
) -> None:
    """Every forecast and nowcast that KMA still has of the places' cells."""
    from trainer.cells import cells_of, collect

    done = collect(workspace, SystemClock(), cells_of(stations, farms))
    if as_json:
        cells = [
            {"nx": c.nx, "ny": c.ny, "issues": got.issues, "rows": got.rows, "hours": got.hours}
            for c, got in done.cells.items()
        ]
        print_json({"cells": cells, "fault": str(done.fault) if done.fault else None})
    else:
        for cell, got in done.cells.items():
            click.echo(
                f"cell {cell}: {got.issues} issues, {got.rows} rows new; {got.hours} hours new"
            )
    if done.fault is not None:
        raise done.fault
    if not done:
        raise NothingNew("the lake has every forecast and nowcast that KMA still has")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), KST).astimezone(UTC)
