"""What people read in alerts and advice, in both languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from edge_agent.alerts import conditions, messages
from edge_agent.alerts import texts as alert_texts
from edge_agent.alerts.state_machine import Edge, Latch, Level
from edge_agent.contract import schema
from edge_agent.contract.numbers import plain, rounded
from edge_agent.messages.locale import Locale
from edge_agent.settings import Rule
from tests.fakes.alert_messages import ADVICE, MET, RULE, body, verdict
from tests.fakes.forecasts import NOW
from tests.fakes.message_context import CONTEXT, SEOUL


@pytest.mark.parametrize(
    ("language", "edge", "live", "text"),
    [
        (
            "en",
            Edge.RAISED,
            False,
            (
                "[Warning] Heat: from about tomorrow (2 Jul) 14:00 air temperature at or above "
                "30°C with a chance of 62%, up to 31.2°C at about 15:00."
            ),
        ),
        (
            "ko",
            Edge.CLEARED,
            False,
            (
                "[해제] 고온: 앞으로 24시간 안에 기온 30°C 이상일 가능성이 62%로 낮아졌습니다. "
                "5시간 만에 해제합니다."
            ),
        ),
        ("ko", Edge.RAISED, True, "[주의] 고온: 지금 바깥 기온 31.2°C, 기준 30°C 이상입니다."),
        (
            "en",
            Edge.CLEARED,
            True,
            "[Ended] Heat: outdoor air temperature is 31.2°C now (it lasted 5 h).",
        ),
    ],
)
def test_texts(language: str, edge: Edge, live: bool, text: str) -> None:
    """Each template in each language."""
    context = replace(CONTEXT, locale=Locale(language, SEOUL))
    rule = Rule(
        name="heat", quantity=schema.AIR_TEMPERATURE, operator=">=", threshold=30.0, now=live
    )
    made = messages.event_message(context, rule, verdict(edge))
    assert body(made)["text"] == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "ko",
            (
                "[주의] 서리 주의: 예상 최저는 내일(2일) 오후 3시쯤 2.4°C이지만, 내일(2일) 오후 "
                "2시쯤부터 기온 2°C 이하일 가능성이 30% 있습니다."
            ),
        ),
        (
            "en",
            (
                "[Warning] Frost watch: the forecast's lowest is 2.4°C at about tomorrow (2 Jul) "
                "15:00, but from about tomorrow (2 Jul) 14:00 the chance of air temperature at or "
                "below 2°C is 30%."
            ),
        ),
    ],
)
def test_an_alert_by_chance_says_so(language: str, text: str) -> None:
    """Where the forecast itself stays on the other side of the limit, the text does not hide it."""
    watch = Rule(name="frost-watch", quantity=schema.AIR_TEMPERATURE, operator="<=", threshold=2.0)
    found = replace(MET, probability=0.3, value=2.41)
    context = replace(CONTEXT, locale=Locale(language, SEOUL))
    made = messages.event_message(context, watch, replace(verdict(Edge.RAISED), evidence=found))
    assert body(made)["text"] == text


def test_an_alert_that_stands_on_its_clear_level_names_no_first_hour() -> None:
    """The page shows it while no hour meets the rule any more."""
    found = replace(MET, met=False, hour=None, probability=0.3, value=29.4)
    text = alert_texts.alert_text(
        Locale("ko", SEOUL), RULE, Edge.RAISED, found, now=NOW, lasted=timedelta(0)
    )
    assert text == (
        "[주의] 고온: 예상 최고는 내일(2일) 오후 3시쯤 29.4°C이지만, 앞으로 24시간 안에 기온 "
        "30°C 이상일 가능성이 30% 있습니다."
    )


def test_advice_for_people() -> None:
    """What to give, how much that is, when and why; or that nothing is needed."""
    said = body(messages.advice_message(CONTEXT, "tomato", ADVICE))
    assert said["text"] == (
        "[관수] 내일(2일) 새벽 5시부터 오전 8시까지 물 7 mm(약 6,840 L)를 주세요. "
        "뿌리 둘레에 30 mm가 부족하고, 앞으로 24시간 동안 5.5 mm가 더 쓰입니다. "
        "비 예보는 들어 있지 않습니다. 6월 19일 오후 2시에는 흙이 충분히 젖어 있었다고 가정했고, "
        "그 뒤 관수 보고가 없습니다(보고 방법: edge-agent water 또는 cmd/irrigated)."
    )
    assert (said["need_mm"], said["volume_l"]) == (6.8, 6840.0)
    none = replace(ADVICE, need_mm=0.0, start=None, end=None, rain_mm=12.0)
    english = replace(CONTEXT, locale=Locale("en", SEOUL))
    assert body(messages.advice_message(english, "tomato", none))["text"] == (
        "[Water] None needed today: 30 mm missing around the roots, up to 34 mm may be. "
        "12 mm of likely rain are reckoned in. No water was reported since 19 Jun 14:00, when the "
        "soil is assumed to have been full (report it: edge-agent water, or cmd/irrigated)."
    )
    measured = replace(none, water=replace(none.water, start_assumed=False))
    assert body(messages.advice_message(english, "tomato", measured))["text"].endswith(
        " No water was reported since 19 Jun 14:00 (report it: edge-agent water, or cmd/irrigated)."
    )
    reported = replace(none.water, last_given_at=NOW - timedelta(hours=3), last_given_mm=11.6)
    for locale, text in {
        "ko": " 마지막으로 보고된 관수는 오늘(1일) 오전 11시, 12 mm입니다.",
        "en": " Water last reported: today (1 Jul) 11:00, 12 mm.",
    }.items():
        context = replace(CONTEXT, locale=Locale(locale, SEOUL))
        said = body(messages.advice_message(context, "tomato", replace(none, water=reported)))
        assert said["text"].endswith(text)


@pytest.mark.parametrize(
    ("hours", "korean", "english"),
    [
        (1, "오늘(1일) 오후 3시", "today (1 Jul) 15:00"),
        (10, "내일(2일) 0시(자정)", "tomorrow (2 Jul) 00:00"),
        (15, "내일(2일) 새벽 5시", "tomorrow (2 Jul) 05:00"),
        (16, "내일(2일) 오전 6시", "tomorrow (2 Jul) 06:00"),
        (22, "내일(2일) 낮 12시", "tomorrow (2 Jul) 12:00"),
        (47, "모레(3일) 오후 1시", "3 Jul 13:00"),
        (58, "7월 4일 0시(자정)", "4 Jul 00:00"),
        (-15, "6월 30일 오후 11시", "30 Jun 23:00"),
    ],
)
def test_times_as_people_say_them(hours: int, korean: str, english: str) -> None:
    """The day by name and date, the hour by its part of the day."""
    now, at = NOW, NOW + timedelta(hours=hours)
    assert Locale("ko", SEOUL).time(at, now) == korean
    assert Locale("en", SEOUL).time(at, now) == english


def test_numbers_as_people_read_them() -> None:
    """No tenths of a percent, no chance of 0 or 100 %, days for what lasted days."""
    assert conditions.amount_of(schema.RELATIVE_HUMIDITY, 27.46) == "27%"
    assert conditions.amount_of(schema.WIND_SPEED, 3.44) == "3.4 m/s"
    assert conditions.amount_of(schema.AIR_TEMPERATURE, -0.04) == "0.0°C"
    assert conditions.amount_of(schema.VPD, 1.436) == "1.44 kPa"
    assert (str(rounded(-0.001)), plain(-0.0), plain(1.6 - 0.2)) == ("0.0", "0", "1.4")
    sure = replace(MET, probability=0.9996)
    made = messages.event_message(CONTEXT, RULE, replace(verdict(Edge.RAISED), evidence=sure))
    assert "가능성 99%" in body(made)["text"]
    assert Locale("ko", SEOUL).duration(timedelta(hours=49)) == "2일"


def test_own_text_of_a_rule() -> None:
    """A rule's template replaces the built-in text."""
    rule = Rule(
        name="heat",
        quantity=schema.AIR_TEMPERATURE,
        operator=">=",
        threshold=30.0,
        message="{time} {value}{unit} ({value_time}), {probability}%, +{lead_h} h",
    )
    made = messages.event_message(CONTEXT, rule, verdict(Edge.RAISED))
    assert body(made)["text"] == "내일(2일) 오후 2시 31.2°C (내일(2일) 오후 3시), 62%, +24 h"


@pytest.mark.parametrize(
    ("ahead_min", "shown"), [(-60, "0"), (29, "0"), (30, "1"), (90, "2"), (150, "3")]
)
def test_half_an_hour_ahead_is_an_hour(ahead_min: int, shown: str) -> None:
    """`{lead_h}` rounds a half up, always."""
    rule = msgspec.structs.replace(RULE, message="{lead_h}")
    found = replace(MET, hour=CONTEXT.now + timedelta(minutes=ahead_min))
    made = messages.event_message(CONTEXT, rule, replace(verdict(Edge.RAISED), evidence=found))
    assert body(made)["text"] == shown


@pytest.mark.parametrize(
    ("quantity", "value", "shown"),
    [
        (schema.AIR_TEMPERATURE, -0.04, "0.0"),
        (schema.RELATIVE_HUMIDITY, 27.46, "27"),
        (schema.VPD, 1.6, "1.60"),
    ],
)
def test_a_value_in_an_own_text_has_the_digits_of_its_quantity(
    quantity: str, value: float, shown: str
) -> None:
    """Always the same number of digits, and no zero with a sign."""
    rule = Rule(name="own", quantity=quantity, operator="<=", threshold=9.0, message="{value}")
    found = replace(verdict(Edge.RAISED), evidence=replace(MET, value=value))
    assert body(messages.event_message(CONTEXT, rule, found))["text"] == shown


def test_an_alert_that_no_weather_ended_says_why() -> None:
    """Nobody takes the end of a rule or of a name for the end of the heat."""
    latch = Latch(rule="heat", level=Level.RAISED, since=NOW, last_rule=RULE)
    endings = (messages.retired_message, messages.renamed_message)
    said = [body(ending(CONTEXT, latch)) for ending in endings]
    assert [one["event_type"] for one in said] == ["cleared", "cleared"]
    assert [one["text"] for one in said] == [
        "[해제] 고온: 이 규칙은 설정에서 빠졌습니다.",
        "[해제] 고온: 장치 이름이 바뀌었습니다. 이어지는 경보는 새 이름으로 다시 알립니다.",
    ]
