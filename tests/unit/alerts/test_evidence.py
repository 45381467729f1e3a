"""What counts as evidence (rules E1 to E7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.alerts.evidence import Evidence, Measured, from_forecast, from_readings, worse
from edge_agent.contract import schema
from edge_agent.contract.forecast import Source
from edge_agent.contract.schema import VPD
from edge_agent.settings import Rule
from tests.fakes.forecasts import NOW, forecast

if TYPE_CHECKING:
    from edge_agent.contract.forecast import Forecast

HOUR = timedelta(hours=1)


def rule(**keys: object) -> Rule:
    """Heat rule with some keys changed."""
    base: dict[str, object] = {
        "name": "heat",
        "quantity": schema.AIR_TEMPERATURE,
        "operator": ">=",
        "threshold": 30.0,
    }
    return msgspec.convert(base | keys, Rule)


def test_window_takes_the_most_probable_hour() -> None:
    """The chance of the window is the largest of its hours (E2)."""
    found = from_forecast(rule(), forecast([25.0, 30.0, 31.2, 28.0]), NOW)
    assert found.met is True
    assert found.probability == pytest.approx(0.75)
    assert found.value == pytest.approx(31.2)
    assert found.value_at == NOW + 3 * HOUR
    assert found.hour == NOW + 2 * HOUR, "the first hour at the limit, not the most probable one"


def test_the_value_is_the_extreme_where_chances_are_equal() -> None:
    """Of hours that are all certain the coldest speaks, not the first (E6)."""
    frost = rule(name="frost", operator="<=", threshold=0.0)
    found = from_forecast(frost, forecast([-9.1, -11.7, -9.0, -11.7]), NOW)
    assert found.probability == pytest.approx(1.0, abs=0.01)
    assert (found.value, found.value_at) == (-11.7, NOW + 2 * HOUR)
    assert found.hour == NOW + HOUR


def test_without_a_run_at_the_limit_there_is_no_first_hour() -> None:
    """An extreme there is, and no hour from which the rule is met (E6)."""
    found = from_forecast(rule(), forecast([20.0, 24.0, 21.0]), NOW)
    assert (found.met, found.hour) == (False, None)
    assert (found.value, found.value_at) == (24.0, NOW + 2 * HOUR)


def test_hours_outside_the_window_do_not_count() -> None:
    """Neither hours past nor hours beyond `within_h` (E1)."""
    weather = forecast([35.0, 20.0, 20.0, 20.0, 35.0])
    assert from_forecast(rule(within_h=3), weather, NOW + HOUR).met is False
    assert from_forecast(rule(within_h=4), weather, NOW + HOUR).met is True


def test_hours_in_a_row() -> None:
    """`for_h` needs each hour of one run to be probable (E2)."""
    split = forecast([32.0, 20.0, 32.0, 20.0])
    row = forecast([20.0, 32.0, 31.2, 20.0])
    assert from_forecast(rule(for_h=2), split, NOW).met is False
    found = from_forecast(rule(for_h=2), row, NOW)
    assert found.probability == pytest.approx(0.75)
    assert found.hour == NOW + 2 * HOUR


def test_gap_breaks_a_run() -> None:
    """Hours on both sides of a missing one are no run (E2, E3)."""
    assert from_forecast(rule(for_h=2), forecast([32.0, None, 32.0]), NOW).met is None


@pytest.mark.parametrize(
    "weather",
    [
        None,
        forecast([None, None, None]),
        forecast([35.0], source=Source.CLIMATOLOGY),
        forecast([35.0], now=NOW - 5 * HOUR),
    ],
    ids=["no forecast", "no numbers", "normals alone", "all in the past"],
)
def test_missing_data_is_no_evidence(weather: Forecast | None) -> None:
    """Nothing is known where there are no numbers about this day (E3)."""
    assert from_forecast(rule(), weather, NOW) == Evidence()


def test_no_end_while_an_hour_of_the_window_is_unknown() -> None:
    """A missing hour cannot end an alert, but known ones may raise it (E4)."""
    two = rule(within_h=2)
    assert from_forecast(two, forecast([20.0, None]), NOW).over is None
    assert from_forecast(two, forecast([35.0, None]), NOW).met is True
    assert from_forecast(two, forecast([20.0, 20.0]), NOW).over is True


def test_no_end_on_a_forecast_that_stops_within_the_window() -> None:
    """An old forecast that reaches less far than the rule looks may raise, never clear (E4)."""
    assert from_forecast(rule(), forecast([20.0] * 23), NOW).over is None
    assert from_forecast(rule(), forecast([20.0] * 24), NOW).over is True
    assert from_forecast(rule(within_h=48), forecast([20.0] * 41), NOW).over is None
    assert from_forecast(rule(within_h=48), forecast([20.0] * 42), NOW).over is True


def test_clear_level_keeps_an_alert_up() -> None:
    """Below the threshold but not below the clear level: not met, not over."""
    found = from_forecast(rule(clear=27.0, within_h=1), forecast([28.0]), NOW)
    assert (found.met, found.over) == (False, False)
    assert from_forecast(rule(clear=27.0, within_h=1), forecast([26.0]), NOW).over is True


def test_dryness_looks_down() -> None:
    """`<=` takes the lower side of the distribution."""
    dry = rule(name="dry", quantity=schema.RELATIVE_HUMIDITY, operator="<=", threshold=30.0)
    found = from_forecast(dry, forecast([20.0] * 2, [60.0, 24.0]), NOW)
    assert found.probability == pytest.approx(0.75)
    assert found.hour == NOW + 2 * HOUR


def test_vapour_pressure_deficit_follows_from_both() -> None:
    """Warm and dry hours have a deficit; cool damp ones have none."""
    vpd = rule(quantity=VPD, threshold=2.0)
    found = from_forecast(vpd, forecast([15.0, 30.0], [90.0, 40.0]), NOW)
    assert found.value == 2.55
    assert found.met is True
    assert from_forecast(vpd, forecast([15.0], [90.0]), NOW).met is False


def readings(*values: float | None) -> list[Measured]:
    """Hourly values, the newest last."""
    return [Measured(NOW - (len(values) - 1 - i) * HOUR, value) for i, value in enumerate(values)]


def test_live_rule_sees_the_newest_reading() -> None:
    """One reading decides when `for_h` is one (E5)."""
    live = rule(now=True, clear=28.0)
    assert from_readings(live, readings(20.0, 31.0)).met is True
    assert from_readings(live, readings(31.0, 29.0)) == Evidence(
        met=False, over=False, probability=0.0, value=29.0, value_at=NOW, hour=NOW
    )
    assert from_readings(live, readings(31.0, 27.0)).over is True


def test_live_rule_over_hours_needs_each_of_them() -> None:
    """`for_h` hours in a row, none missing (E5)."""
    live = rule(now=True, for_h=3)
    assert from_readings(live, readings(31.0, 32.0, 33.0)).met is True
    assert from_readings(live, readings(31.0, 29.0, 33.0)).met is False
    assert from_readings(live, readings(31.0, None, 33.0)) == Evidence()
    assert from_readings(live, readings(32.0, 33.0)) == Evidence()
    assert from_readings(live, []) == Evidence()


CALM = Evidence(met=False, over=True, probability=0.1, value=3.0, hour=NOW)
BETWEEN = Evidence(met=False, over=False, probability=0.3, value=1.0, hour=NOW)
FROST = Evidence(met=True, over=False, probability=0.9, value=-2.0, hour=NOW)


@pytest.mark.parametrize(
    ("own", "other", "source"),
    [
        (CALM, FROST, "station:108"),
        (FROST, CALM, ""),
        (CALM, BETWEEN, "station:108"),
        (BETWEEN, CALM, ""),
        (FROST, FROST, ""),
        (CALM, Evidence(), ""),
        (Evidence(), Evidence(), ""),
    ],
)
def test_the_worse_of_two_counts(own: Evidence, other: Evidence, source: str) -> None:
    """E7: met where one is, over where both are; where nothing is known it changes nothing."""
    found = worse(own, replace(other, source="station:108"))
    expected = replace(other, source=source) if source else own
    assert found == expected


def test_both_have_to_be_over() -> None:
    """E7: the less probable one may still be above the clear level, or not know."""
    for over in (False, None):
        other = replace(CALM, probability=0.05, over=over)
        assert worse(CALM, other).over is over
        assert worse(other, CALM).over is over


def test_of_two_live_evidences_the_one_that_keeps_an_alert_up() -> None:
    """E7: neither is met, and the station is not back above the clear level yet."""
    rule = Rule(
        name="r",
        quantity=schema.AIR_TEMPERATURE,
        operator="<=",
        threshold=0.0,
        clear=2.0,
        now=True,
    )
    warm, cool = (from_readings(rule, [Measured(NOW, value)]) for value in (9.0, 1.0))
    assert worse(warm, replace(cool, source="cell:60-127")).value == 1.0
    assert worse(cool, warm).value == 1.0


def test_other_sources_end_nothing_while_the_own_is_unknown() -> None:
    """E7: they may raise an alert, and a rule on a sensor that says nothing stays unknown."""
    assert worse(Evidence(), CALM) == Evidence()
    raised = worse(Evidence(), replace(FROST, over=True))
    assert (raised.met, raised.over) == (True, None)
