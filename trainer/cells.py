"""What KMA's village service says of grid cells: forecasts and nowcasts, kept as they are answered.

Forecasts go into the archive of `trainer.guidance`, nowcasts into the lake as observations of the
cell: KMA forgets an issue after two days and a nowcast after one.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.dfs_grid import cell_of
from edge_agent.errors import FarmError, StorageError
from trainer import plan, secrets
from trainer.access import open_service
from trainer.config import SERVICE_KEY
from trainer.guidance import Archive
from trainer.plan import KST
from trainer.raw_store import pack
from trainer.sources import village, village_table
from trainer.sources.http import QuotaSpent
from trainer.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import httpx

    from edge_agent.contract.dfs_grid import Cell
    from edge_agent.ports import Clock
    from trainer.sources.http import Service
    from trainer.workspace import Workspace

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
    """What a collection did, by cell, and the first fault."""

    cells: dict[Cell, Got] = field(default_factory=dict)
    fault: FarmError | None = None

    def __bool__(self) -> bool:
        return any(got.rows or got.hours for got in self.cells.values())


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
    yesterday = now.astimezone(KST).replace(hour=0, minute=0, second=0, microsecond=0)
    first = yesterday - timedelta(days=1)
    bases = (first + timedelta(days=d, hours=h) for d in (0, 1) for h in _ISSUE_HOURS)
    return [base.astimezone(UTC) for base in bases if base + _FORECAST_OUT <= now]


def hours_out(now: datetime) -> list[datetime]:
    """Hours (UTC) of the nowcasts that KMA still has at `now`, oldest first."""
    last = plan.hour_of(now - _NOWCAST_OUT)
    first = plan.hour_of(now - _NOWCAST_KEPT) + 1
    return [plan.moment_of(hour) for hour in range(first, last + 1)]


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
    done = Collected()
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
        for cell in dict.fromkeys(cells):
            got = done.cells[cell] = Got()
            for bring in (_forecasts, _nowcasts):
                try:
                    bring(workspace, service, cell, clock, got)
                except StorageError:
                    raise
                except FarmError as fault:
                    done.fault = done.fault or fault
                    if isinstance(fault, QuotaSpent):
                        return done
    return done


def _forecasts(workspace: Workspace, service: Service, cell: Cell, clock: Clock, got: Got) -> None:
    archive = Archive(workspace.store)
    out = issues_out(clock.now())
    have = set(archive.read(cell, min(out, default=None))[village_table.ISSUED])
    ask = _asker(workspace, service, cell, clock, FORECASTS)
    for issue in out:
        if issue not in have:
            rows = ask(issue)
            got.rows += archive.append(cell, village_table.forecasts(rows))
            got.issues += 1


def _nowcasts(workspace: Workspace, service: Service, cell: Cell, clock: Clock, got: Got) -> None:
    lake = workspace.lake
    have = set(lake.hours(cell))
    ask = _asker(workspace, service, cell, clock, NOWCASTS)
    for hour in hours_out(clock.now()):
        if plan.hour_of(hour) not in have:
            frame = village_table.nowcast(ask(hour))
            if frame.height:
                got.hours += lake.merge(cell, frame, NOWCASTS, clock.now()).added


def _asker(
    workspace: Workspace, service: Service, cell: Cell, clock: Clock, kind: str
) -> Callable[[datetime], pl.DataFrame]:
    """What asks for one base time of a cell, keeps an answer with rows, and returns them."""
    raw = workspace.raw
    number = cell.nx * 1000 + cell.ny
    mark = max((mark for mark, _ in raw.names(kind, number)), default=0)

    def ask(base: datetime) -> pl.DataFrame:
        nonlocal mark
        replies = village.fetch(service, _OPERATIONS[kind], cell, base)
        rows = pl.concat([reply.value.rows for reply in replies])
        for page, reply in enumerate(replies if rows.height else (), 1):
            mark += 1
            label = f"{base.astimezone(KST):%Y%m%d%H%M}_p{page}"
            asked = village.query(cell, base, page)
            packed = pack(asked, reply.body, clock.now(), reply.status)
            raw.keep(kind, number, mark, label, packed)
        return rows

    return ask
