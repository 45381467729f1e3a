"""A date's work is done once, says what it came to, and picks up what a killed run left."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest

from edge_agent.contract.errors import (
    BadData,
    GateRefused,
    NothingNew,
    Refused,
    StorageError,
    TryLater,
    UsageError,
)
from tests.fakes.clock import FakeClock
from tests.fakes.own_hours import Character, hours, settle, shared_run
from tests.fakes.runs import GOOD, POOR, Bench, lower_floor
from tests.fakes.trained import make_workspace
from tests.fakes.weather import STATION, record
from trainer import daily
from trainer.depot.release_log import ReleaseLog
from trainer.evaluation import run_folder
from trainer.evaluation.run_folder import LEFT_OUT, UNUSED
from trainer.gate import gate
from trainer.site_corrections import all_farms
from trainer.training import candidate
from trainer.workspace.journal import Journal, Page
from trainer.workspace.s3_errors import Away
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

WHEN = date(2022, 1, 6)
NOW = datetime(2022, 1, 6, 4, tzinfo=UTC)


class _Fetched:
    def __init__(self, fault: Exception | None) -> None:
        self._fault = fault

    def check(self) -> None:
        """What the ingest came to."""
        if self._fault is not None:
            raise self._fault


@pytest.fixture(scope="module")
def _seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("daily")
    make_workspace(root / "farm")
    return root / "farm"


@pytest.fixture
def bench(_seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A fresh workspace, where single columns pass the floor."""
    lower_floor(monkeypatch)
    return Bench(Workspace.open(shutil.copytree(_seed, tmp_path / "farm"), {}), FakeClock(NOW))


def work(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    fault: Exception | None = None,
    when: date = WHEN,
) -> Journal:
    """The date's work, where training comes to `folder`."""
    monkeypatch.setattr(candidate, "train", lambda *_, **__: folder)
    fetched: Any = _Fetched(fault)
    steps = daily.Steps(lambda _: None, lambda _: fetched)
    return daily.run(bench.workspace, when, "stable", bench.clock, steps)


def _tree(root: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _journal(bench: Bench) -> dict[str, Any]:
    path = bench.workspace.state / "daily" / f"{WHEN}.json"
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def test_a_date_is_done_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run publishes and writes its journal; the second exits 11 and changes no byte."""
    folder = bench.run("one", GOOD)
    done = work(bench, monkeypatch, folder)
    assert (done.run, done.release, done.refused) == ("one", 1, "")
    before = _tree(bench.workspace.root)
    with pytest.raises(NothingNew, match=r"2022-01-06: done already \(release 1, run one\)"):
        work(bench, monkeypatch, folder)
    assert _tree(bench.workspace.root) == before


def test_the_journal_says_what_was_trained_without(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stations left out with their reasons and inputs without values, as the run has them."""
    reasons = [f"station {one}: left out, most of its hours lack x" for one in (112, 133)]
    without = {LEFT_OUT: "; ".join(reasons), UNUSED: "wind,solar"}
    lineage = run_folder.load(bench.run("plain", GOOD))[0].lineage
    done = work(bench, monkeypatch, bench.run("one", GOOD, lineage={**lineage, **without}))
    assert done.notes == (
        *reasons,
        "inputs without values, or always with the same one, take no part: wind, solar",
    )
    assert _journal(bench)["notes"] == list(done.notes)


def test_a_refusal_closes_the_date(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's reasons stand in the journal; the date is not trained again."""
    bench.publish(bench.run("old", GOOD))
    folder = bench.run("one", POOR)
    with pytest.raises(GateRefused, match="G2 air_temperature_c"):
        work(bench, monkeypatch, folder)
    assert _journal(bench)["release"] is None
    assert "G2 air_temperature_c 24 h: RMSE" in _journal(bench)["refused"]
    with pytest.raises(NothingNew, match="refused by the gate, run one"):
        work(bench, monkeypatch, folder)


@pytest.mark.parametrize("composed", [False, True])
def test_killed_after_publishing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, composed: bool
) -> None:
    """What a killed run published is found and journaled, and nothing is published twice."""
    if composed:
        bench.publish(
            bench.run("old", {**POOR, "relative_humidity_pct": GOOD["relative_humidity_pct"]})
        )
        folder = bench.run("one", {**GOOD, "relative_humidity_pct": POOR["relative_humidity_pct"]})
    else:
        folder = bench.run("one", GOOD)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Page, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            work(bench, patch, folder)
    live = gate.champion_of(bench.workspace, "stable", bench.clock)
    assert live is not None
    assert live.release == (2 if composed else 1)
    done = work(bench, monkeypatch, folder)
    assert (done.run, done.release) == ("one", live.release)
    assert gate.champion_of(bench.workspace, "stable", bench.clock) == live
    logged = [entry.release for entry in ReleaseLog(bench.workspace.records).entries()]
    assert logged == list(range(1, live.release + 1))


def test_a_damaged_journal_is_as_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreadable journal does not stop the day: the work is found done and said again."""
    folder = bench.run("one", GOOD)
    work(bench, monkeypatch, folder)
    (bench.workspace.state / "daily" / f"{WHEN}.json").write_bytes(b"{")
    assert work(bench, monkeypatch, folder).release == 1


def test_the_same_models_on_another_day(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that came to the live models publishes nothing and closes the date."""
    bench.publish(bench.run("old", GOOD))
    with pytest.raises(NothingNew, match="holds these models already"):
        work(bench, monkeypatch, bench.run("one", GOOD))
    assert _journal(bench)["release"] == 1


def test_nothing_to_fetch_is_no_reason_to_stop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lake may be complete already; KMA being out of reach leaves the date open."""
    folder = bench.run("one", GOOD)
    with pytest.raises(TryLater):
        work(bench, monkeypatch, folder, TryLater("KMA does not answer"))
    assert not (bench.workspace.state / "daily").exists()
    assert work(bench, monkeypatch, folder, NothingNew("nothing is missing")).release == 1


def test_what_could_not_be_published_is_not_trained(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key, no room, a record too short for the gate: told before, and the date stays open."""
    fetched: Any = _Fetched(NothingNew("all is there"))
    trained: list[str] = []
    monkeypatch.setattr("trainer.training.fit.fit_candidate", lambda *_, **__: trained.append("x"))

    def fault() -> str:
        with pytest.raises((BadData, Refused, StorageError)) as caught:
            daily.run(
                bench.workspace,
                WHEN,
                "stable",
                bench.clock,
                daily.Steps(lambda _: None, lambda _: fetched),
            )
        return f"{caught.value.exit_code} {caught.value}"

    assert "65 nothing is trained, as the gate would refuse it: the holdout has 149" in fault()
    with monkeypatch.context() as patch:
        patch.setattr("trainer.workspace.free_space.LEAST", 10**18)
        assert "are needed for a release: make room" in fault()
    for key in bench.workspace.keys.glob("models-*.pem"):
        key.unlink()
    assert "77 " in (said := fault())
    assert "0 trusted key(s) of the role 'models' here" in said
    assert (trained, (bench.workspace.state / "daily").exists()) == ([], False)


def test_logical_date_is_korean() -> None:
    """From 15:00 UTC it is tomorrow in Korea; a date beyond that is refused."""
    late = FakeClock(datetime(2026, 3, 1, 15, tzinfo=UTC))
    assert daily.logical_date(None, late) == date(2026, 3, 2)
    assert daily.logical_date(date(2026, 2, 1), late) == date(2026, 2, 1)
    with pytest.raises(UsageError, match="2026-03-03 lies in the future; today is 2026-03-02"):
        daily.logical_date(date(2026, 3, 3), late)


OTHER = 112
NOON = datetime(2022, 1, 6, 3, tzinfo=UTC)
DAY_BEFORE = datetime(2022, 1, 4, 15, tzinfo=UTC)
INCOMPLETE = TryLater("1 of 2 stations are incomplete")


def _two(bench: Bench, now: datetime, newest: datetime | None) -> Bench:
    """Two stations at an hour, of which the second has nothing after `newest`."""
    config = msgspec.structs.replace(bench.workspace.config, stations=(STATION, OTHER))
    if newest is not None:
        rows = record().filter(pl.col("time") <= newest)
        bench.workspace.lake.merge(OTHER, rows, "asos", now)
    return Bench(Workspace(bench.workspace.root, config), FakeClock(now))


@pytest.mark.parametrize("newest", [None, DAY_BEFORE - timedelta(hours=1), DAY_BEFORE])
def test_from_noon_on_others_do_not_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, newest: datetime | None
) -> None:
    """A station without the day is named in the journal, and the others' release goes out."""
    two = _two(bench, NOON, newest)
    done = work(two, monkeypatch, two.run("one", GOOD), INCOMPLETE)
    assert (done.release, done.laggards) == (1, (OTHER,))
    assert _journal(two)["laggards"] == [OTHER]


def test_before_noon_all_are_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until noon in Korea the date stays open, to be tried again."""
    two = _two(bench, NOON - timedelta(seconds=1), None)
    with pytest.raises(TryLater, match="1 of 2"):
        work(two, monkeypatch, two.run("one", GOOD), INCOMPLETE)
    assert not (two.workspace.state / "daily").exists()


def test_without_any_station_there_is_no_day(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every station lacks the day, noon changes nothing."""
    monkeypatch.setattr(
        "trainer.workspace.lake.Lake.newest", lambda *_, **__: DAY_BEFORE - timedelta(hours=1)
    )
    two = _two(bench, NOON, None)
    with pytest.raises(TryLater, match="1 of 2"):
        work(two, monkeypatch, two.run("one", GOOD), INCOMPLETE)


def test_a_station_that_has_the_day_is_no_laggard(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older gap of a station is left to the next run."""
    two = _two(bench, NOON, DAY_BEFORE + timedelta(hours=23))
    assert work(two, monkeypatch, two.run("one", GOOD), INCOMPLETE).laggards == ()


def test_one_station_alone_is_waited_for_all_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single station's incomplete ingest leaves the date open at any hour."""
    with pytest.raises(TryLater):
        work(bench, monkeypatch, bench.run("one", GOOD), INCOMPLETE)


LATER = date(2022, 8, 6)


def _year_later(bench: Bench) -> Bench:
    """At a time at which a farm of `tests.fakes.own_hours` has a year of hours; the day is in."""
    last = record()[-1:].with_columns(time=pl.lit(datetime(2022, 8, 5, 14, tzinfo=UTC)))
    bench.workspace.lake.merge(STATION, last, "asos", NOW)
    return Bench(bench.workspace, FakeClock(datetime(2022, 8, 6, 4, tzinfo=UTC)))


def _settle(bench: Bench, folder: Path) -> None:
    """A farm that is two degrees colder than the models of this run say."""
    like = Character({"air_temperature_c": -2.0, "relative_humidity_pct": 9.0}, swing=1.5, seed=5)
    settle(bench.workspace.lake, "hill", hours(like, gate.load(folder).manifest))


def _corrected(bench: Bench) -> set[str]:
    return set(all_farms.live_corrections(bench.workspace, "stable", bench.clock))


def test_farms_are_corrected_for_the_models_of_the_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes live carries the corrections that are better for it, and the journal says so."""
    bench = _year_later(bench)
    folder = shared_run(bench, "one")
    _settle(bench, folder)
    done = work(bench, monkeypatch, folder, when=LATER)
    assert (done.run, done.release) == ("one", 1)
    assert done.farms == "1 tried, 1 better, 0 as good without, 0 not judged"
    assert _corrected(bench) == {"hill/edge-1"}
    (bench.workspace.state / "daily" / f"{LATER}.json").unlink()
    assert work(bench, monkeypatch, folder, when=LATER).farms == f"1 corrected; {done.farms}"


def test_a_bucket_that_is_away_leaves_the_date_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No release without the farms' corrections because nobody could look: tried again later."""

    def away(*_: object, **__: object) -> None:
        raise Away("s3://bucket/lake: cannot be listed: no answer: try again later")

    folder = bench.run("one", GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(all_farms, "farm_ids", away)
        with pytest.raises(Away, match="no answer"):
            work(bench, patch, folder)
    assert gate.champion_of(bench.workspace, "stable", bench.clock) is None
    assert work(bench, monkeypatch, folder).release == 1


def test_a_fault_among_farms_does_not_keep_the_release(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day's models go out without corrections, and that is said; the old ones fit no more."""
    bench = _year_later(bench)
    old = shared_run(bench, "old")
    _settle(bench, old)
    bench.publish(
        all_farms.correct_farms(
            bench.workspace,
            all_farms.CorrectionRequest(old, "stable", bench.clock.now()),
            bench.clock,
            progress=lambda _: None,
        ).folder
    )
    assert _corrected(bench) == {"hill/edge-1"}

    def lost(*_: object, **__: object) -> None:
        raise TryLater("tcp://127.0.0.1:1: no Dask scheduler answers")

    monkeypatch.setattr(all_farms, "each_of", lost)
    monkeypatch.setattr(gate, "decide", lambda _, run, *__: run)
    done = work(bench, monkeypatch, bench.run("one", GOOD), when=LATER)
    assert done.release == 2
    assert done.farms == (
        "none is corrected in this release: tcp://127.0.0.1:1: no Dask scheduler answers"
    )
    assert _corrected(bench) == set()
