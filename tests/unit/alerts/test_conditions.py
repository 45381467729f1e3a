"""Words for what rules compare; what to do about them; no words of official warnings."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from edge_agent.alerts import conditions, default_rules, texts, what_to_do
from edge_agent.alerts.evidence import from_forecast
from edge_agent.alerts.state_machine import Edge
from edge_agent.contract import schema
from edge_agent.contract.forecast import PointForecast, Source
from edge_agent.messages.locale import Locale
from edge_agent.settings import Config, House, Irrigation, Rule
from tests.fakes.forecasts import NOW, forecast

NEW = ("strong-wind", "heavy-snow", "heavy-rain", "rain-soon", "cold-snap", "dew-at-sunrise")
OFFICIAL = re.compile("특보|주의보|경보|발효|발령|강풍|호우|대설|한파|폭염")


def built_in(name: str) -> Rule:
    """A built-in rule of a farm with strawberries."""
    config = Config(irrigation=Irrigation(crop="strawberry"), house=House(wind_limit_ms=14.0))
    return next(rule for rule in default_rules.rules(config) if rule.name == name)


def said(rule: Rule, language: str, edge: Edge = Edge.RAISED) -> str:
    """Text of an edge by a day of rain, wind and a cold front."""
    names = (schema.WIND_SPEED, schema.RAIN, schema.RAIN_CHANCE, schema.NEW_SNOW)
    points = {
        name: PointForecast(schema.QUANTITIES[name].unit, np.full(48, value), Source.GUIDANCE)
        for name, value in zip(names, (15.0, 6.0, 80.0, 1.0), strict=True)
    }
    falling = [14.0 - lead / 2.0 if lead > 2 else 7.0 + 3.0 * lead for lead in range(48)]
    known = dataclasses.replace(forecast(falling, [95.0] * 48), points=points)
    evidence = from_forecast(rule, known, NOW)
    assert evidence.met, rule.name
    locale = Locale(language, ZoneInfo("Asia/Seoul"))
    return texts.alert_text(locale, rule, edge, evidence, now=NOW, lasted=timedelta(hours=2))


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("name", NEW)
def test_each_says_what_to_do_and_is_no_official_warning(name: str, language: str) -> None:
    """In both languages; not at the end of the alert."""
    rule = built_in(name)
    text, advice = said(rule, language), what_to_do.advice_of(language, name)
    assert advice
    assert text.endswith(f" {advice}")
    assert texts.title_of(language, name) in text
    assert texts.title_of(language, name) != name
    assert not OFFICIAL.search(text)
    assert advice not in said(rule, language, Edge.CLEARED)


def test_a_single_value_is_told_without_a_chance() -> None:
    """Nobody knows how sure it is."""
    rule = built_in("strong-wind")
    assert said(rule, "ko").startswith(
        "[주의] 강한 바람: 오늘(1일) 오후 3시쯤부터 풍속 14 m/s 이상일 것으로 예상됩니다"
        "(오후 3시쯤 최고 15.0 m/s). "
    )
    assert "wind speed at or above 14 m/s is expected, up to 15.0 m/s at about" in said(rule, "en")
    ended = said(rule, "en", Edge.CLEARED)
    assert ended.endswith("no longer expected in the next 24 h (it lasted 2 h).")


@pytest.mark.parametrize(
    ("name", "korean", "english"),
    [
        ("heavy-rain", "12시간 강수량 합계", "rain summed over 12 h"),
        ("cold-snap", "24시간 기온 내림폭", "fall of air temperature within 24 h"),
        ("dew-at-sunrise", "3시간 기온 오름폭", "rise of air temperature within 3 h"),
    ],
)
def test_what_is_compared(name: str, korean: str, english: str) -> None:
    """With the hours that it is of."""
    rule = built_in(name)
    assert conditions.compared_of("ko", rule, rule.within_h) == korean
    assert conditions.compared_of("en", rule, rule.within_h) == english
    assert korean in said(rule, "ko")
    assert english in said(rule, "en")


def test_joined_conditions_are_all_named() -> None:
    """After the first one."""
    rule = built_in("dew-at-sunrise")
    assert conditions.limits_of("ko", rule) == "3°C 이상이면서 상대습도 85% 이상"
    assert (
        conditions.limits_of("en", rule) == "at or above 3°C with relative humidity at or above 85%"
    )


def test_limits_are_those_of_the_house() -> None:
    """And the clear level follows them."""
    config = Config(house=House(wind_limit_ms=20.0, snow_limit_cm=30.0))
    rules = {rule.name: rule for rule in default_rules.rules(config)}
    assert (rules["strong-wind"].threshold, rules["strong-wind"].clear) == (20.0, 16.0)
    assert (rules["heavy-snow"].threshold, rules["heavy-snow"].clear) == (30.0, 21.0)
    assert "dew-at-sunrise" not in rules, "nothing bears fruit"


def test_an_earlier_agent_reads_rules_without_newer_keys() -> None:
    """A stored rule that uses none of them names none of them."""
    heat = Rule(name="heat", quantity=schema.AIR_TEMPERATURE, operator=">=", threshold=30.0)
    assert msgspec.json.decode(msgspec.json.encode(heat)).keys() == {
        "name", "quantity", "operator", "threshold",
    }  # fmt: skip
