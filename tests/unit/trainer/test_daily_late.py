"""The timer's runs while KMA brings the day late: no date is closed before its data are in."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from edge_agent.contract.errors import FarmError, NothingNew, TryLater
from edge_agent.contract.hours import KST
from edge_agent.contract.schema import TIME
from tests.fakes import shipped_timer
from tests.fakes.clock import FakeClock
from tests.fakes.late_kma import LateKma
from tests.fakes.runs import GOOD, POOR, Bench, lower_floor
from tests.fakes.trained import make_workspace
from tests.fakes.weather import STATION, kma_record, record
from trainer import daily
from trainer.ingest import pipeline
from trainer.ingest.kma_client import KmaClient
from trainer.training import candidate
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.workspace.journal import Journal

WHEN = date(2022, 1, 6)
DAY_BEFORE = datetime(2022, 1, 5, tzinfo=KST)
NIGHT, MORNING = shipped_timer.hours()
NOON = 12.5
OTHERS = (90, 112)
MANNERS = ["03", "99", "empty", "first hour", "half"]


@pytest.fixture(scope="module")
def _seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("late") / "farm"
    make_workspace(root, days=1)
    shutil.rmtree(root / "lake")
    lake = Workspace.open(root, {}).lake
    for station in (STATION, *OTHERS):
        lake.merge(station, record().filter(pl.col(TIME) < DAY_BEFORE), "asos", DAY_BEFORE)
    return root


class Days:
    """A trainer's days: its clock, KMA, and the hours that each training had."""

    def __init__(self, root: Path, stations: tuple[int, ...], patch: pytest.MonkeyPatch) -> None:
        lower_floor(patch)
        patch.setattr(candidate, "train", self._train)
        config = Workspace.open(root, {}).config
        config = msgspec.structs.replace(config, stations=stations, start="2021-12-28")
        kma = msgspec.structs.replace(config.kma, requests_per_second=1000.0, retries=0)
        self.clock = FakeClock(DAY_BEFORE.astimezone(UTC))
        self.bench = Bench(Workspace(root, msgspec.structs.replace(config, kma=kma)), self.clock)
        frames = [kma_record().with_columns(station=pl.lit(s, pl.Int32)) for s in stations]
        self.kma = LateKma(pl.concat(frames), self.clock)
        self.trained: list[dict[int, datetime | None]] = []
        self._runs = [self.bench.run("poor", POOR), self.bench.run("good", GOOD)]

    def run(self, hour: float, when: date = WHEN) -> Journal:
        """`trainer daily` at an hour (KST) of a date."""
        now = datetime(when.year, when.month, when.day, tzinfo=KST) + timedelta(hours=hour)
        self.clock.jump((now - self.clock.now()).total_seconds())
        client = KmaClient(
            self.bench.workspace,
            self.clock,
            {"KMA_SERVICE_KEY": "k"},
            sleep=lambda _: None,
            transport=self.kma,
        )
        steps = daily.Steps(lambda _: None, partial(pipeline.run, client))
        return daily.run(self.bench.workspace, when, "stable", self.clock, steps)

    def fault(self, hour: float) -> FarmError:
        """What the run at an hour ends with."""
        with pytest.raises(FarmError) as caught:
            self.run(hour)
        return caught.value

    def closed(self) -> bool:
        """Whether the date's journal is there."""
        return (self.bench.workspace.state / "daily" / f"{WHEN}.json").exists()

    def _train(self, workspace: Workspace, as_of: datetime, **_: object) -> Path:
        hour = as_of - timedelta(hours=1)
        stations = workspace.config.stations
        self.trained.append({s: workspace.lake.newest(s, hour) for s in stations})
        return self._runs[len(self.trained) - 1]


@pytest.fixture
def days(_seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Days:
    """One station."""
    return Days(shutil.copytree(_seed, tmp_path / "farm"), (STATION,), monkeypatch)


@pytest.fixture
def three(_seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Days:
    """Three stations."""
    return Days(shutil.copytree(_seed, tmp_path / "farm"), (STATION, *OTHERS), monkeypatch)


LAST_HOUR = (DAY_BEFORE + timedelta(hours=23)).astimezone(UTC)


@pytest.mark.parametrize("late_h", [0.0, shipped_timer.delay_h()])
@pytest.mark.parametrize("manner", MANNERS)
def test_the_second_run_of_the_timer_does_the_work(days: Days, manner: str, late_h: float) -> None:
    """By night exit 75, no training and no journal; by day a release of the day's hours."""
    days.kma.manner, days.kma.out_at = manner, {STATION: 11}
    assert days.fault(NIGHT + late_h).exit_code == 75
    assert (days.trained, days.closed()) == ([], False)
    done = days.run(MORNING + late_h)
    assert (done.release, days.trained) == (1, [{STATION: LAST_HOUR}])
    before = list(days.kma.asked)
    assert isinstance(days.fault(NOON), NothingNew)
    assert (days.kma.asked, len(days.trained)) == (before, 1)


@pytest.mark.parametrize("manner", MANNERS)
def test_one_station_alone_is_waited_for_all_day(days: Days, manner: str) -> None:
    """Each of the unit's repeats asks once more, and the date is open until the next one."""
    days.kma.manner, days.kma.out_at = manner, {STATION: 15}
    for number, hour in enumerate((NIGHT, MORNING, NOON, 14.9), 1):
        assert days.fault(hour).exit_code == 75
        assert len(days.kma.asked) == number
    assert (days.trained, days.closed()) == ([], False)
    assert days.run(15.1).release == 1


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("ahead_days", [3, 28_000])
def test_a_row_of_the_future_is_no_reason_not_to_ask(
    days: Days, manner: str, ahead_days: int
) -> None:
    """One of 2099 once stopped every request for the day that was lacking: exit 75 for ever."""
    row = record().filter(pl.col(TIME) == DAY_BEFORE)
    later = row.with_columns(pl.col(TIME) + timedelta(days=ahead_days))
    days.bench.workspace.lake.merge(STATION, later, "csv", DAY_BEFORE)
    days.kma.manner, days.kma.out_at = manner, {STATION: 15}
    for number, hour in enumerate((NIGHT, MORNING, NOON, 14.9), 1):
        assert days.fault(hour).exit_code == 75
        assert len(days.kma.asked) == number
    assert (days.trained, days.closed()) == ([], False)
    assert days.run(15.1).release == 1


@pytest.mark.parametrize("manner", MANNERS)
def test_several_that_are_all_late_are_no_day(three: Days, manner: str) -> None:
    """Noon changes nothing where no station has the day."""
    three.kma.manner = manner
    three.kma.out_at = dict.fromkeys((STATION, *OTHERS), 13)
    for hour in (NIGHT, MORNING, NOON):
        assert three.fault(hour).exit_code == 75
    assert (three.trained, three.closed()) == ([], False)
    done = three.run(13.5)
    assert (done.release, done.laggards) == (1, ())
    assert three.trained == [dict.fromkeys((STATION, *OTHERS), LAST_HOUR)]


@pytest.mark.parametrize("manner", [*MANNERS, "503", "page"])
def test_of_several_some_late(three: Days, manner: str) -> None:
    """From noon on the others are worked; the date is open, and worked again when all came."""
    three.kma.manner, three.kma.out_at = manner, {90: 14, 112: 16}
    assert three.fault(NIGHT).exit_code in {75, 76}
    assert three.fault(MORNING).exit_code in {75, 76}
    assert (three.trained, three.closed()) == ([], False)
    first = three.run(NOON)
    assert (first.release, first.laggards, first.awaited) == (1, (90, 112), (90, 112))
    for hour, late in ((13.0, "90, 112"), (14.5, "112")):
        with pytest.raises(TryLater, match=f"release 1.*open.*of {late}"):
            three.run(hour)
    assert len(three.trained) == 1
    again = three.run(16.5)
    assert (again.release, again.laggards, again.awaited) == (2, (), ())
    assert three.trained[1] == dict.fromkeys((STATION, *OTHERS), LAST_HOUR)
    assert isinstance(three.fault(17.0), NothingNew)


def test_a_station_that_is_out_of_order_keeps_no_date_open(three: Days) -> None:
    """Silent for more than three days: named, and not waited for once the others were worked."""
    lake = three.bench.workspace.root / "lake" / "observations" / "station=112"
    shutil.rmtree(lake)
    old = record().filter(pl.col(TIME) < DAY_BEFORE - timedelta(days=4))
    three.bench.workspace.lake.merge(112, old, "asos", DAY_BEFORE)
    three.kma.drop((pl.col("station") == 112) & (pl.col("tm").dt.year() == 2022))
    assert three.fault(MORNING).exit_code == 75
    done = three.run(NOON)
    assert (done.release, done.laggards, done.awaited) == (1, (112,), ())
    assert isinstance(three.fault(NOON), NothingNew)
    assert [station for station, _ in three.kma.asked].count(112) == 1


def test_hours_of_the_hub_are_not_the_day(days: Days) -> None:
    """Near-real-time hours are replaced by the records; a training waits for these."""
    hub = record().filter(pl.col(TIME).is_between(DAY_BEFORE, DAY_BEFORE + timedelta(hours=26)))
    days.bench.workspace.lake.merge(STATION, hub, "hub", DAY_BEFORE)
    days.kma.out_at = {STATION: 11}
    assert days.fault(NIGHT).exit_code == 75
    assert days.run(MORNING).release == 1


def test_a_hole_that_later_records_have_passed_is_not_waited_for(days: Days) -> None:
    """A past date whose day KMA does not have is worked; nothing of it comes any more."""
    later = record().filter(pl.col(TIME) > DAY_BEFORE + timedelta(hours=30))
    days.bench.workspace.lake.merge(STATION, later, "asos", DAY_BEFORE)
    days.kma.drop(pl.col("tm").dt.date() == DAY_BEFORE.date())
    assert days.run(NOON + 48.0).release == 1


def test_an_answer_of_a_killed_run_counts_for_its_own_day(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at 02:00 with "no data" in the raw store: the next date asks for that day as well."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    days.kma.out_at = {STATION: 11}
    with monkeypatch.context() as patch:
        patch.setattr("trainer.ingest.asos._StationWriter.settle", killed)
        with pytest.raises(KeyboardInterrupt):
            days.run(NIGHT)
    assert days.run(MORNING, WHEN + timedelta(days=1)).release == 1
    lake = days.bench.workspace.lake
    assert lake.observations(STATION, DAY_BEFORE, LAST_HOUR).height == 24
