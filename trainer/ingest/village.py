"""The village source: forecasts and nowcasts of cells of KMA's grid, kept as they are answered.

Forecasts go into the archive of `trainer.ingest.guidance`, nowcasts into the lake as observations
of the cell. KMA forgets an issue after two days and a nowcast after one. Of the cells of other
stations that the lake has hours of, only forecasts are collected: the hours are what to hold them
against.
"""

from __future__ import annotations

import heapq
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, groupby
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.dfs_grid import Cell, cell_of
from edge_agent.contract.errors import (
    FarmError,
    ProtocolFault,
    StorageError,
    UsageError,
)
from edge_agent.contract.hours import KST, hour_of, korean_date, korean_midnight, time_of
from edge_agent.contract.schema import TIME
from edge_agent.contract.stations import station as station_of
from trainer.ingest import guidance_files
from trainer.ingest.guidance import Archive
from trainer.ingest.guidance_files import KeptForecasts, cell_of_folder, folder_of_cell
from trainer.ingest.raw_parts import answers_of, merge_parts
from trainer.ingest.source import RequestPlan, silent
from trainer.ingest.sources import village, village_table
from trainer.ingest.sources.http import QuotaSpent, Truncated
from trainer.ingest.village_result import CellOutcome, VillageResult
from trainer.workspace.kma_sources import VILLAGE
from trainer.workspace.raw import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from trainer.ingest.kma_client import KmaClient
    from trainer.ingest.source import Selection, ShowProgress
    from trainer.ingest.sources.http import Service
    from trainer.workspace.lake import Lake
    from trainer.workspace.raw import Answer, RawStore

_log = logging.getLogger(__name__)

FORECASTS: Final = VILLAGE.name
NOWCASTS: Final = VILLAGE.lake_name
"""Folders of the raw answers; the second is also the source's name in the lake."""

_OPERATIONS: Final = {FORECASTS: "getVilageFcst", NOWCASTS: "getUltraSrtNcst"}
_TABLES: Final = {FORECASTS: village_table.forecasts, NOWCASTS: village_table.nowcast}
_ISSUE_HOURS: Final = (2, 5, 8, 11, 14, 17, 20, 23)
FORECAST_OUT: Final = timedelta(minutes=15)
"""An issue is out 10 minutes after its base time."""
_NOWCAST_OUT: Final = timedelta(minutes=40)
"""By KMA's guide. It appears earlier, and values are filled in for half an hour."""
_NOWCAST_KEPT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CellRequests:
    """What to ask of one cell: base times of forecasts or of nowcasts, oldest first."""

    cell: Cell
    kind: str
    bases: tuple[datetime, ...]


def plan(client: KmaClient, selection: Selection) -> RequestPlan:
    """See `source.SourceModule`."""
    requests = _requests(client, *_cells(client, selection))
    return RequestPlan(sum(len(each.bases) for each in requests))


def fetch(client: KmaClient, selection: Selection, show: ShowProgress = silent) -> VillageResult:
    """See `source.SourceModule`: every forecast and nowcast that KMA still has of the cells."""
    del show
    return collect(client, *_cells(client, selection))


def bring_up(
    client: KmaClient, stations: tuple[int, ...], farms: tuple[tuple[float, float], ...]
) -> tuple[int, FarmError | None]:
    """See `source.NearRealTime`: cells of farms, and forecasts where the lake has stations."""
    del stations
    if not (farms and client.has_key(VILLAGE.key)):
        return 0, None
    result = collect(client, cells_of((), farms), _observed_cells(client))
    return sum(outcome.hours for outcome in result.cells.values()), result.fault


def rebuild(raw: RawStore, lake: Lake) -> int:
    """See `source.SourceModule`. Forecasts go into the archive beside the lake."""
    archive, read = Archive(lake.store), 0
    for number in raw.places(NOWCASTS):
        merge_parts(lake, cell_of_folder(number), answers_of(raw, NOWCASTS, number, _nowcast))
        read += len(raw.names(NOWCASTS, number))
    for number in sorted({*raw.places(FORECASTS), *raw.places(guidance_files.FILES)}):
        files = guidance_files.kept(raw, number)
        parts = heapq.merge(_issues(raw, number), files, key=lambda part: part.received)
        for part in parts:
            archive.append(cell_of_folder(number), part.rows)
        read += sum(len(raw.names(kind, number)) for kind in (FORECASTS, guidance_files.FILES))
    return read


def _issues(raw: RawStore, number: int) -> Iterator[KeptForecasts]:
    """Every issue of a cell that was answered, in the order of the answers."""
    answers = raw.since(FORECASTS, number, 0)
    for _, pages in groupby(answers, key=lambda page: _issue(page[1])):
        received, rows = [], []
        for _, answer, body in pages:
            received.append(answer.received)
            rows.append(village.parse(body, answer.status).rows)
        yield KeptForecasts(received[-1], village_table.forecasts(pl.concat(rows)))


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
    return [base for base in bases if base + FORECAST_OUT <= now]


def hours_out(now: datetime) -> list[datetime]:
    """Hours (UTC) of the nowcasts that KMA still has at `now`, oldest first."""
    last = hour_of(now - _NOWCAST_OUT)
    first = hour_of(now - _NOWCAST_KEPT) + 1
    return [time_of(hour) for hour in range(first, last + 1)]


def collect(
    client: KmaClient, cells: Sequence[Cell], observed: Sequence[Cell] = ()
) -> VillageResult:
    """Fetch every forecast and nowcast that KMA still has and the lake lacks; oldest first.

    Of `observed` cells only forecasts, after the others.

    An answer that cannot be read stops nothing else. Another fault of one cell's forecasts or
    nowcasts does not stop the others, a spent quota does.

    Raises:
        ConfigError: There is no key.
        TryLater: Another process works on the lake.
        StorageError: The lake cannot be read or written.
    """
    with client.workspace.lake_lock(), client.connect(VILLAGE) as service:
        requests = _requests(client, cells, observed)
        result = VillageResult(
            {each.cell: CellOutcome() for each in requests},
            sum(len(each.bases) for each in requests),
        )
        for each in requests:
            try:
                _work(client, service, each, result)
            except StorageError:
                raise
            except FarmError as fault:
                result.fault = result.fault or fault
                if isinstance(fault, QuotaSpent):
                    break
    return result


def _cells(client: KmaClient, selection: Selection) -> tuple[list[Cell], list[Cell]]:
    """Cells to collect, and those to collect only forecasts of."""
    if selection.first or selection.last:
        raise UsageError("--from and --to are not for village: KMA keeps forecasts for two days")
    if selection.stations:
        return cells_of(selection.stations), []
    config = client.workspace.config
    return cells_of(config.stations, config.farms), _observed_cells(client)


def _observed_cells(client: KmaClient) -> list[Cell]:
    return cells_of(client.workspace.lake.stations())


def _requests(
    client: KmaClient, cells: Sequence[Cell], observed: Sequence[Cell]
) -> list[CellRequests]:
    """What KMA still has of each cell and the lake lacks."""
    requests = []
    workspace, now = client.workspace, client.clock.now()
    archive = Archive(workspace.store)
    issues, hours = issues_out(now), hours_out(now)
    for cell in dict.fromkeys((*cells, *observed)):
        issued = set(archive.read(cell, min(issues, default=None))[village_table.ISSUED])
        answered = _answered(workspace.raw, cell)
        # Files may have brought some categories of an issue that was never asked for.
        new_issues = tuple(
            issue for issue in issues if issue not in issued or _label(issue) not in answered
        )
        requests.append(CellRequests(cell, FORECASTS, new_issues))
        if cell in cells:
            known = set(workspace.lake.observations(cell, now - _NOWCAST_KEPT, now)[TIME])
            new_hours = tuple(hour for hour in hours if hour not in known)
            requests.append(CellRequests(cell, NOWCASTS, new_hours))
    return requests


def _answered(raw: RawStore, cell: Cell) -> set[str]:
    """Labels of the issues of a cell that the service has answered."""
    names = raw.names(FORECASTS, folder_of_cell(cell))
    return {name.rpartition("/")[2].split("_")[1] for _, name in names}


def _label(base: datetime) -> str:
    return f"{base.astimezone(KST):%Y%m%d%H%M}"


def _work(
    client: KmaClient, service: Service, requests: CellRequests, result: VillageResult
) -> None:
    workspace, outcome = client.workspace, result.cells[requests.cell]
    archive, lake = Archive(workspace.store), workspace.lake
    ask = _asker(client, service, requests)
    for base in requests.bases:
        try:
            table = ask(base)
        except Truncated:
            raise
        except ProtocolFault as fault:
            # It is asked for again at the next run; the bases behind it do not wait for it.
            result.fault = result.fault or fault
            continue
        result.left -= 1
        if requests.kind == FORECASTS:
            appended = archive.append(requests.cell, table)
            outcome.rows += appended.added
            outcome.issues += 1
            if appended.differing:
                _log.warning("village: cell %s: %s", requests.cell, appended.difference())
        elif table.height:
            merge = lake.merge(requests.cell, table, NOWCASTS, client.clock.now())
            outcome.hours += merge.added


def _asker(
    client: KmaClient, service: Service, requests: CellRequests
) -> Callable[[datetime], pl.DataFrame]:
    """A function that asks for one base time, keeps an answer that has rows, and reads it."""
    raw, cell, kind = client.workspace.raw, requests.cell, requests.kind
    number = folder_of_cell(cell)
    numbers = count(raw.next_number(kind, number))

    def ask(base: datetime) -> pl.DataFrame:
        replies = village.fetch(service, _OPERATIONS[kind], cell, base)
        rows = pl.concat([reply.value.rows for reply in replies])
        # Read before it is kept: a rebuild must be able to read what is kept.
        table = _TABLES[kind](rows)
        unread = village_table.unreadable(rows)
        if unread:
            moment = f"{base.astimezone(KST):%Y-%m-%d %H:%M} (KST)"
            _log.warning(
                "village: cell %s, %s of %s: %d unreadable, left out: %s",
                *(cell, kind, moment, len(unread), unread[0]),
            )
        for page, reply in enumerate(replies if rows.height else (), 1):
            label = f"{_label(base)}_p{page}"
            query = village.query(cell, base, page)
            packed = pack(query, reply.body, client.clock.now(), reply.status)
            raw.keep(kind, number, next(numbers), label, packed)
        return table

    return ask


def _nowcast(body: bytes, status: int) -> pl.DataFrame:
    return village_table.nowcast(village.parse(body, status).rows)


def _issue(answer: Answer) -> tuple[str, str]:
    return answer.query["base_date"], answer.query["base_time"]
