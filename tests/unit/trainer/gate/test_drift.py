"""Drift: the newest days beside the gate's evidence, with hard and easy months made equal."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from edge_agent.contract.errors import InputMissing
from edge_agent.contract.schema import AIR_TEMPERATURE, TARGETS, TIME
from tests.fakes.clock import FakeClock
from tests.fakes.records import pair
from tests.fakes.runs import GOOD, Bench, lower_floor
from tests.fakes.trained import AS_OF, make_workspace
from tests.fakes.weather import record
from trainer.evaluation.daily_sums import (
    CHALLENGER,
    CHAMPION,
    DAMPED,
    LOSSES,
    DailySums,
    from_bytes,
    to_bytes,
)
from trainer.gate import drift
from trainer.gate.drift import LIMITS, changes, verify

if TYPE_CHECKING:
    from pathlib import Path


def _newest(factor: float, weather: float = 1.0, days: int = 31) -> DailySums:
    """The newest days of the same year's weather, the model's squared error times a factor."""
    whole = pair(1)
    found = DailySums(date(2018, 12, 31 - days + 1), days)
    for key, sums in whole.losses.items():
        mean = np.tile(sums.mean(axis=0), (days, 1))
        mean[:, 3] *= weather * (factor if key[2] == CHALLENGER else 1.0)
        found.losses[key] = mean
    return found


@pytest.mark.parametrize(
    ("rmse", "alarms"),
    [(1.0, set()), (1.07, set()), (1.13, {30}), (1.22, {30, 10}), (0.8, set())],
)
def test_limits(rmse: float, alarms: set[int]) -> None:
    """10 % more over 30 days, 18 % over 10 days; better is no alarm."""
    found = changes(_newest(rmse**2), pair(1), set())
    assert {(one.target, one.days) for one in found} == {(t, d) for t in TARGETS for d in LIMITS}
    assert {one.days for one in found if one.alarm} == alarms
    for one in found:
        assert one.change == pytest.approx(rmse - 1.0, abs=0.02)


def test_a_hard_month_is_no_drift() -> None:
    """Twice the squared error of everybody: the model is as good as it was."""
    found = changes(_newest(1.0, weather=2.0), pair(1), set())
    assert not any(one.alarm for one in found)
    assert "over the last 30 days the errors of all leads, beside the damped" in drift.text(
        found[0]
    )


def test_a_kept_model_is_measured_by_its_own_past() -> None:
    """Where the gate kept the champion's model of a target, its sums are the measure."""
    recorded = pair(1)
    for key, sums in recorded.losses.items():
        if key[2] == CHAMPION:
            sums[:, 3] *= 4.0
    mine, kept = (changes(_newest(1.0), recorded, who) for who in (set(), {AIR_TEMPERATURE}))
    assert mine[0].change == pytest.approx(0.0, abs=0.02)
    assert kept[0].change == pytest.approx(-0.5, abs=0.02)


def test_too_few_days_say_nothing() -> None:
    """12 days are judged as 10; 5 are not judged; without a past there is no measure."""
    assert {one.days for one in changes(_newest(1.0, days=12), pair(1), set())} == {10}
    assert changes(_newest(1.0, days=5), pair(1), set()) == ()
    late = pair(1, first=date(2018, 12, 31), days=180)
    assert changes(_newest(1.0), late, set()) == ()
    assert late.losses[AIR_TEMPERATURE, "lead:24", DAMPED].shape[0] == 180


def test_the_newest_days_of_the_lake_are_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is live is held against the lake: as good as it was is quiet, once better is not."""
    lower_floor(monkeypatch)
    bench = Bench(make_workspace(tmp_path / "farm"), FakeClock(AS_OF))
    with pytest.raises(InputMissing, match="no release of this gate is live on stable"):
        verify(bench.workspace, "stable", AS_OF, bench.clock)
    folder = bench.decide(bench.run("one", GOOD))
    bench.publish(folder)
    sound = verify(bench.workspace, "stable", AS_OF, bench.clock)
    assert {(one.target, one.days) for one in sound} == {(t, d) for t in TARGETS for d in LIMITS}
    assert not any(one.alarm for one in sound)
    month = record().filter(pl.col(TIME).is_between(AS_OF - timedelta(days=29), AS_OF))
    change = month[AIR_TEMPERATURE].diff(24).drop_nulls().to_numpy()
    assert sound[0].rmse == pytest.approx(np.sqrt(np.mean(change**2)), rel=0.05)
    path = folder / "gate-stable.parquet"
    judged = from_bytes(path.read_bytes())
    for (_, _, name), sums in judged.losses.items():
        if name == CHALLENGER:
            sums[:, LOSSES.index("squared")] /= 2.0
    path.write_bytes(to_bytes(judged))
    worse = verify(bench.workspace, "stable", AS_OF, bench.clock)
    assert all(one.alarm for one in worse)
    for one, other in zip(worse, sound, strict=True):
        assert 1.0 + one.change == pytest.approx(2**0.5 * (1.0 + other.change), rel=1e-3)


def test_a_release_of_other_features_is_not_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its models eat other numbers: said, not guessed."""
    lower_floor(monkeypatch)
    bench = Bench(make_workspace(tmp_path / "farm"), FakeClock(AS_OF))
    bench.publish(bench.decide(bench.run("one", GOOD)))
    monkeypatch.setattr("trainer.gate.drift.features.digest", lambda: "another")
    with pytest.raises(InputMissing, match="release 1 was trained by other feature code"):
        verify(bench.workspace, "stable", AS_OF, bench.clock)
