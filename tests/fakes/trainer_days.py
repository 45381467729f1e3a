"""A trainer's days: its own clock, and a KMA that brings each station's days when the test says."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import httpx
import msgspec
import polars as pl

from demo.kma_answer import Answer, envelope, header_only
from demo.kma_asos import AsosService
from demo.kma_faults import FaultRates, Faults
from demo.kma_rows import Rows
from edge_agent.contract.errors import TryLater
from edge_agent.contract.hours import KST
from tests.fakes.clock import FakeClock
from tests.fakes.runs import GOOD, Bench
from tests.fakes.weather import STATION, kma_record
from trainer import daily
from trainer.ingest import pipeline
from trainer.ingest.kma_client import KmaClient
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trainer.workspace.journal import Journal

STATIONS: Final = (STATION, 90, 112)
BEGIN: Final = date(2022, 1, 3)
"""First day that the lake is to have."""
START: Final = datetime(2022, 1, 6, 1, tzinfo=KST)
"""When a machine's story begins."""
LAST: Final = date(2022, 2, 10)
_TOO_EARLY: Final = "전날 자료까지 제공됩니다."
DAY: Final = timedelta(days=1)


class Killed(BaseException):
    """The process is gone."""


@cache
def _record(station: int) -> pl.DataFrame:
    days = kma_record(780).with_columns(station=pl.lit(station, pl.Int32))
    return days.filter(pl.col("tm").dt.date().is_between(BEGIN, LAST))


class PatchyKma(httpx.BaseTransport):
    """KMA's hourly service, of which each station's day comes out at a time of its own.

    Args:
        stations: Numbers.
        clock: The true time.

    Attributes:
        manner: How it answers where it has nothing: "03", "99" or "empty".
        silent: Stations for which it answers 503.
        served: Day by station and day that an answer held whole.
    """

    def __init__(self, stations: tuple[int, ...], clock: FakeClock) -> None:
        self.manner = "03"
        self.silent: set[int] = set()
        self.served: set[tuple[int, date]] = set()
        self._late: dict[tuple[int, date], datetime] = {}
        self._clock = clock
        self._stations = stations

    def delay(self, station: int, day: date, until: datetime) -> None:
        """Let a day come out later than at 11:00 of the next one."""
        self._late[station, day] = until

    def out(self, station: int, day: date) -> bool:
        """Whether a day of a station is out."""
        usual = datetime(day.year, day.month, day.day, 11, tzinfo=KST) + DAY
        return self._late.get((station, day), usual) <= self._clock.now()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One answer."""
        query = dict(request.url.params)
        answer = self._answer(int(query["stnIds"]), query)
        return httpx.Response(
            answer.status, content=answer.body, headers={"content-type": answer.content_type}
        )

    def _answer(self, station: int, query: dict[str, str]) -> Answer:
        if station in self.silent:
            return Answer(503, "text/plain", b"Service Unavailable")
        first, last = (
            datetime.strptime(query[name], "%Y%m%d").replace(tzinfo=KST).date()
            for name in ("startDt", "endDt")
        )
        days = [first + number * DAY for number in range((last - first).days + 1)]
        out = [day for day in days if BEGIN <= day <= LAST and self.out(station, day)]
        if not out and last < self._clock.now().astimezone(KST).date():
            return {
                "03": header_only("03"),
                "99": header_only("99", _TOO_EARLY),
                "empty": envelope("", query, 0, xml=False),
            }[self.manner]
        rows = _record(station).filter(pl.col("tm").dt.date().is_in(out))
        self.served |= {(station, day) for day in out if day > first}
        service = AsosService(Rows(rows if rows.height else _record(station)[:1]), 0)
        return service.answer(query, self._clock.now(), Faults(FaultRates()))


class TrainerDays:
    """`trainer daily` with its own clock, whose training takes no time and notes its data.

    Args:
        root: A workspace.
        stations: Configured ones.

    Attributes:
        true: The true time.
        offset: What the trainer's clock is ahead of it.
        trained: By run: the newest hour of each station that it had.
    """

    def __init__(self, root: Path, stations: tuple[int, ...]) -> None:
        config = Workspace.open(root, {}).config
        kma = msgspec.structs.replace(config.kma, requests_per_second=1000.0, retries=0)
        config = msgspec.structs.replace(config, stations=stations, start=f"{BEGIN}", kma=kma)
        self.stations = stations
        self.true = FakeClock(START.astimezone(UTC))
        self.offset = timedelta()
        self.kma = PatchyKma(stations, self.true)
        self.bench = Bench(Workspace(root, config), FakeClock(START.astimezone(UTC)))
        self.trained: dict[str, dict[int, datetime | None]] = {}

    def today(self) -> date:
        """Logical date by the trainer's clock."""
        return daily.logical_date(None, self._clock())

    def run(self, at: Callable[[str], None] = lambda _: None) -> Journal:
        """`trainer daily`; `at` is called at each step, and may raise."""
        clock = self._clock()
        client = KmaClient(
            self.bench.workspace,
            clock,
            {"KMA_SERVICE_KEY": "k"},
            sleep=lambda _: None,
            transport=self.kma,
        )
        steps = daily.Steps(at, partial(pipeline.run, client))
        return daily.run(self.bench.workspace, self.today(), "stable", clock, steps)

    def run_beside(self) -> None:
        """Another process, while this one works: it must be told to try later."""
        try:
            self.run()
        except TryLater as fault:
            assert "another" in str(fault)  # noqa: PT017 - the other outcome is an error below
        else:
            raise AssertionError("two work the same day")

    def train(self, workspace: Workspace, as_of: datetime, **_: object) -> Path:
        """In the place of `candidate.train`: a run that is named by its day and its data."""
        last = as_of - timedelta(hours=1)
        rows = {s: workspace.lake.observations(s, end=last) for s in self.stations}
        text = json.dumps([frame.hash_rows().to_list() for frame in rows.values()])
        digest = sha256(text.encode()).hexdigest()[:12]
        name = f"{as_of.astimezone(KST):%Y%m%d}-{digest}"
        self.trained[name] = {s: workspace.lake.newest(s, last) for s in self.stations}
        folder = workspace.run_store.folder(name)
        if not (folder / "manifest.json").exists():
            lineage = {"stations": str(STATION), "embargo_hours": "168", "data": digest}
            lineage |= {"trained_to": "2021-05-25T00:00Z", "parameters": "columns"}
            self.bench.run(name, GOOD, lineage=lineage)
        return folder

    def _clock(self) -> FakeClock:
        clock = self.bench.clock
        clock.jump((self.true.now() + self.offset - clock.now()).total_seconds())
        return clock
