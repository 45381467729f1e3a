"""ASOS requests: from the hours that the lake lacks to raw answers and rows.

Order of writes: the raw answer, then its rows, then the checkpoint. So a kill at any moment loses
nothing, and nothing is asked for twice. A run first merges raw answers that a killed run left, and
then plans its requests.
"""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import kma_fields
from edge_agent.contract.errors import ConfigError, FarmError, Refused, StorageError
from edge_agent.contract.hours import korean_date
from edge_agent.contract.schema import TIME
from edge_agent.contract.stations import station as station_of
from trainer.ingest import checkpoint, gap_plan
from trainer.ingest.sources import asos
from trainer.ingest.sources.http import QuotaSpent
from trainer.workspace.kma_sources import ASOS
from trainer.workspace.lake import Merge
from trainer.workspace.raw import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date

    from edge_agent.system.ports import Clock
    from trainer.ingest.gap_plan import Window
    from trainer.ingest.sources.asos import HourPage
    from trainer.ingest.sources.http import Service
    from trainer.workspace.workspace import Workspace

_log = logging.getLogger(__name__)

FAULTS_IN_A_ROW: Final = 5
"""So many requests that fail in a row, repeats included, say that KMA's service is down."""

BATCH: Final = 48
"""Requests gathered before a merge. It bounds memory, and what is merged again after a kill."""

_STOP_ALL: Final = (QuotaSpent, Refused, ConfigError)


@dataclass(slots=True)
class StationOutcome:
    """What became of one station.

    Attributes:
        windows: Requests planned.
        answered: Requests answered in full.
        merge: What the answers did to the lake.
        absent: Hours asked for that the answers lacked.
        fault: First error, or None.
    """

    windows: int
    answered: int = 0
    merge: Merge = field(default_factory=Merge)
    absent: int = 0
    fault: FarmError | None = None


@dataclass(frozen=True, slots=True)
class StationRequests:
    """One station's requests, oldest first."""

    station: int
    windows: tuple[Window, ...]


class Ingest:
    """Ingest of ASOS hourly observations.

    Args:
        workspace: Lake and settings.
        clock: Tells the day and stamps answers.
    """

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock

    def recover(self, stations: Iterable[int]) -> Merge:
        """Merge raw answers that a killed run left behind."""
        return sum(
            (_StationWriter(self._workspace, s, self._clock).recover() for s in stations), Merge()
        )

    def plan(self, stations: Iterable[int], first: date, last: date) -> list[StationRequests]:
        """Requests by station, from the lake and the checkpoints alone."""
        span = gap_plan.hours_of(first, last)
        today = _today(self._clock)
        jobs = []
        for station in stations:
            state = checkpoint.load(self._workspace.store, ASOS.name, station)
            present = self._workspace.lake.hours(station, settled=True, until=self._clock.now())
            waiting = gap_plan.held_back(state.waiting(today), present, today)
            hours = gap_plan.missing(span, present, waiting)
            jobs.append(StationRequests(station, tuple(gap_plan.windows(hours))))
        return jobs

    def run(
        self,
        jobs: Sequence[StationRequests],
        service: Service,
        report: Callable[[int, StationOutcome], None],
    ) -> dict[int, StationOutcome]:
        """Fetch, keep and merge, station by station in the order given; requests run in parallel.

        Args:
            jobs: What `plan` returned.
            service: The ASOS service.
            report: Called in this thread after each request, with station and outcome so far.

        Returns:
            Outcome by station. A fault of one station does not stop the others. A spent quota, a
            refused key or a service that is down stops all; what was answered is kept.
        """
        outcomes = {job.station: StationOutcome(len(job.windows)) for job in jobs}
        left = {job.station: len(job.windows) for job in jobs}
        writers: dict[int, _StationWriter] = {}
        queue = deque((job.station, window) for job in jobs for window in job.windows)
        running: dict[Future[list[HourPage]], tuple[int, int, Window]] = {}
        faults_in_a_row = 0
        parallel = self._workspace.config.kma.parallel
        with ThreadPoolExecutor(parallel, thread_name_prefix="ingest") as pool:
            while queue or running:
                while queue and len(running) < parallel:
                    station, window = queue.popleft()
                    if station not in writers:
                        writers[station] = _StationWriter(self._workspace, station, self._clock)
                    number = writers[station].reserve()
                    task = pool.submit(writers[station].fetch, service, number, window)
                    running[task] = station, number, window
                for task in wait(running, return_when=FIRST_COMPLETED).done:
                    station, number, window = running.pop(task)
                    outcome, left[station] = outcomes[station], left[station] - 1
                    fault = writers[station].take(task, number, window, outcome)
                    faults_in_a_row = faults_in_a_row + 1 if fault else 0
                    if isinstance(fault, _STOP_ALL) or faults_in_a_row >= FAULTS_IN_A_ROW:
                        queue.clear()
                    if left[station] == 0:
                        writers.pop(station).settle(outcome)
                    elif writers[station].gathered >= BATCH:
                        writers[station].settle(outcome)
                    report(station, outcome)
        for station, writer in writers.items():
            writer.settle(outcomes[station])
        return outcomes


class _StationWriter:
    """Writes one station: raw answers as they come, rows and checkpoint in batches."""

    def __init__(self, workspace: Workspace, station: int, clock: Clock) -> None:
        self._store = workspace.store
        self._lake = workspace.lake
        self._raw = workspace.raw
        self._station = station
        self._clock = clock
        self._checkpoint = checkpoint.load(self._store, ASOS.name, station)
        self._number = max(
            self._checkpoint.merged, *(n for n, _ in self._raw.names(ASOS.name, station)), 0
        )
        self._under_way: set[int] = set()
        self._rows: list[pl.DataFrame] = []
        self._asked: list[int] = []
        self.gathered = 0

    def reserve(self) -> int:
        """Number of the next request; its answer's files carry it."""
        self._number += 1
        self._under_way.add(self._number)
        return self._number

    def fetch(self, service: Service, number: int, window: Window) -> list[HourPage]:
        """Ask, and keep the raw answers. Runs in a thread, as it waits for network and disk."""
        pages = []
        for exchange in asos.fetch(service, self._station, window.start, window.end):
            query, reply = exchange.query, exchange.reply
            span = f"{query['startDt']}{query['startHh']}-{query['endDt']}{query['endHh']}"
            packed = pack(query, reply.body, self._clock.now(), reply.status)
            label = f"{span}_p{query['pageNo']}"
            self._raw.keep(ASOS.name, self._station, number, label, packed)
            pages.append(reply.value)
            left_out = reply.value.left_out
            if left_out:
                _log.warning(
                    "station %d: %d rows left out, tm is no full hour: %r",
                    *(self._station, len(left_out), left_out[0]),
                )
        return pages

    def take(
        self, task: Future[list[HourPage]], number: int, window: Window, outcome: StationOutcome
    ) -> FarmError | None:
        """Gather the rows of a finished request; returns its fault.

        Raises:
            StorageError: The disk is full or broken, so that asking on would waste the quota.
        """
        self._under_way.discard(number)
        try:
            pages = task.result()
        except StorageError:
            raise
        except FarmError as fault:
            outcome.fault = outcome.fault or fault
            return fault
        self._rows += [page.rows for page in pages]
        self._asked += window.hours.tolist()
        self.gathered += 1
        outcome.answered += 1
        return None

    def settle(self, outcome: StationOutcome) -> None:
        """Merge the gathered rows, then write the checkpoint."""
        if self.gathered == 0:
            return
        merge, got = self._merge()
        self._checkpoint.note(self._asked, got, _today(self._clock))
        # A request that is still running may have a lower number than those merged here.
        self._checkpoint.merged = min(self._under_way, default=self._number + 1) - 1
        checkpoint.save(self._store, ASOS.name, self._station, self._checkpoint)
        outcome.merge += merge
        outcome.absent += sum(hour not in got for hour in self._asked)
        self._rows, self._asked, self.gathered = [], [], 0

    def recover(self) -> Merge:
        """Merge raw answers above the checkpoint's number, and note the hours they lacked."""
        merge = Merge()
        asked: dict[date, set[int]] = {}
        for number, about, body in self._raw.since(
            ASOS.name, self._station, self._checkpoint.merged
        ):
            self._rows.append(asos.parse(body, about.status).rows)
            day = korean_date(about.received)
            asked.setdefault(day, set()).update(asos.hours_asked(about.query))
            if len(self._rows) >= BATCH:
                merge += self._recovered(number - 1, asked)
        if self._rows:
            merge += self._recovered(self._number, asked)
        return merge

    def _recovered(self, merged: int, asked: dict[date, set[int]]) -> Merge:
        merge, got = self._merge()
        # An hour that another source has brought does not count as absent.
        present = set(self._lake.hours(self._station, settled=True).tolist())
        for day, hours in asked.items():
            self._checkpoint.note(hours - present, got, day)
        self._checkpoint.merged = merged
        checkpoint.save(self._store, ASOS.name, self._station, self._checkpoint)
        self._rows = []
        asked.clear()
        return merge

    def _merge(self) -> tuple[Merge, set[int]]:
        rows = pl.concat(self._rows)
        if rows.height == 0:
            return Merge(), set()
        frame = kma_fields.tidy(rows, station_of(self._station).site)
        got = set((frame[TIME].dt.epoch("s") // 3600).to_list())
        return self._lake.merge(self._station, frame, ASOS.name, self._clock.now()), got


def _today(clock: Clock) -> date:
    return korean_date(clock.now())
