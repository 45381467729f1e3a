"""The ASOS source: one ingest run from days and stations to a summary.

`trainer ingest` and `trainer daily` call it. The requests themselves are made by `ingest.asos`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from edge_agent.contract import kma_fields
from edge_agent.contract.errors import NothingNew, TryLater, UsageError
from edge_agent.contract.hours import korean_date
from edge_agent.contract.stations import station
from trainer.ingest import gap_plan, importer
from trainer.ingest.asos import Ingest, StationOutcome
from trainer.ingest.raw_parts import answers_of, merge_parts
from trainer.ingest.source import RequestPlan, silent
from trainer.ingest.sources import asos
from trainer.ingest.sources.http import NotPublished, QuotaSpent
from trainer.workspace.kma_sources import ASOS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from edge_agent.contract.schema import Site
    from edge_agent.system.ports import Clock
    from trainer.ingest.kma_client import KmaClient
    from trainer.ingest.source import Selection, ShowProgress
    from trainer.workspace.lake import Lake, Merge
    from trainer.workspace.raw import RawStore
    from trainer.workspace.workspace import Workspace


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
    stations: Mapping[int, StationOutcome]
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
        """Raise the result of the run; return where every request was answered.

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

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "added": self.added,
            "changed": self.changed,
            "recovered": self.recovered.added,
            "requests_left_over": self.left,
            "quota_left": self.quota_left,
            "stations": {
                str(number): {
                    "requests": outcome.windows,
                    "answered": outcome.answered,
                    "added": outcome.merge.added,
                    "changed": outcome.merge.changed,
                    "revised": outcome.merge.revised,
                    "absent": outcome.absent,
                    "fault": str(outcome.fault) if outcome.fault else None,
                }
                for number, outcome in self.stations.items()
            },
        }

    def lines(self) -> Iterator[str]:
        """For people; none where no request was answered, since the fault says it all."""
        if self.left and not self.answered:
            return
        yield f"{'station':>7} {'requests':>8} {'added':>8} {'changed':>8} {'absent':>7}"
        for number, outcome in self.stations.items():
            yield (
                f"{number:7} {outcome.answered:3} of {outcome.windows:<3}{outcome.merge.added:8} "
                f"{outcome.merge.changed:8} {outcome.absent:7}  {outcome.fault or ''}"
            )
        yield (
            f"{self.first} to {self.last}: {self.added} hours new, {self.changed} changed; "
            f"{self.quota_left} requests left today"
        )

    def _nothing(self) -> str:
        span = f"{self.first} to {self.last} (KST)"
        if any(o.windows for o in self.stations.values()):
            return f"KMA has no data yet for the hours that are missing in {span}"
        return f"nothing is missing in {span}"


@dataclass(frozen=True, slots=True)
class Request:
    """Stations and Korean days to have in the lake, both ends included."""

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
    """Fill in what the caller left out: stations and start of the settings, the newest day out.

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
        raise UsageError(
            f"nothing lies between the first day {start} and the last day {end} (KST); this "
            f"machine's clock says {now:%Y-%m-%d %H:%M} UTC: set it if that is wrong"
        )
    return Request(chosen, start, end)


def plan(client: KmaClient, selection: Selection) -> RequestPlan:
    """See `source.SourceModule`."""
    wanted = _request(client, selection)
    jobs = Ingest(client.workspace, client.clock).plan(wanted.stations, wanted.first, wanted.last)
    return RequestPlan(
        requests=sum(len(job.windows) for job in jobs),
        hours=sum(len(window.hours) for job in jobs for window in job.windows),
        stations={str(job.station): len(job.windows) for job in jobs},
    )


def fetch(client: KmaClient, selection: Selection, show: ShowProgress = silent) -> Summary:
    """See `source.SourceModule`; raises `NotPublished` for days that are not out."""
    return run(client, _request(client, selection), show)


def run(client: KmaClient, wanted: Request, show: ShowProgress = silent) -> Summary:
    """Fetch what the lake lacks of `wanted`.

    Args:
        client: Access to KMA; its workspace has the lake.
        wanted: See `request`.
        show: Shows the requests that are answered.

    Raises:
        ConfigError: There is no key, and something is to be fetched.
        StorageError: The lake cannot be read or written.
        TryLater: Another process is writing to the lake.
    """
    workspace = client.workspace
    engine = Ingest(workspace, client.clock)
    with workspace.lake_lock():
        recovered = engine.recover(wanted.stations)
        jobs = engine.plan(wanted.stations, wanted.first, wanted.last)
        requests = sum(len(job.windows) for job in jobs)
        if not requests:
            nothing = {job.station: StationOutcome(0) for job in jobs}
            left = workspace.config.kma.requests_per_day
            return Summary(wanted.first, wanted.last, recovered, nothing, left)
        quota = client.quota(ASOS)
        with show("ingest", requests) as progress, client.connect(ASOS, quota) as service:

            def report(number: int, outcome: StationOutcome) -> None:
                progress.advance(
                    f"station {number}: {outcome.answered} of {outcome.windows} answered, "
                    f"{quota.left()} requests left today"
                )

            outcomes = engine.run(jobs, service, report)
        return Summary(wanted.first, wanted.last, recovered, outcomes, quota.left())


def rebuild(raw: RawStore, lake: Lake) -> int:
    """See `source.SourceModule`. Imported files are records too, so both are merged by time."""
    files = importer.kept_files(raw)
    stations = {*raw.places(ASOS.name), *(number for file in files for number in file.stations)}
    for number in sorted(stations):
        imported = (file.part(raw, number) for file in files if number in file.stations)
        answers = answers_of(raw, ASOS.name, number, partial(_hours, station(number).site))
        merge_parts(lake, number, answers, imported)
    return len(files) + sum(len(raw.names(ASOS.name, number)) for number in stations)


def _hours(site: Site, body: bytes, status: int) -> pl.DataFrame:
    return kma_fields.tidy(asos.parse(body, status).rows, site)


def _request(client: KmaClient, selection: Selection) -> Request:
    return request(
        client.workspace,
        client.clock,
        stations=selection.stations,
        first=selection.first,
        last=selection.last,
    )
