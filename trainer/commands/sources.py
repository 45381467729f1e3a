"""`trainer ingest --source hub` and `--source village`."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from edge_agent.contract.errors import ConfigError, NothingNew, UsageError
from edge_agent.contract.hours import korean_midnight
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import print_json
from trainer.ingest.pipeline import minutes
from trainer.ingest.sources.http import QuotaSpent
from trainer.workspace.config import HUB_KEY
from trainer.workspace.stations import station

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from trainer.workspace.workspace import Workspace


def ingest_hub(
    workspace: Workspace,
    stations: Sequence[int],
    first: date | None,
    last: date | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Newest hours, or those of Korean days, from the API hub into the lake."""
    from trainer.ingest.hub import catch_up, hub_key, plan_only

    clock = SystemClock()
    for number in stations:
        station(number)
    span = _span(first, last, clock.now())
    if dry_run:
        show_requests(workspace, len(plan_only(workspace, clock, stations, span)), as_json=as_json)
        return
    key = hub_key(workspace, os.environ)
    if key is None:
        raise ConfigError(f"no key for the API hub: set {HUB_KEY} (free at apihub.kma.go.kr)")
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
    dry_run: bool,
    as_json: bool,
) -> None:
    """Every forecast and nowcast that KMA still has of the places' cells."""
    from trainer.ingest.village import cells_of, collect, plan_only

    clock, cells = SystemClock(), cells_of(stations, farms)
    if dry_run:
        requests = sum(len(job.bases) for job in plan_only(workspace, clock, cells))
        show_requests(workspace, requests, as_json=as_json)
        return
    done = collect(workspace, clock, cells)
    if as_json:
        found = [
            {"nx": c.nx, "ny": c.ny, "issues": got.issues, "rows": got.rows, "hours": got.hours}
            for c, got in done.cells.items()
        ]
        fault = str(done.fault) if done.fault else None
        print_json({"cells": found, "left": done.left, "fault": fault})
    else:
        for cell, got in done.cells.items():
            click.echo(
                f"cell {cell}: {got.issues} issues, {got.rows} rows new; {got.hours} hours new"
            )
    if isinstance(done.fault, QuotaSpent):
        raise QuotaSpent(
            f"{done.fault}; {done.left} requests left: run the same command after midnight KST, "
            "KMA keeps forecasts until the next day ends and nowcasts for a day"
        )
    if done.fault is not None:
        raise done.fault
    if not done:
        raise NothingNew("the lake has every forecast and nowcast that KMA still has")


def show_requests(workspace: Workspace, requests: int, *, as_json: bool) -> None:
    """What a run would cost."""
    estimate = round(minutes(workspace, requests), 1)
    if as_json:
        print_json({"requests": requests, "minutes": estimate})
    else:
        allowed = workspace.config.kma.requests_per_day
        click.echo(
            f"{requests} requests, about {estimate} minutes ({allowed} requests a day allowed)"
        )


def _span(first: date | None, last: date | None, now: datetime) -> tuple[datetime, datetime] | None:
    if first is None:
        if last is not None:
            raise UsageError("--to needs --from with --source hub")
        return None
    end = min(korean_midnight(last) + timedelta(hours=23), now) if last else now
    if korean_midnight(first) > end:
        raise UsageError(f"--from {first} lies behind --to {last or 'now'}")
    return korean_midnight(first), end
