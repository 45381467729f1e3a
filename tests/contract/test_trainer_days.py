"""A trainer's days, whatever comes: data late, answers of every kind, kills, clocks, two at once.

Promise O4: a date's work is done when its day's data are in. The machine's steps are what KMA, the
operator and the computer do. Its model is a list of what KMA has served and of what was corrected.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import NothingNew, ProtocolFault, TryLater, UsageError
from edge_agent.contract.hours import KST, korean_clock, korean_midnight
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME
from edge_agent.updates.depot import DepotClient
from edge_agent.updates.source import FolderSource
from tests.fakes.trainer_days import BEGIN, DAY, STATIONS, Killed, TrainerDays
from trainer import setup
from trainer.depot.release_log import ReleaseLog
from trainer.gate import drift, gate
from trainer.training import candidate
from trainer.workspace.journal import Journal, Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.depot.release_log import Entry

WRONG_CLOCKS = [timedelta(days=-400), -2 * DAY, timedelta(hours=-10), timedelta(hours=8), 3 * DAY]
STAGES = ["ingest", "relay", "canary", "drift", "gate", "farms", "sign and publish", "journal"]


class TrainerDaysMachine(RuleBasedStateMachine):
    """One workspace through some days."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.patch = pytest.MonkeyPatch()
        self.corrected: dict[tuple[int, datetime], float] = {}
        self.closed: dict[date, bytes] = {}

    @initialize(several=st.booleans())
    def begin(self, several: bool) -> None:
        """A new workspace, of one station or of three."""
        setup.create(self.folder / "farm", single_key=True)
        self.days = TrainerDays(self.folder / "farm", STATIONS if several else STATIONS[:1])
        self.patch.setattr(os, "fsync", lambda _: None)
        self.patch.setattr(candidate, "train", self.days.train)
        self.patch.setattr(drift, "verify", lambda *_: ())
        self.patch.setattr(gate, "decide", lambda _, folder, *__: folder)

    @rule(hours=st.sampled_from([1, 3, 9, 10, 14, 24, 40]))
    def wait(self, hours: int) -> None:
        """Time passes."""
        self.days.true.advance(3600 * hours)

    @rule(index=st.integers(0, 2), hours=st.sampled_from([3, 9, 20, 30]))
    def late(self, index: int, hours: int) -> None:
        """A station's newest day comes so many hours later than usual."""
        station = self.days.stations[index % len(self.days.stations)]
        day = self._today() - DAY
        if not self.days.kma.out(station, day):
            until = datetime(day.year, day.month, day.day, 11, tzinfo=KST) + DAY
            self.days.kma.delay(station, day, until + timedelta(hours=hours))

    @rule(manner=st.sampled_from(["03", "99", "empty"]))
    def answer(self, manner: str) -> None:
        """How KMA says that it has nothing."""
        self.days.kma.manner = manner

    @rule(silent=st.sets(st.sampled_from(STATIONS), max_size=2))
    def silence(self, silent: set[int]) -> None:
        """For some stations the service is out of order."""
        self.days.kma.silent = silent

    @rule(index=st.integers(0, 2), back=st.integers(1, 3))
    def correct(self, index: int, back: int) -> None:
        """Corrected values of a day that is in the lake, by an import."""
        station = self.days.stations[index % len(self.days.stations)]
        lake = self.days.bench.workspace.lake
        begin = korean_midnight(self._today() - back * DAY)
        rows = lake.observations(station, begin, begin + timedelta(hours=23)).drop("source")
        rows = rows.filter(pl.col(AIR_TEMPERATURE).is_not_null())
        if rows.is_empty():
            return
        changed = rows.with_columns(pl.col(AIR_TEMPERATURE) + 0.5)
        lake.merge(station, changed, "portal", self.days.true.now())
        for time, value in changed.select(TIME, AIR_TEMPERATURE).iter_rows():
            self.corrected[station, time] = value

    @rule()
    def run(self) -> None:
        """The timer's run."""
        self._run()

    @rule(stage=st.sampled_from(STAGES))
    def killed(self, stage: str) -> None:
        """A run that is killed when it comes to a stage."""

        def kill(*_: object) -> None:
            raise Killed

        with self.patch.context() as patch:
            if stage == "journal":
                patch.setattr(Page, "write", kill)
            self._run(lambda step: kill() if step == stage else None)

    @rule()
    def two_at_once(self) -> None:
        """A second run that begins while the first one works."""
        self._run(lambda step: self.days.run_beside() if step == "drift" else None)

    @rule(offset=st.sampled_from(WRONG_CLOCKS))
    def wrong_clock(self, offset: timedelta) -> None:
        """A run by a wrong clock, which is then set right."""
        self.days.offset = offset
        try:
            self._run()
        finally:
            self.days.offset = timedelta()

    @invariant()
    def every_release_is_of_its_day(self) -> None:
        """One a day; another one only from more data of the same day, or from corrected ones."""
        if not hasattr(self, "days"):
            return
        by_date: dict[str, list[Entry]] = {}
        for entry in self._releases():
            by_date.setdefault(entry.why.removeprefix("daily "), []).append(entry)
        for when, entries in by_date.items():
            last = korean_midnight(date.fromisoformat(when)) - timedelta(hours=1)
            runs = [entry.run for entry in entries]
            assert len(set(runs)) == len(runs)
            fresh = [{s for s, at in self.days.trained[run].items() if at == last} for run in runs]
            assert all(fresh), when
            if not self.corrected:
                assert all(a < b for a, b in pairwise(fresh)), when

    @invariant()
    def no_date_is_closed_without_its_data(self) -> None:
        """A journal that awaits nothing: every station has the day; and it stays as it is."""
        if not hasattr(self, "days"):
            return
        lake = self.days.bench.workspace.lake
        for when, journal in self._journals().items():
            if journal.awaited:
                continue
            end = korean_midnight(when) - timedelta(hours=1)
            for station in self.days.stations:
                if station not in journal.laggards:
                    assert lake.observations(station, end, end).height == 1, (when, station)

    def teardown(self) -> None:
        """All comes out in the end: the date is done once, and nothing of what came is lost."""
        try:
            if hasattr(self, "days"):
                self._end()
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder)

    def _end(self) -> None:
        days = self.days
        days.kma.silent = set()
        days.true.advance(3600 * 80)
        now = days.true.now().astimezone(KST)
        days.true.advance(((36 - now.hour) % 24) * 3600)
        outcome = self._run()
        assert outcome in {"release", "done"}, outcome
        assert not self._journals()[self._today()].awaited
        assert self._run() == "done"
        lake = days.bench.workspace.lake
        for station in days.stations:
            times = lake.observations(station)[TIME]
            held = set(korean_clock(times).dt.date())
            assert set(_days(BEGIN, self._today() - DAY)) <= held
            assert {day for s, day in days.kma.served if s == station} <= held
        for (station, time), value in self.corrected.items():
            (now_there,) = lake.observations(station, time, time)[AIR_TEMPERATURE]
            assert now_there == pytest.approx(value)
        self._check_depot()

    def _check_depot(self) -> None:
        root = self.folder / "farm"
        pinned = (root / "root.json").read_bytes()
        client = DepotClient(FolderSource(root / "depot"), self.folder / "device", pinned)
        client.refresh(self.days.true.now())
        offered = contract.decode(client.fetch("channels/stable/manifest.json", 1_000_000) or b"")
        assert offered.release == self._releases()[-1].release

    def _run(self, at: Callable[[str], None] = lambda _: None) -> str:
        """What a run came to; where the date stays open, nothing was published."""
        before = len(self._releases())
        journal = self._journals().get(self.days.today())
        try:
            done = self.days.run(at)
        except Killed:
            return "killed"
        except NothingNew:
            assert journal is not None
            assert not journal.awaited
            return "done"
        except (TryLater, ProtocolFault, UsageError):
            assert len(self._releases()) == before
            assert self._journals().get(self.days.today()) == journal
            return "open"
        assert done.release == self._releases()[-1].release
        return "release"

    def _today(self) -> date:
        return self.days.true.now().astimezone(KST).date()

    def _releases(self) -> tuple[Entry, ...]:
        return ReleaseLog(self.days.bench.workspace.records).entries()

    def _journals(self) -> dict[date, Journal]:
        workspace = self.days.bench.workspace
        dates = [
            date.fromisoformat(path.stem) for path in (workspace.state / "daily").glob("*.json")
        ]
        found = {when: Page(workspace.records, when).done() for when in dates}
        return {when: journal for when, journal in found.items() if journal is not None}


def _days(first: date, last: date) -> list[date]:
    return [first + number * DAY for number in range((last - first).days + 1)]


def _search(examples: int) -> None:
    run_state_machine_as_test(
        TrainerDaysMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # A story is short, and each attempt to shorten one costs seconds.
            phases=[Phase.generate],
        ),
    )


def test_some_days() -> None:
    """A few stories."""
    _search(8)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_days() -> None:
    """Hundreds."""
    _search(400)
