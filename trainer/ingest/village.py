"""What KMA's village service says of grid cells: forecasts and nowcasts, kept as they are answered.

Forecasts go into the archive of `trainer.ingest.guidance`, nowcasts into the lake as observations
of the cell: KMA forgets an issue after two days and a nowcast after one.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.dfs_grid import cell_of
from edge_agent.contract.errors import FarmError, StorageError
from edge_agent.contract.hours import KST, hour_of, korean_date, korean_midnight, time_of
from edge_agent.contract.schema import TIME
from trainer.ingest import secrets
from trainer.ingest.guidance import Archive
from trainer.ingest.kma_client import open_service
from trainer.ingest.sources import village, village_table
from trainer.ingest.sources.http import QuotaSpent
from trainer.workspace.config import SERVICE_KEY
from trainer.workspace.raw import pack
from trainer.workspace.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import httpx

    from edge_agent.contract.dfs_grid import Cell
    from edge_agent.system.ports import Clock
    from trainer.ingest.sources.http import Service
    from trainer.workspace.workspace import Workspace

FORECASTS: Final = village.NAME
NOWCASTS: Final = "nowcast"
"""Folders of the raw answers; the second is also the source's name in the lake."""

_OPERATIONS: Final = {FORECASTS: "getVilageFcst", NOWCASTS: "getUltraSrtNcst"}
_ISSUE_HOURS: Final = (2, 5, 8, 11, 14, 17, 20, 23)
_FORECAST_OUT: Final = timedelta(minutes=15)
"""An issue is out 10 minutes after its base time."""
_NOWCAST_OUT: Final = timedelta(minutes=40)
"""By KMA's guide. It appears earlier, and values are filled in for half an hour."""
_NOWCAST_KEPT: Final = timedelta(days=1)


@dataclass(slots=True)
class Got:
    """What came of one cell.

    Attributes:
        issues: Issues answered.
        rows: Rows added to the archive of forecasts.
        hours: Hours added to the lake.
    """

    issues: int = 0
    rows: int = 0
    hours: int = 0


@dataclass(slots=True)
class Collected:
    """What a collection did, by cell.

    Attributes:
        cells: What came of each.
        left: Base times that were to be asked for and were not answered.
        fault: The first fault, or None.
    """

    cells: dict[Cell, Got] = field(default_factory=dict)
    left: int = 0
    fault: FarmError | None = None

    def __bool__(self) -> bool:
        return any(got.rows or got.hours for got in self.cells.values())


@dataclass(frozen=True, slots=True)
class Job:
    """What to ask of one cell: base times of forecasts or of nowcasts, oldest first."""

    cell: Cell
    kind: str
    bases: tuple[datetime, ...]


def cells_of(stations: Iterable[int], farms: Iterable[tuple[float, float]] = ()) -> list[Cell]:
    """Cells of stations and of farms (latitude, longitude), each once.

    Raises:
        UsageError: Not a station, or a place outside KMA's grid.
    """
    sites = [station_of(number).site for number in stations]
    places = [*((site.latitude, site.longitude) for site in sites), *farms]
    return list(dict.fromkeys(cell_of(*place) for place in places))


def issues_out(now: datetime) -> list[datetime]:
    """Base times (UTC) of the forecasts that KMA still has at `now`, oldest first."""
    first = korean_midnight(korean_date(now) - timedelta(days=1))
    bases = (first + timedelta(days=d, hours=h) for d in (0, 1) for h in _ISSUE_HOURS)
    return [base for base in bases if base + _FORECAST_OUT <= now]


def hours_out(now: datetime) -> list[datetime]:
    """Hours (UTC) of the nowcasts that KMA still has at `now`, oldest first."""
    last = hour_of(now - _NOWCAST_OUT)
    first = hour_of(now - _NOWCAST_KEPT) + 1
    return [time_of(hour) for hour in range(first, last + 1)]


def plan_only(workspace: Workspace, clock: Clock, cells: Sequence[Cell]) -> list[Job]:
    """What KMA still has of each cell, and we lack; asks nothing.

    Raises:
        StorageError: The lake cannot be read.
    """
    jobs = []
    archive, now = Archive(workspace.store), clock.now()
    issues, hours = issues_out(now), hours_out(now)
    for cell in dict.fromkeys(cells):
        said = set(archive.read(cell, min(issues, default=None))[village_table.ISSUED])
        seen = set(workspace.lake.observations(cell, now - _NOWCAST_KEPT, now)[TIME])
        new = tuple(issue for issue in issues if issue not in said)
        fresh = tuple(hour for hour in hours if hour not in seen)
        jobs += [Job(cell, FORECASTS, new), Job(cell, NOWCASTS, fresh)]
    return jobs


def collect(
    workspace: Workspace,
    clock: Clock,
    cells: Sequence[Cell],
    *,
    env: Mapping[str, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Collected:
    """Fetch every forecast and nowcast that KMA still has and we lack; oldest first.

    A fault of one cell's forecasts or nowcasts does not stop the others, a spent quota does.

    Args:
        workspace: Lake and settings.
        clock: Tells which are out.
        cells: Where.
        env: Environment with the key; the process's own where None.
        sleep: Waits between requests and repeats.
        transport: Stand-in for the network (tests).

    Raises:
        ConfigError: There is no key.
        TryLater: Another process works on the lake.
        StorageError: The lake cannot be read or written.
    """
    kma = workspace.config.kma
    environment = os.environ if env is None else env
    key = secrets.kma_key(SERVICE_KEY, kma.service_key_file, environment, workspace.root)
    with (
        workspace.lake_lock(),
        open_service(
            workspace,
            clock,
            name=village.NAME,
            url=kma.village_url,
            key_field=village.KEY_FIELD,
            key=key,
            sleep=sleep,
            transport=transport,
        ) as service,
    ):
        jobs = plan_only(workspace, clock, cells)
        done = Collected({job.cell: Got() for job in jobs}, sum(len(job.bases) for job in jobs))
        for job in jobs:
            try:
                _work(workspace, service, job, clock, done)
            except StorageError:
                raise
            except FarmError as fault:
                done.fault = done.fault or fault
                if isinstance(fault, QuotaSpent):
                    break
    return done


def _work(workspace: Workspace, service: Service, job: Job, clock: Clock, done: Collected) -> None:
    archive, lake, got = Archive(workspace.store), workspace.lake, done.cells[job.cell]
    ask = _asker(workspace, service, job, clock)
    for base in job.bases:
        rows = ask(base)
        done.left -= 1
        if job.kind == FORECASTS:
            got.rows += archive.append(job.cell, village_table.forecasts(rows))
            got.issues += 1
        elif rows.height:
            frame = village_table.nowcast(rows)
            got.hours += lake.merge(job.cell, frame, NOWCASTS, clock.now()).added


def _asker(
    workspace: Workspace, service: Service, job: Job, clock: Clock
) -> Callable[[datetime], pl.DataFrame]:
    """What asks for one base time of a cell, keeps an answer with rows, and returns them."""
    raw = workspace.raw
    number = job.cell.nx * 1000 + job.cell.ny
    mark = max((mark for mark, _ in raw.names(job.kind, number)), default=0)

    def ask(base: datetime) -> pl.DataFrame:
        nonlocal mark
        replies = village.fetch(service, _OPERATIONS[job.kind], job.cell, base)
        rows = pl.concat([reply.value.rows for reply in replies])
        for page, reply in enumerate(replies if rows.height else (), 1):
            mark += 1
            label = f"{base.astimezone(KST):%Y%m%d%H%M}_p{page}"
            asked = village.query(job.cell, base, page)
            packed = pack(asked, reply.body, clock.now(), reply.status)
            raw.keep(job.kind, number, mark, label, packed)
        return rows

    return ask
