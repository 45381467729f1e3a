"""What a forecast says about sums, extremes, changes and joined conditions (rules W1 to W5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from edge_agent.alerts.evidence import Evidence, from_forecast
from edge_agent.contract import schema
from edge_agent.contract.forecast import PointForecast, Source
from edge_agent.settings import Rule
from tests.fakes.forecasts import NOW, forecast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.contract.forecast import Forecast

HOUR = timedelta(hours=1)


def rule(**keys: object) -> Rule:
    """Rain rule of twelve hours with some keys changed."""
    base: dict[str, object] = {
        "name": "wet",
        "quantity": schema.RAIN,
        "operator": ">=",
        "threshold": 10.0,
        "within_h": 12,
    }
    return msgspec.convert(base | keys, Rule)


COLD_AND_WET = rule(
    quantity=schema.AIR_TEMPERATURE,
    operator="<=",
    threshold=2.0,
    within_h=4,
    all=[{"quantity": schema.RAIN, "operator": ">", "threshold": 0.0}],
)


def with_points(
    temperature: Sequence[float | None] = (20.0,) * 12,
    **points: Sequence[float | None],
) -> Forecast:
    """Forecast with single values; None = not known."""
    found = {
        name: PointForecast(
            schema.QUANTITIES[name].unit,
            np.array([np.nan if value is None else value for value in values]),
            Source.GUIDANCE,
        )
        for name, values in points.items()
    }
    return replace(forecast(temperature), points=found)


def evidence(given: Rule, of: Forecast) -> Evidence:
    """What the forecast says."""
    return from_forecast(given, of, NOW)


def test_a_single_value_has_no_chance() -> None:
    """It is met or not; nobody says how sure, and the end needs every hour."""
    windy = [5.0] * 6 + [13.0, 14.5] + [5.0] * 4
    gale = rule(quantity=schema.WIND_SPEED, threshold=12.0)
    found = evidence(gale, with_points(wind_speed_ms=windy))
    assert (found.met, found.over, found.probability) == (True, False, None)
    assert (found.value, found.value_at) == (14.5, NOW + 8 * HOUR)
    assert found.hour == NOW + 7 * HOUR
    calm = evidence(gale, with_points(wind_speed_ms=[5.0] * 12))
    assert (calm.met, calm.over) == (False, True)


@pytest.mark.parametrize(
    "known", [with_points(), with_points(rain_mm=(0.0,) * 5 + (None,) * 7)], ids=["none", "short"]
)
def test_what_is_not_forecast_is_unknown_and_never_zero(known: Forecast) -> None:
    """Guidance that has run out clears nothing."""
    assert evidence(rule(), known) == Evidence()
    dry = rule(operator="<=", threshold=0.0, aggregate="sum")
    assert evidence(dry, known) == Evidence()


def test_a_sum_slides_through_the_window() -> None:
    """Of three hours in a row; the value is the largest sum, from its first hour (W1)."""
    showers = (0.0, 4.0, 4.0, 3.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    found = evidence(rule(aggregate="sum", over_h=3), with_points(rain_mm=showers))
    assert (found.met, found.value, found.value_at) == (True, 11.0, NOW + 2 * HOUR)
    assert found.hour == NOW + 2 * HOUR
    assert evidence(rule(aggregate="sum", over_h=2), with_points(rain_mm=showers)).met is False
    whole = evidence(rule(aggregate="sum", threshold=12.0), with_points(rain_mm=showers))
    assert (whole.met, whole.value, whole.over) == (True, 12.0, False)


@pytest.mark.parametrize(
    ("keys", "values", "met"),
    [
        ({"aggregate": "sum"}, (6.0, 6.0, *(None,) * 10), True),
        ({"aggregate": "sum"}, (6.0, 3.0, *(None,) * 10), None),
        ({"aggregate": "max"}, (11.0, *(None,) * 11), True),
        ({"aggregate": "max"}, (9.0, *(None,) * 11), None),
        ({"aggregate": "max", "operator": "<"}, (9.0, *(None,) * 11), None),
        ({"aggregate": "min", "operator": "<"}, (9.0, *(None,) * 11), True),
        ({"aggregate": "min"}, (11.0, *(None,) * 11), None),
        ({"aggregate": "mean"}, (90.0, *(None,) * 11), None),
        ({"aggregate": "mean"}, (9.0,) * 11 + (22.0,), True),
        ({"aggregate": "sum", "operator": "<"}, (1.0, *(None,) * 11), None),
    ],
)
def test_a_window_that_is_partly_unknown(
    keys: dict[str, str], values: Sequence[float | None], met: bool | None
) -> None:
    """What is known counts where the rest cannot undo it (W3)."""
    found = evidence(rule(**keys), with_points(rain_mm=values))
    assert (found.met, found.over) == (met, False if met else None)


def test_a_fall_is_between_two_hours() -> None:
    """From the hour `over_h` before; a distribution has none, so there is no chance (W1, W2)."""
    falling = [20.0] * 6 + [18.0, 16.0, 14.5] + [14.5] * 3
    keys = {"quantity": schema.AIR_TEMPERATURE, "threshold": 5.0, "over_h": 3}
    found = evidence(rule(aggregate="fall", **keys), forecast(falling))
    assert (found.met, found.probability) == (True, None)
    assert (found.value, found.hour) == (5.5, NOW + 6 * HOUR)
    assert evidence(rule(aggregate="rise", **keys), forecast(falling)).met is False
    slow = evidence(rule(aggregate="fall", **(keys | {"over_h": 2})), forecast(falling))
    assert (slow.met, slow.value, slow.over) == (False, 4.0, True)


def test_a_distribution_stays_one_under_an_extreme() -> None:
    """The chance of a highest is that of the hour that has it, and of a lowest (W2)."""
    course = [25.0, 28.0, 31.2, 27.0]
    heat = {"quantity": schema.AIR_TEMPERATURE, "threshold": 30.0, "within_h": 4}
    hours = evidence(rule(**heat), forecast(course))
    highest = evidence(rule(aggregate="max", **heat), forecast(course))
    assert highest.probability == pytest.approx(hours.probability)
    lowest = evidence(rule(aggregate="min", **heat), forecast(course))
    assert lowest.probability == pytest.approx(0.0, abs=0.01)
    mean = evidence(rule(aggregate="mean", **(heat | {"threshold": 27.8})), forecast(course))
    assert mean.probability == pytest.approx(0.5)


def test_conditions_hold_in_the_same_hour() -> None:
    """Cold in one hour and wet in another is not cold and wet (W4)."""
    cold = [1.0, 1.0, 9.0, 9.0]
    apart = evidence(COLD_AND_WET, with_points(cold, rain_mm=(0.0, 0.0, 3.0, 3.0)))
    assert apart.met is False
    together = evidence(COLD_AND_WET, with_points(cold, rain_mm=(0.0, 3.0, 3.0, 0.0)))
    assert (together.met, together.hour) == (True, NOW + 2 * HOUR)
    assert together.probability == pytest.approx(0.708, abs=0.01), "that of the cold alone"


def test_a_condition_that_fails_decides() -> None:
    """Where it is warm nobody needs to know about rain; where it is cold they do (W4)."""
    gone = (0.0, None, None, None)
    assert evidence(COLD_AND_WET, with_points([20.0] * 4, rain_mm=gone)).met is False
    assert evidence(COLD_AND_WET, with_points([20.0, 20.0, 1.0, 20.0], rain_mm=gone)) == Evidence()


def test_windows_of_joined_conditions_end_in_the_same_hour() -> None:
    """Rain of three hours up to the hour in which the wind blows."""
    rain, wind = (5.0, 5.0, 5.0, 0.0, 0.0, 0.0), [0.0, 0.0, 0.0, 9.0, 0.0, 0.0]
    soaked = {"aggregate": "sum", "over_h": 3, "within_h": 6}
    blown = [{"quantity": schema.WIND_SPEED, "operator": ">", "threshold": 8.0}]
    known = with_points([20.0] * 6, rain_mm=rain, wind_speed_ms=wind)
    found = evidence(rule(all=blown, **soaked), known)
    assert (found.met, found.hour, found.value) == (True, NOW + 2 * HOUR, 15.0)
    assert evidence(rule(all=blown, **(soaked | {"threshold": 11.0})), known).met is False


def test_a_target_comes_before_a_single_value() -> None:
    """A trained quantity has a spread; the value of KMA beside it is not looked at."""
    known = with_points([1.0] * 12, air_temperature_c=[40.0] * 12)
    heat = rule(quantity=schema.AIR_TEMPERATURE, threshold=30.0)
    assert evidence(heat, known).met is False


def test_normals_say_nothing_of_joined_conditions() -> None:
    """Hours of climatology are unknown, whatever KMA says of the rain (W5)."""
    known = with_points([1.0] * 4, rain_mm=(3.0,) * 4)
    made = (Source.MODEL, Source.MODEL, Source.CLIMATOLOGY, Source.CLIMATOLOGY)
    known = replace(known, sources=dict.fromkeys(known.targets, made))
    cold = {"quantity": schema.AIR_TEMPERATURE, "operator": "<=", "threshold": -5.0}
    assert evidence(rule(within_h=4, threshold=3.0, all=[cold]), known) == Evidence()
    assert evidence(rule(within_h=4, threshold=3.0), known).met is True
