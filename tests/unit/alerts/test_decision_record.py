"""What an alert rested on, kept and worked out again."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from edge_agent.alerts import decision_record
from edge_agent.alerts.evaluation import DecisionInputs, Relayed, evaluate_rule
from edge_agent.alerts.evidence import Measured
from edge_agent.alerts.state_machine import Latch, Level
from edge_agent.contract import forecast_json, schema
from edge_agent.contract.errors import BadData
from edge_agent.contract.forecast import PointForecast, Source
from edge_agent.contract.schema import VPD
from edge_agent.settings import Condition, QuietHours, Rule
from tests.fakes.forecasts import NOW, forecast

CELSIUS = [20.0 + 0.3 * hour / 0.7 for hour in range(48)]
HUMIDITY = [70.0 - hour / 0.9 for hour in range(48)]


def case(quantity: str = schema.AIR_TEMPERATURE, **keys: object) -> DecisionInputs:
    """A forecast rule on weather that gets warmer and drier."""
    rule = Rule(name="r", quantity=quantity, operator=">=", threshold=1.5, probability=0.3)
    given: dict[str, object] = {
        "rule": rule,
        "latch": Latch(rule="r"),
        "now": NOW,
        "clock": "trusted",
        "zone": "Asia/Seoul",
        "daily_cap": 24,
        "quiet_hours": QuietHours(),
        "forecast": forecast(CELSIUS, HUMIDITY),
    }
    return DecisionInputs(**(given | keys))  # type: ignore[arg-type]


@pytest.mark.parametrize("quantity", [*schema.TARGETS, VPD])
def test_the_same_verdict_from_kept_inputs(quantity: str) -> None:
    """To the last bit, for plain and for derived quantities."""
    one = case(quantity)
    assert evaluate_rule(one).evidence.probability is not None
    assert evaluate_rule(
        decision_record.from_bytes(decision_record.to_bytes(one))
    ) == evaluate_rule(one)


def test_what_a_critical_rule_looks_at_besides_is_kept() -> None:
    """The relayed forecast too: it may be what the alert rests on."""
    warm = forecast([celsius + 9 for celsius in CELSIUS], HUMIDITY)
    rule = Rule(name="r", quantity=schema.AIR_TEMPERATURE, operator=">=", threshold=45.0)
    inputs = case(rule=rule, relayed=Relayed("station:108", warm, (Measured(NOW, 3.5),)))
    verdict = evaluate_rule(inputs)
    assert verdict.evidence.source == "station:108"
    again = decision_record.from_bytes(decision_record.to_bytes(inputs))
    assert evaluate_rule(again) == verdict
    assert again.relayed is not None
    assert again.relayed.readings == (Measured(NOW, 3.5),)


def test_only_what_the_rule_looks_at_is_kept() -> None:
    """The hours of the window and the quantity: a small row, though the forecast is large."""
    kept = decision_record.from_bytes(decision_record.to_bytes(case())).forecast
    assert kept is not None
    assert len(kept.valid_at) == 24
    assert list(kept.targets) == [schema.AIR_TEMPERATURE]
    assert len(decision_record.to_bytes(case(VPD))) < 12_000


def test_a_live_rule_keeps_its_readings() -> None:
    """And its latch, whatever state it was in."""
    rule = Rule(
        name="r", quantity=schema.SOIL_MOISTURE, operator="<=", threshold=20, now=True, for_h=2
    )
    latch = Latch(rule="r", level=Level.RAISED, since=NOW - timedelta(hours=2), last_rule=rule)
    readings = (Measured(NOW - timedelta(hours=1), 19.5), Measured(NOW, None))
    one = case(rule=rule, latch=latch, forecast=None, readings=readings)
    assert decision_record.from_bytes(decision_record.to_bytes(one)) == one


@pytest.mark.parametrize("content", [b"", b"x", zlib.compress(b"{}"), zlib.compress(b"\xff")])
def test_damaged_inputs_are_told(content: bytes) -> None:
    """One line, no traceback."""
    with pytest.raises(BadData, match="kept inputs of an alert"):
        decision_record.from_bytes(content)


def test_joined_conditions_and_single_values_are_kept() -> None:
    """What each condition looks at, to the last bit; earlier agents need not read it."""
    wind = PointForecast("m/s", np.linspace(0.1, 14.7, 48), Source.GUIDANCE)
    other = PointForecast("mm", np.full(48, np.nan), Source.GUIDANCE)
    known = replace(
        forecast(CELSIUS, HUMIDITY),
        points={schema.WIND_SPEED: wind, schema.RAIN: other},
        sources=dict.fromkeys(schema.TARGETS, (Source.MODEL,) * 48),
    )
    rule = Rule(
        name="r",
        quantity=schema.WIND_SPEED,
        operator=">=",
        threshold=5.0,
        aggregate="mean",
        over_h=3,
        all=(Condition(quantity=schema.DEW_POINT, operator=">=", threshold=13.0),),
    )
    one = case(rule=rule, forecast=known)
    again = decision_record.from_bytes(decision_record.to_bytes(one))
    assert evaluate_rule(again) == evaluate_rule(one)
    assert evaluate_rule(one).evidence.met is True
    assert again.forecast is not None
    assert again.forecast.points.keys() == {schema.WIND_SPEED}
    assert again.forecast.targets.keys() == set(schema.TARGETS)
    assert forecast_json.unpacked(forecast_json.packed(known), "model").points == {}
