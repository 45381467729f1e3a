"""Drift: the newest days beside the gate's evidence, with hard and easy months made equal."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from edge_agent.contract.schema import AIR_TEMPERATURE, TARGETS
from tests.fakes.records import pair
from trainer.drift import LIMITS, changes
from trainer.evidence import CHALLENGER, CHAMPION, DAMPED, Evidence

GATE = date(2018, 1, 1)


def _newest(factor: float, weather: float = 1.0, days: int = 31) -> Evidence:
    """The newest days of the same year's weather, the model's squared error times a factor."""
    whole = pair(1)
    found = Evidence(date(2018, 12, 31 - days + 1), days)
    for key, sums in whole.losses.items():
        mean = np.tile(sums.mean(axis=0), (days, 1))
        mean[:, 3] *= weather * (factor if key[2] == CHALLENGER else 1.0)
        found.losses[key] = mean
    return found


@pytest.mark.parametrize(
    ("rmse", "alarms"),
    [(1.0, set()), (1.06, set()), (1.11, {30}), (1.2, {30, 10}), (0.8, set())],
)
def test_limits(rmse: float, alarms: set[int]) -> None:
    """8 % more over 30 days, 15 % over 10 days; better is no alarm."""
    found = changes(_newest(rmse**2), pair(1), set())
    assert {(one.target, one.days) for one in found} == {(t, d) for t in TARGETS for d in LIMITS}
    assert {one.days for one in found if one.alarm} == alarms
    for one in found:
        assert one.change == pytest.approx(rmse - 1.0, abs=0.02)


def test_a_hard_month_is_no_drift() -> None:
    """Twice the squared error of everybody: the model is as good as it was."""
    found = changes(_newest(1.0, weather=2.0), pair(1), set())
    assert not any(one.alarm for one in found)
    assert "over the last 30 days, beside the damped anomaly's" in found[0].text()


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
