"""Self-healing ingest: from what the lake lacks to requests, raw answers and rows.

Order of writes, so that a kill at any moment loses nothing and repeats nothing: the raw answer,
then the rows it brings, then the ledger that says so. A run begins by merging raw answers that a
killed run left behind; only then does it work out what to ask for.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.errors import ConfigError, FarmError, Refused, StorageError
from edge_agent.contract.hours import korean_date
from edge_agent.contract.schema import TIME
from trainer.ingest import checkpoint, gap_plan
from trainer.ingest.sources import asos, kma
from trainer.ingest.sources.http import QuotaSpent
from trainer.workspace.lake import Merge
from trainer.workspace.raw import pack
from trainer.workspace.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date

    from edge_agent.system.ports import Clock
    from trainer.ingest.gap_plan import Window
    from trainer.ingest.sources.asos import Page
    from trainer.ingest.sources.http import Service
    from trainer.workspace.workspace import Workspace

FAULTS_IN_A_ROW: Final = 5
"""Requests that fail in a row, repeats included, before the other side counts as down."""

BATCH: Final = 48
"""Requests gathered before a merge: bounds memory, and what a kill makes to be merged again."""

_STOP_ALL: Final = (QuotaSpent, Refused, ConfigError)


@dataclass(slots=True)
class Outcome:
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
class Job:
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
        return sum((_Writer(self._workspace, s, self._clock).recover() for s in stations), Merge())

    def plan(self, stations: Iterable[int], first: date, last: date) -> list[Job]:
        """Work out what to ask for, from the lake and the ledgers alone."""
        wanted = gap_plan.hours_of(first, last)
        today = _today(self._clock)
        jobs = []
        for station in stations:
            memory = checkpoint.load(self._workspace.store, asos.NAME, station)
            present = self._workspace.lake.hours(station, settled=True)
            hours = gap_plan.missing(wanted, present, memory.waiting(today))
            jobs.append(Job(station, tuple(gap_plan.windows(hours))))
        return jobs

    def run(
        self, jobs: Sequence[Job], service: Service, report: Callable[[int, Outcome], None]
    ) -> dict[int, Outcome]:
        """Ask, keep and merge; station by station in the order given, requests side by side.

        Args:
            jobs: What `plan` returned.
            service: The ASOS service.
            report: Called in this thread with station and outcome so far, after each request.

        Returns:
            Outcome by station. A fault of one station does not stop the others; a spent quota, a
            refused key or a service that is down stops all, and what was answered is kept.
        """
        outcomes = {job.station: Outcome(len(job.windows)) for job in jobs}
        left = {job.station: len(job.windows) for job in jobs}
        writers: dict[int, _Writer] = {}
        queue = deque((job.station, window) for job in jobs for window in job.windows)
        running: dict[Future[list[Page]], tuple[int, int, Window]] = {}
        in_a_row = 0
        parallel = self._workspace.config.kma.parallel
        with ThreadPoolExecutor(parallel, thread_name_prefix="ingest") as pool:
            while queue or running:
                while queue and len(running) < parallel:
                    station, window = queue.popleft()
                    if station not in writers:
                        writers[station] = _Writer(self._workspace, station, self._clock)
                    number = writers[station].reserve()
                    task = pool.submit(writers[station].fetch, service, number, window)
                    running[task] = station, number, window
                for task in wait(running, return_when=FIRST_COMPLETED).done:
                    station, number, window = running.pop(task)
                    outcome, left[station] = outcomes[station], left[station] - 1
                    fault = writers[station].take(task, number, window, outcome)
                    in_a_row = in_a_row + 1 if fault else 0
                    if isinstance(fault, _STOP_ALL) or in_a_row >= FAULTS_IN_A_ROW:
                        queue.clear()
                    if left[station] == 0:
                        writers.pop(station).settle(outcome)
                    elif writers[station].gathered >= BATCH:
                        writers[station].settle(outcome)
                    report(station, outcome)
        for station, writer in writers.items():
            writer.settle(outcomes[station])
        return outcomes


class _Writer:
    """Writes one station: raw answers as they come, rows and ledger in batches."""

    def __init__(self, workspace: Workspace, station: int, clock: Clock) -> None:
        self._store = workspace.store
        self._lake = workspace.lake
        self._raw = workspace.raw
        self._station = station
        self._clock = clock
        self._memory = checkpoint.load(self._store, asos.NAME, station)
        self._number = max(
            self._memory.merged, *(n for n, _ in self._raw.names(asos.NAME, station)), 0
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

    def fetch(self, service: Service, number: int, window: Window) -> list[Page]:
        """Ask, and store what is answered. Runs in a thread: it waits for network and disk."""
        pages = []
        for exchange in asos.fetch(service, self._station, window.start, window.end):
            asked, reply = exchange.query, exchange.reply
            span = f"{asked['startDt']}{asked['startHh']}-{asked['endDt']}{asked['endHh']}"
            packed = pack(asked, reply.body, self._clock.now(), reply.status)
            label = f"{span}_p{asked['pageNo']}"
            self._raw.keep(asos.NAME, self._station, number, label, packed)
            pages.append(reply.value)
        return pages

    def take(
        self, task: Future[list[Page]], number: int, window: Window, outcome: Outcome
    ) -> FarmError | None:
        """Gather the rows of a request that is done; returns its fault.

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

    def settle(self, outcome: Outcome) -> None:
        """Merge what was gathered, then write the ledger."""
        if self.gathered == 0:
            return
        merge, got = self._merge()
        self._memory.note(self._asked, got, _today(self._clock))
        # Requests still under way may be stored with a lower number than what is merged here.
        self._memory.merged = min(self._under_way, default=self._number + 1) - 1
        checkpoint.save(self._store, asos.NAME, self._station, self._memory)
        outcome.merge += merge
        outcome.absent += sum(hour not in got for hour in self._asked)
        self._rows, self._asked, self.gathered = [], [], 0

    def recover(self) -> Merge:
        """Merge raw answers above the ledger's mark, and note what they lacked."""
        done = Merge()
        asked: set[int] = set()
        for number, about, body in self._raw.since(asos.NAME, self._station, self._memory.merged):
            self._rows.append(asos.parse(body, about.status).rows)
            asked.update(asos.hours_asked(about.query))
            if len(self._rows) >= BATCH:
                done += self._recovered(number - 1, asked)
        if self._rows:
            done += self._recovered(self._number, asked)
        return done

    def _recovered(self, merged: int, asked: set[int]) -> Merge:
        merge, got = self._merge()
        # What the lake has from elsewhere was not what these answers were asked for.
        known = set(self._lake.hours(self._station, settled=True).tolist())
        self._memory.note(asked - known, got, _today(self._clock))
        self._memory.merged = merged
        checkpoint.save(self._store, asos.NAME, self._station, self._memory)
        self._rows = []
        asked.clear()
        return merge

    def _merge(self) -> tuple[Merge, set[int]]:
        rows = pl.concat(self._rows)
        if rows.height == 0:
            return Merge(), set()
        frame = kma.tidy(rows, station_of(self._station).site)
        got = set((frame[TIME].dt.epoch("s") // 3600).to_list())
        return self._lake.merge(self._station, frame, asos.NAME, self._clock.now()), got


def _today(clock: Clock) -> date:
    return korean_date(clock.now())
