"""A canary over real hours of a lake: promoted, taken back, left on trial; and in a day's work."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from edge_agent.contract import features
from edge_agent.contract.errors import BadData, ConfigError, InputMissing, NothingNew, TryLater
from edge_agent.contract.manifest import Rollout
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME
from edge_agent.system.console import run
from tests.fakes.clock import FakeClock
from tests.fakes.runs import GOOD, POOR, Bench
from tests.fakes.trained import make_workspace
from tests.fakes.tuned import tuning_of
from tests.fakes.weather import record
from trainer import cli, daily
from trainer.depot.release_log import ReleaseLog
from trainer.depot.releases import publish_run, restage
from trainer.evaluation import run_folder
from trainer.gate import canary, gate
from trainer.site_corrections import shard_files
from trainer.site_corrections.all_farms import live_corrections
from trainer.training import candidate
from trainer.workspace import config
from trainer.workspace.journal import Journal
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = datetime(2021, 11, 1, 0, 30, tzinfo=UTC)
BAD = {AIR_TEMPERATURE: "dew_point", RELATIVE_HUMIDITY: "temperature"}
OTHER = {AIR_TEMPERATURE: "same_hour_temperature_0d", RELATIVE_HUMIDITY: "humidity"}


@pytest.fixture(scope="module")
def _seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("canary")
    make_workspace(root / "farm")
    return root / "farm"


@pytest.fixture
def bench(_seed: Path, tmp_path: Path) -> Bench:
    """A fresh workspace in November, with hours up to January in its lake."""
    root = shutil.copytree(_seed, tmp_path / "farm")
    return Bench(Workspace.open(root, {}), FakeClock(BEGIN))


def _publish(bench: Bench, name: str, columns: dict[str, str], channel: str) -> int:
    return publish_run(bench.workspace, bench.run(name, columns), channel, "test", bench.clock)


def _start(bench: Bench, stable: dict[str, str], canary_: dict[str, str], days: float) -> None:
    """Release 1 on stable, release 2 on canary, `days` of hours since."""
    _publish(bench, "old", stable, "stable")
    _publish(bench, "new", canary_, "canary")
    bench.clock.advance(timedelta(days=days).total_seconds())


def _versions(bench: Bench, channel: str) -> tuple[int, str]:
    live = gate.champion_of(bench.workspace, channel, bench.clock)
    assert live is not None
    return live.release, live.models[AIR_TEMPERATURE].version


def test_a_better_canary_goes_to_stable_as_a_higher_release(bench: Bench) -> None:
    """After its days: number 3 on stable with the canary's models, its figures as the reason."""
    _start(bench, BAD, GOOD, 17)
    trial = canary.assess(bench.workspace, bench.clock)
    assert (trial.canary, trial.stable, trial.outcome) == (2, 1, "promote")
    assert trial.since == "2021-11-01T01:00Z"
    assert canary.act(bench.workspace, trial, bench.clock) == 3
    assert _versions(bench, "stable") == (3, GOOD[AIR_TEMPERATURE])
    last = ReleaseLog(bench.workspace.records).entries()[-1]
    assert (last.release, last.channel, last.run) == (3, "stable", "new")
    assert last.why.startswith("canary 2: C4 air_temperature_c: RMSE ratio to release 1 is 0.")
    with pytest.raises(NothingNew, match="release 2 has the models of stable"):
        canary.assess(bench.workspace, bench.clock)


def test_a_worse_canary_gets_stables_models_back_under_a_higher_number(bench: Bench) -> None:
    """A device never goes back in numbers: release 3 on canary names stable's models."""
    _start(bench, GOOD, BAD, 10)
    trial = canary.assess(bench.workspace, bench.clock)
    assert trial.outcome == "halt"
    assert canary.act(bench.workspace, trial, bench.clock) == 3
    assert _versions(bench, "canary") == (3, GOOD[AIR_TEMPERATURE])
    assert _versions(bench, "stable") == (1, GOOD[AIR_TEMPERATURE])
    last = ReleaseLog(bench.workspace.records).entries()[-1]
    assert (last.channel, last.run) == ("canary", "old")
    assert last.why.startswith("canary 2 halted: C3 air_temperature_c")
    kept = json.loads((bench.workspace.state / "canary" / "2.json").read_bytes())
    assert kept["reasons"] == list(trial.reasons)


def test_before_its_days_nothing_changes(bench: Bench) -> None:
    """Two days have no truth for 48 hours ahead; eight decide nothing."""
    _start(bench, BAD, GOOD, 1.5)
    assert canary.assess(bench.workspace, bench.clock).days == 0
    bench.clock.advance(timedelta(days=8).total_seconds())
    trial = canary.assess(bench.workspace, bench.clock)
    assert (trial.outcome, trial.days) == ("wait", 7)
    assert canary.act(bench.workspace, trial, bench.clock) is None
    assert _versions(bench, "stable")[0] == 1
    assert _versions(bench, "canary")[0] == 2


def test_figures_are_those_of_the_lake(bench: Bench) -> None:
    """RMSE at 24 h computed by hand from the record: persistence of a day and of two."""
    _start(bench, POOR, GOOD, 20)
    found = canary.assess(bench.workspace, bench.clock).targets[AIR_TEMPERATURE]
    rows = record()
    series = dict(zip(rows[TIME].to_list(), rows[AIR_TEMPERATURE].to_list(), strict=True))
    first = datetime(2021, 11, 1, 1, tzinfo=UTC)
    last = datetime(2021, 11, 21, 0, tzinfo=UTC) - timedelta(hours=48)
    errors = []
    for back in range(int((last - first) / timedelta(hours=1)) + 1):
        at = last - timedelta(hours=back) + timedelta(hours=24)
        values = [series.get(at - timedelta(days=days)) for days in range(3)]
        known = [value for value in values if value is not None]
        if len(known) == 3:
            errors.append([known[0] - known[1], known[0] - known[2]])
    own, stable = np.sqrt(np.mean(np.square(errors), axis=0))
    assert found.rmse_24h_canary == pytest.approx(own, rel=0.03)
    assert found.rmse_24h_stable == pytest.approx(stable, rel=0.03)


def test_more_devices_begin_no_new_trial(bench: Bench) -> None:
    """A rollout publishes the same models again: their hours go on counting."""
    _publish(bench, "old", BAD, "stable")
    publish_run(
        bench.workspace, bench.run("new", GOOD), "canary", "test", bench.clock,
        rollout=Rollout(10.0, "new"),
    )  # fmt: skip
    bench.clock.advance(timedelta(days=10).total_seconds())
    assert restage(bench.workspace, "canary", 50.0, "quiet so far", bench.clock) == 3
    bench.clock.advance(timedelta(days=7).total_seconds())
    trial = canary.assess(bench.workspace, bench.clock)
    assert (trial.canary, trial.since, trial.outcome) == (3, "2021-11-01T01:00Z", "promote")
    canary.act(bench.workspace, trial, bench.clock)
    live = gate.champion_of(bench.workspace, "stable", bench.clock)
    assert live is not None
    assert live.rollout is None


def test_corrections_for_farms_begin_no_new_trial_and_go_along(bench: Bench) -> None:
    """The same models with other corrections: their hours go on counting, and stable gets both."""
    _start(bench, BAD, GOOD, days=10)
    manifest, files, metrics = run_folder.load(bench.workspace.runs / "new")
    refs, shards = shard_files.pack({"hill/edge-1": tuning_of(manifest)})
    folder = bench.workspace.runs / "new-with-farms-0a1b"
    tuned = msgspec.structs.replace(manifest, tuned=refs)
    run_folder.write(folder, tuned, {**files, **shards}, metrics)
    publish_run(bench.workspace, folder, "canary", "farms", bench.clock)
    bench.clock.advance(timedelta(days=7).total_seconds())
    trial = canary.assess(bench.workspace, bench.clock)
    assert (trial.canary, trial.since, trial.outcome) == (3, "2021-11-01T01:00Z", "promote")
    canary.act(bench.workspace, trial, bench.clock)
    assert set(live_corrections(bench.workspace, "stable", bench.clock)) == {"hill/edge-1"}


def test_what_cannot_be_judged_says_why(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No canary, no stable, trials off, other features: one line each, nothing published."""
    with pytest.raises(NothingNew, match="no release on that channel"):
        canary.assess(bench.workspace, bench.clock)
    _publish(bench, "new", GOOD, "canary")
    with pytest.raises(InputMissing, match="no stable release to hold it against"):
        canary.assess(bench.workspace, bench.clock)
    _publish(bench, "old", POOR, "stable")
    settings = bench.workspace.config
    depot = msgspec.structs.replace(settings.depot, canary_days=0)
    off = Workspace(bench.workspace.root, msgspec.structs.replace(settings, depot=depot))
    with pytest.raises(NothingNew, match="trials are off"):
        canary.assess(off, bench.clock)
    monkeypatch.setattr(features, "REVISION", features.REVISION + 1)
    with pytest.raises(BadData, match=r"release 1 \(canary\) has other features"):
        canary.assess(bench.workspace, bench.clock)


def test_a_release_that_came_in_between_is_not_overruled(bench: Bench) -> None:
    """What was judged must still be what is live."""
    _start(bench, BAD, GOOD, 17)
    trial = canary.assess(bench.workspace, bench.clock)
    _publish(bench, "newer", OTHER, "canary")
    with pytest.raises(TryLater, match="canary changed while it was judged"):
        canary.act(bench.workspace, trial, bench.clock)
    assert _versions(bench, "stable")[0] == 1


@pytest.mark.parametrize("days", [-1, 1, 6, 366])
def test_days_that_decide_nothing_are_refused(days: int) -> None:
    """0 or 7 to 365."""
    with pytest.raises(ConfigError, match=r"depot.canary_days"):
        config.decode(f"[depot]\ncanary_days = {days}\n".encode(), "trainer.toml")


class _Fetched:
    def check(self) -> None:
        """Everything arrived."""


def _daily(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, folder: Path, channel: str, told: list[str]
) -> Journal:
    monkeypatch.setattr(candidate, "train", lambda *_, **__: folder)
    monkeypatch.setattr(gate, "decide", lambda _, folder, *__: folder)
    fetched: Any = _Fetched()
    steps = daily.Steps(told.append, lambda _: fetched)
    day = daily.logical_date(None, bench.clock)
    return daily.run(bench.workspace, day, channel, bench.clock, steps)


def _journal(bench: Bench, day: date) -> Journal:
    path = bench.workspace.state / "daily" / f"{day}.json"
    return msgspec.json.decode(path.read_bytes(), type=Journal)


def test_the_days_work_promotes_and_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary is stable before the day's own candidate meets its champion."""
    _start(bench, BAD, GOOD, 17)
    told: list[str] = []
    done = _daily(bench, monkeypatch, bench.run("today", OTHER), "stable", told)
    assert done.canary.startswith("canary 2 is stable as 3: C4 air_temperature_c")
    assert done.canary in told
    assert done.release == 4
    assert [e.release for e in ReleaseLog(bench.workspace.records).entries()] == [1, 2, 3, 4]


def test_the_days_work_leaves_a_canary_on_trial_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A canary that were replaced daily would never be judged; the date is closed and says why."""
    _start(bench, BAD, GOOD, 5)
    folder = bench.run("today", OTHER)
    with pytest.raises(NothingNew, match="nothing is trained for canary while one is on trial"):
        _daily(bench, monkeypatch, folder, "canary", [])
    assert _versions(bench, "canary")[0] == 2
    with pytest.raises(NothingNew, match=r"done already \(canary 2 waits: 2 of 14 days"):
        _daily(bench, monkeypatch, folder, "canary", [])


def test_the_days_work_does_not_need_a_judgeable_canary(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a stable release the day's own candidate is the first; the fault is told."""
    _publish(bench, "new", GOOD, "canary")
    told: list[str] = []
    done = _daily(bench, monkeypatch, bench.run("today", OTHER), "stable", told)
    assert done.release == 2
    assert "no stable release to hold it against" in done.canary
    day = daily.logical_date(None, bench.clock)
    assert _journal(bench, day).canary == done.canary


@pytest.mark.parametrize(
    ("stable", "new", "days", "code", "word"),
    [
        (BAD, GOOD, 17, 0, "canary 2 is stable as release 3"),
        (GOOD, BAD, 10, 10, "canary 2 is halted by release 3"),
        (BAD, GOOD, 5, 11, "canary 2: the trial goes on: 2 of 14 days"),
    ],
)
def test_as_a_person_calls_it(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stable: dict[str, str],
    new: dict[str, str],
    days: float,
    code: int,
    word: str,
) -> None:
    """Exit 0, 10 or 11; --dry-run says the same and publishes nothing; --json is one document."""
    _start(bench, stable, new, days)
    monkeypatch.setattr("trainer.commands.canary.SystemClock", lambda: bench.clock)
    words = ["trainer", "canary", "--config", str(bench.workspace.root)]
    monkeypatch.setattr("sys.argv", [*words, "--dry-run", "--json"])
    assert run(cli.cli, "trainer") == code
    document = json.loads(capsys.readouterr().out)
    assert (document["canary"], document["stable"], document["release"]) == (2, 1, None)
    assert max(_versions(bench, channel)[0] for channel in ("canary", "stable")) == 2
    monkeypatch.setattr("sys.argv", words)
    assert run(cli.cli, "trainer") == code
    said = capsys.readouterr()
    assert word in said.out + said.err
    assert "air_temperature_c: RMSE at 24 h" in said.out
