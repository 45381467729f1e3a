"""One ingest run from settings to summary: what `trainer ingest` and `trainer daily` call."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import NothingNew, TryLater, UsageError
from edge_agent.contract.hours import korean_date
from trainer.ingest import gap_plan
from trainer.ingest.asos import Ingest, Job, Outcome
from trainer.ingest.kma_client import open_service
from trainer.ingest.quota import Budget
from trainer.ingest.secrets import kma_key
from trainer.ingest.sources import asos
from trainer.ingest.sources.http import NotPublished, QuotaSpent
from trainer.workspace.config import SERVICE_KEY
from trainer.workspace.stations import station

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from edge_agent.system.ports import Clock
    from trainer.workspace.lake import Merge
    from trainer.workspace.workspace import Workspace

_ANSWER_S: Final = 2.0
"""Mean time of an answer, as KMA's guide states it."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an ingest run did.

    Attributes:
        first: First Korean day wanted.
        last: Last Korean day wanted.
        recovered: Rows from answers that an earlier run had left unmerged.
        stations: Outcome by station.
        quota_left: Requests left today by this machine's own count.
    """

    first: date
    last: date
    recovered: Merge
    stations: Mapping[int, Outcome]
    quota_left: int

    @property
    def added(self) -> int:
        """New rows."""
        return self.recovered.added + sum(o.merge.added for o in self.stations.values())

    @property
    def changed(self) -> int:
        """Rows filled or revised."""
        return self.recovered.changed + sum(o.merge.changed for o in self.stations.values())

    @property
    def answered(self) -> int:
        """Requests answered in full."""
        return sum(o.answered for o in self.stations.values())

    @property
    def left(self) -> int:
        """Requests planned and not answered."""
        return sum(o.windows - o.answered for o in self.stations.values())

    def check(self) -> None:
        """Raise what the run as a whole comes to; return when every request was answered.

        Raises:
            NothingNew: Nothing was missing, or KMA has nothing for what was.
            TryLater: Some of it is left; what was answered is kept.
            FarmError: The one fault, where nothing was answered.
        """
        faults = {number: o.fault for number, o in self.stations.items() if o.fault is not None}
        if not faults:
            if self.added + self.changed == 0:
                raise NothingNew(self._nothing())
            return
        kinds = {type(fault) for fault in faults.values()}
        first = next(iter(faults.values()))
        if QuotaSpent in kinds:
            spent = next(f for f in faults.values() if isinstance(f, QuotaSpent))
            raise QuotaSpent(
                f"{spent}; {self.answered} requests answered and kept, {self.left} left: "
                "run the same command tomorrow (KST)"
            )
        if self.answered == 0 and len(kinds) == 1:
            raise first
        shown = "; ".join(f"{number}: {fault}" for number, fault in list(faults.items())[:3])
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise TryLater(
            f"{len(faults)} of {len(self.stations)} stations are incomplete, {self.left} of "
            f"{self.answered + self.left} requests left: run the same command again ({shown}{more})"
        )

    def _nothing(self) -> str:
        span = f"{self.first} to {self.last} (KST)"
        if any(o.windows for o in self.stations.values()):
            return f"KMA has no data yet for the hours that are missing in {span}"
        return f"nothing is missing in {span}"


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted: stations and Korean days, both ends included."""

    stations: tuple[int, ...]
    first: date
    last: date


def request(
    workspace: Workspace,
    clock: Clock,
    *,
    stations: Sequence[int] = (),
    first: date | None = None,
    last: date | None = None,
) -> Request:
    """Fill in what was not said: the settings' stations and start, the newest day that is out.

    Raises:
        UsageError: Not a station, or the days are the wrong way round.
        NotPublished: `last` is today or later.
    """
    chosen = tuple(dict.fromkeys(stations or workspace.config.stations))
    for number in chosen:
        station(number)
    now = clock.now()
    yesterday = korean_date(now) - timedelta(days=1)
    if last is not None and last > yesterday:
        raise NotPublished(
            f"{last} (KST) is not out yet: KMA gives days up to {yesterday}; a day is available "
            "on the next day from about 11:00 KST"
        )
    start = first or date.fromisoformat(workspace.config.start)
    end = last or gap_plan.last_published(now)
    if start > end:
        raise UsageError(f"nothing lies between the first day {start} and the last day {end} (KST)")
    return Request(chosen, start, end)


def plan_only(workspace: Workspace, clock: Clock, wanted: Request) -> list[Job]:
    """What a run would ask for; changes nothing."""
    return Ingest(workspace, clock).plan(wanted.stations, wanted.first, wanted.last)


def minutes(workspace: Workspace, requests: int) -> float:
    """How long so many requests take, at the agreed rate and KMA's usual answering time."""
    kma = workspace.config.kma
    return requests * max(1.0 / kma.requests_per_second, _ANSWER_S / kma.parallel) / 60.0


def heal(
    workspace: Workspace,
    clock: Clock,
    wanted: Request,
    *,
    started: Callable[[Sequence[Job], Callable[[], int]], None] = lambda _jobs, _left: None,
    report: Callable[[int, Outcome], None] = lambda _station, _outcome: None,
    env: Mapping[str, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Summary:
    """Fetch what the lake lacks of `wanted`.

    Args:
        workspace: Where to.
        clock: Tells the day.
        wanted: See `request`.
        started: Called once with the plan, and a function that tells the requests left today.
        report: Called after each request with station and outcome so far.
        env: Environment with the key; the process's own where None.
        sleep: Waits between requests and repeats.
        transport: Stand-in for the network (tests).

    Raises:
        ConfigError: There is no key, and something is to be fetched.
        StorageError: The lake cannot be read or written.
        TryLater: Another process is writing to the lake.
    """
    engine = Ingest(workspace, clock)
    with workspace.lake_lock():
        recovered = engine.recover(wanted.stations)
        jobs = engine.plan(wanted.stations, wanted.first, wanted.last)
        if not any(job.windows for job in jobs):
            limit = workspace.config.kma.requests_per_day
            started(jobs, lambda: limit)
            nothing = {job.station: Outcome(0) for job in jobs}
            return Summary(wanted.first, wanted.last, recovered, nothing, limit)
        key = kma_key(
            SERVICE_KEY,
            workspace.config.kma.service_key_file,
            os.environ if env is None else env,
            workspace.root,
        )
        counts = workspace.state / "requests.json"
        budget = Budget(counts, asos.NAME, key, workspace.config.kma.requests_per_day, clock)
        started(jobs, budget.left)
        with open_service(
            workspace,
            clock,
            name=asos.NAME,
            url=workspace.config.kma.asos_url,
            key_field=asos.KEY_FIELD,
            key=key,
            budget=budget,
            sleep=sleep,
            transport=transport,
        ) as service:
            outcomes = engine.run(jobs, service, report)
        return Summary(wanted.first, wanted.last, recovered, outcomes, budget.left())
