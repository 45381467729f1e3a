"""When `/health` is sent between two cycles, and what it costs (promise T3)."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.alert_farm import ROOT, SENSOR, AlertFarm
from tests.fakes.farm import OWN_RULES_ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULE = """
[[rules]]
name = "cold"
quantity = "air_temperature_c"
operator = "<"
threshold = 5.0
now = true
role = "indoor"
"""


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[AlertFarm]:
    """A device with one sensor and one live rule, an hour worked."""
    made = AlertFarm(tmp_path, OWN_RULES_ALONE + SENSOR + RULE)
    with closing(made.worker):
        made.cycle()
        made.minutes()
        yield made


def healths(farm: AlertFarm, since: int) -> list[dict[str, Any]]:
    """Every `/health` that was sent since a place."""
    news = farm.heard[since:]
    return [json.loads(m.payload) for m in news if m.topic == f"{ROOT}/health"]


def test_figures_wait_for_the_hour(farm: AlertFarm) -> None:
    """A reading that changes each minute is no news; the cycle tells of its value once."""
    before = len(farm.heard)
    for minute in range(60):
        farm.minutes(celsius=20 + minute / 10)
    assert healths(farm, before) == []
    farm.worker.watch(farm.clock.now())
    farm.cycle()
    farm.minutes(3, celsius=26.0)
    (health,) = healths(farm, before)
    assert health["sensors"][0]["value"] == 25.9


def test_news_comes_within_the_minute(farm: AlertFarm) -> None:
    """An alert, a sensor that falls silent, a fault elsewhere: each at once and once."""
    before = len(farm.heard)
    farm.minutes(3, celsius=2.0)
    assert healths(farm, before)[-1]["alerts_raised"] == ["cold"]
    before = len(farm.heard)
    for _ in range(2):
        farm.worker.watch(farm.clock.now(), ["mqtt: broker refuses farm/x"])
        farm.hear()
    (health,) = healths(farm, before)
    assert health["problems"] == ["mqtt: broker refuses farm/x"]
    before = len(farm.heard)
    farm.clock.advance(1000)
    for _ in range(4):
        farm.clock.advance(60)
        farm.worker.watch(farm.clock.now())
        farm.hear()
    told = healths(farm, before)
    assert told[0]["problems"][0].startswith("sensor house/air: silent for 17 min")
    assert told[0]["rules_unknown"] == ["cold"]
    assert len(told) <= 2


def test_a_number_within_a_problem_is_a_figure(farm: AlertFarm) -> None:
    """`3 refused` and `4 refused` are the same problem: one message, not one a minute."""
    before = len(farm.heard)
    for count in range(4):
        farm.worker.watch(farm.clock.now(), [f"sensor x: {count} refused, last {-count}.5"])
        farm.hear()
    assert len(healths(farm, before)) == 1


def waiting(health: dict[str, Any]) -> int:
    """Messages that wait, by a `/health`."""
    return sum(n for name, n in health["outbox"].items() if name.startswith("waiting_"))


def test_what_goes_out_with_it_is_no_backlog(farm: AlertFarm) -> None:
    """An alert and its `/health` are sent together: nothing waits once that is read."""
    before = len(farm.heard)
    assert farm.minutes(3, celsius=1.0) == ["raised"]
    assert [waiting(health) for health in healths(farm, before)] == [0]


def test_a_backlog_and_its_end_are_news(farm: AlertFarm) -> None:
    """The broker is away for minutes; once it has taken everything, that is told."""
    before = len(farm.heard)
    farm.celsius = 1.0
    for _ in range(3):
        farm.clock.advance(60)
        farm._read()
        farm.worker.watch(farm.clock.now())
    farm.hear()
    assert waiting(healths(farm, before)[-1]) > 0
    farm.minutes()
    assert waiting(healths(farm, before)[-1]) == 0
