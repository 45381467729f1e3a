"""Payloads: valid by their published schemas, stable in their ids, clear in their texts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.agronomy.derived import quantities_of
from edge_agent.agronomy.irrigation import Advice
from edge_agent.agronomy.soil_water import SoilWater
from edge_agent.alerts import conditions, messages
from edge_agent.alerts import texts as alert_texts
from edge_agent.alerts.evaluation import RuleDecision
from edge_agent.alerts.evidence import Evidence
from edge_agent.alerts.state_machine import Edge, Latch, Level
from edge_agent.contract import schema
from edge_agent.contract.forecast import PointForecast, Source
from edge_agent.contract.numbers import plain, rounded
from edge_agent.core.agent_facts import release_facts
from edge_agent.messages import backfill, payloads, status
from edge_agent.messages.json_schemas import json_schema
from edge_agent.messages.locale import Locale
from edge_agent.messages.message import Kind, Message
from edge_agent.messages.payloads import HeldBack
from edge_agent.observations import export
from edge_agent.settings import Action, Device, Rule
from edge_agent.updates.slots import RolledBackRelease
from tests.fakes.forecasts import NOW, forecast
from tests.fakes.loaded import manifest
from tests.fakes.message_context import CONTEXT, SEOUL
from tests.fakes.tuned import tuning_of

if TYPE_CHECKING:
    from edge_agent.messages.envelope import MessageContext

DOCS = Path(__file__).parents[3] / "docs" / "mqtt"
RELEASE = manifest()
TUNING = tuning_of(RELEASE)
BEFORE = NOW - timedelta(hours=2)
EARLIER = forecast([20.0, None], now=BEFORE)
RULE = Rule(
    name="heat",
    quantity=schema.AIR_TEMPERATURE,
    operator=">=",
    threshold=30.0,
    probability=0.4,
    clear=29.0,
    action=Action(command="vent_open", value=50.0),
)
MET = Evidence(
    met=True,
    over=False,
    probability=0.6243,
    value=31.23,
    value_at=NOW + timedelta(hours=25),
    hour=NOW + timedelta(hours=24),
)

ADVICE = Advice(
    need_mm=6.84,
    volume_l=6840.2,
    start=NOW + timedelta(hours=15),
    end=NOW + timedelta(hours=18),
    water=SoilWater(
        since=NOW - timedelta(days=12),
        start_mm=0.0,
        start_assumed=True,
        through=NOW,
        depletion_mm=30.12,
        demand_mm=41.234,
        rain_mm=11.5,
        drained_mm=0.386,
    ),
    readily_mm=33.5,
    demand_mm=5.5,
    measured=False,
    rain_mm=None,
)

OWN = pl.DataFrame(
    {
        schema.TIME: [NOW, NOW + timedelta(hours=2)],
        schema.AIR_TEMPERATURE: [20.5, 19.25],
        schema.RAIN: [None, 0.2],
    },
    schema_overrides={schema.TIME: schema.TIME_DTYPE},
)


def verdict(edge: Edge) -> RuleDecision:
    """A met rule's edge; an end after five hours."""
    return RuleDecision(MET, Latch(rule="heat"), edge, timedelta(hours=5))


def body(made: Message) -> dict[str, Any]:
    """Payload as plain values."""
    document = json.loads(made.payload)
    assert isinstance(document, dict)
    return document


def of_every_quantity() -> list[Message]:
    """Messages of targets, of what follows from them, and of a single value of KMA's."""
    wind = PointForecast("m/s", np.array([3.456, np.nan]), Source.GUIDANCE)
    known = replace(forecast([20.0, None]), points={schema.WIND_SPEED: wind})
    return status.forecast_messages(CONTEXT, known, quantities_of(known))


def every_message() -> list[tuple[str, Message]]:
    """One of each, with everything known and with nothing known."""
    latch = Latch(rule="heat", level=Level.RAISED, since=NOW, last_rule=RULE)
    facts: dict[str, Any] = {
        "forecast_source": None,
        "forecast_reason": "no observation",
        "data_age_s": None,
        "disk_free_bytes": 10,
        "outbox": {"alert": 1},
        "alerts_raised": ("heat",),
        "held_back": {"heat": HeldBack(why="snooze", until=NOW)},
        "rules_unknown": (),
        "advice_reason": None,
        "problems": ("no observation",),
    }
    past = backfill.message_of(CONTEXT, schema.AIR_TEMPERATURE, BEFORE, [EARLIER])
    assert past is not None
    return [
        ("backfill", past),
        *(("forecast", m) for m in of_every_quantity()),
        ("alert-state", messages.state_message(CONTEXT, RULE, latch, MET)),
        ("alert-state", messages.state_message(CONTEXT, RULE, Latch(rule="heat"), Evidence())),
        *(("alert-event", messages.event_message(CONTEXT, RULE, verdict(edge))) for edge in Edge),
        ("alert-event", messages.retired_message(CONTEXT, latch)),
        ("advice", messages.advice_message(CONTEXT, "tomato", ADVICE)),
        ("model", status.model_message(CONTEXT, release_facts(None, None, None), "0.1.0")),
        (
            "model",
            status.model_message(
                CONTEXT,
                release_facts(RELEASE, TUNING, RolledBackRelease(6, "ab", "it left")),
                "0.1.0",
            ),
        ),
        ("health", status.health_message(CONTEXT, facts, CONTEXT.now)),
        ("fresh", status.fresh_message(CONTEXT, NOW, timedelta(hours=6))),
        ("fresh", status.fresh_message(CONTEXT, None, timedelta(hours=6))),
        ("history", status.history_message(CONTEXT, export.identity(Device()), OWN)),
    ]


def test_the_release_is_told_with_what_is_the_farms_own() -> None:
    """Targets that are corrected, newest hour of the history, the gate's figures; else null."""
    release = release_facts(RELEASE, TUNING, None)
    told = body(status.model_message(CONTEXT, release, "0.1.0"))["tuned"]
    assert told == {
        "targets": ["air_temperature_c", "relative_humidity_pct"],
        "trained_to": "2026-05-31T23:00:00Z",
        "scores": TUNING.scores,
    }
    release = release_facts(RELEASE, None, None)
    assert body(status.model_message(CONTEXT, release, "0.1.0"))["tuned"] is None


@pytest.mark.parametrize("kind", payloads.SCHEMAS)
def test_schema_files_are_current(kind: str) -> None:
    """docs/mqtt is what the structs say; when not: python docs/mqtt/generate.py."""
    assert (DOCS / f"{kind}.schema.json").read_bytes() == json_schema(kind)


@pytest.mark.parametrize(("kind", "made"), every_message())
def test_payload_is_valid_by_its_schema(kind: str, made: Message) -> None:
    """A controller that validates accepts everything that is sent."""
    published = json.loads((DOCS / f"{kind}.schema.json").read_bytes())
    checker = jsonschema.Draft202012Validator(
        published, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    checker.validate(body(made))
    assert made.id == body(made)["id"]
    release = body(made)["model_release"]
    headers = {"schema": body(made)["schema"]} | ({"release": str(release)} if release else {})
    assert dict(made.headers) == headers
    assert made.expires_at is not None
    assert made.expires_at == datetime.fromisoformat(body(made)["valid_until"])


@pytest.mark.parametrize(
    ("age_s", "state"), [(0, "online"), (21_600, "online"), (21_601, "offline"), (None, "offline")]
)
def test_fresh_says_what_the_data_are(age_s: int | None, state: str) -> None:
    """`online` up to the oldest age that is allowed, `offline` beyond and without data."""
    origin = None if age_s is None else CONTEXT.now - timedelta(seconds=age_s)
    made = status.fresh_message(CONTEXT, origin, timedelta(hours=6))
    assert (body(made)["state"], made.retain) == (state, True)


def test_history_is_columns_of_the_hours() -> None:
    """One value an hour from `start`, nulls between; telemetry that is retained for a month."""
    made = status.history_message(CONTEXT, export.identity(Device()), OWN)
    told = body(made)
    assert (told["start"], told["step_s"]) == ("2026-07-01T05:00:00Z", 3600)
    assert told["values"] == {
        schema.AIR_TEMPERATURE: [20.5, None, 19.25],
        schema.RAIN: [None, None, 0.2],
    }
    assert (told["source"], told["model_release"]) == ("sensor:outdoor", None)
    assert (made.kind, made.retain, made.collapse) == (Kind.TELEMETRY, True, made.topic)
    assert made.expires_at == CONTEXT.now.replace(microsecond=0) + timedelta(days=30)


def test_documented_alert_is_valid() -> None:
    """The example in docs/mqtt.md is what the schema allows."""
    text = (DOCS.parent / "mqtt.md").read_text("utf-8")
    example = json.loads(text.partition("```json\n")[2].partition("```")[0])
    published = json.loads((DOCS / "alert-event.schema.json").read_bytes())
    jsonschema.validate(example, published)


def test_schema_refuses_a_payload_that_lacks_a_key() -> None:
    """The published schema is strict, not decoration."""
    made = body(messages.event_message(CONTEXT, RULE, verdict(Edge.RAISED)))
    del made["valid_until"]
    published = json.loads((DOCS / "alert-event.schema.json").read_bytes())
    assert not jsonschema.Draft202012Validator(published).is_valid(made)


@pytest.mark.parametrize(
    ("quantity", "source", "reading"),
    [
        (
            schema.AIR_TEMPERATURE,
            "",
            "indoor reading of now (median of the newest three, else the newest)",
        ),
        (schema.RAIN, "", "indoor sum of the last 60 min"),
        (schema.WIND_FROM_DIRECTION, "", "newest indoor reading"),
        (schema.AIR_TEMPERATURE, "station:108", "newest hour of station:108"),
    ],
)
def test_reason_of_a_live_rule_says_what_its_value_is(
    quantity: str, source: str, reading: str
) -> None:
    """An operator who looks for the value in a log knows what to look for."""
    rule = msgspec.structs.replace(RULE, now=True, role="indoor", quantity=quantity)
    decision = replace(verdict(Edge.RAISED), evidence=replace(MET, source=source))
    made = body(messages.event_message(CONTEXT, rule, decision))
    assert made["reason"] == f"{quantity} >= 30: {reading} is 31.23"


def test_alert_event_says_what_a_farmer_needs() -> None:
    """Rule, reason, value, chance, first hour, inputs with age, release, validity, action."""
    made = messages.event_message(CONTEXT, RULE, verdict(Edge.RAISED))
    said = body(made)
    assert made.topic == "farm/v1/farm/edge-1/alert/heat/event"
    assert (made.kind, made.retain) == (Kind.ALERT, False)
    assert said["text"] == (
        "[주의] 고온: 내일(2일) 오후 2시쯤부터 기온 30°C 이상일 가능성 62%, "
        "오후 3시쯤 최고 31.2°C 예상."
    )
    assert said["reason"] == (
        "P(air_temperature_c >= 30) within 24 h is 0.62, limit 0.4; first at 2026-07-02T05:00Z"
    )
    assert (said["value"], said["probability"]) == (31.23, 0.62)
    assert said["value_at"] == "2026-07-02T06:00:00Z"
    assert said["first_hour"] == "2026-07-02T05:00:00Z"
    assert said["inputs"] == [
        {"name": "air_temperature_c", "at": "2026-07-01T05:00:00Z", "age_s": 187}
    ]
    assert said["model_release"] == 7
    assert said["issued_at"] == "2026-07-01T05:03:07Z"
    assert said["valid_until"] == "2026-07-02T05:03:07Z"
    assert said["action"] == {
        "command": "vent_open",
        "value": 50.0,
        "expires_at": "2026-07-01T06:03:07Z",
        "max_run_s": 900,
    }


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


def test_the_sums_of_the_advice_close() -> None:
    """Depletion = start + demand - rain - given + drained + corrected, rounded as it is."""
    sums = body(messages.advice_message(CONTEXT, "tomato", ADVICE))["balance"]
    assert sums["start_mm"] + sums["demand_mm"] - sums["rain_mm"] - sums["given_mm"] + sums[
        "drained_mm"
    ] + sums["corrected_mm"] == pytest.approx(sums["depletion_mm"], abs=0.05)
    assert (sums["since"], sums["start_assumed"]) == ("2026-06-19T05:00:00Z", True)


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


def test_action_only_with_the_raise() -> None:
    """An update or an end orders nothing."""
    for edge in (Edge.UPDATED, Edge.CLEARED):
        assert body(messages.event_message(CONTEXT, RULE, verdict(edge)))["action"] is None


def test_a_drill_is_marked_and_orders_nothing() -> None:
    """The whole chain carries it, and no controller has anything to do."""
    assert RULE.action is not None
    said = body(messages.event_message(CONTEXT, RULE, verdict(Edge.RAISED), drill=True))
    assert (said["drill"], said["action"]) == (True, None)
    assert said["text"].startswith("[훈련] 실제 상황이 아닙니다. [")
    assert body(messages.event_message(CONTEXT, RULE, verdict(Edge.RAISED)))["drill"] is False


def test_same_hour_gives_the_same_ids() -> None:
    """A second run within the hour adds nothing; the next hour does."""
    later = replace(CONTEXT, now=CONTEXT.now + timedelta(minutes=20))
    next_hour = replace(CONTEXT, now=CONTEXT.now + timedelta(hours=1))
    weather = forecast([20.0, 21.0])

    def ids(context: MessageContext, celsius: float = 20.0) -> list[str]:
        made = status.forecast_messages(context, weather, dict(weather.targets))
        state = messages.state_message(
            context, RULE, Latch(rule="heat"), replace(MET, value=celsius)
        )
        return [m.id for m in (*made, state)]

    assert ids(CONTEXT) == ids(later)
    assert not set(ids(CONTEXT)) & set(ids(next_hour))
    assert ids(CONTEXT)[-1] != ids(CONTEXT, 21.0)[-1], "another content is another message"


def test_missing_hour_is_null_not_zero() -> None:
    """A forecast hour without a number says so."""
    made = of_every_quantity()
    hours = body(made[0])["hours"]
    assert (hours[0]["value"], hours[0]["p10"], hours[0]["p90"]) == (20.0, 17.6, 22.4)
    assert (hours[1]["value"], hours[1]["p10"], hours[1]["p90"]) == (None, None, None)


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


def test_each_quantity_has_a_topic_and_names_what_made_it() -> None:
    """KMA's values have no interval and no release; derived ones follow the temperature."""
    made = {message.topic.rpartition("/")[2]: body(message) for message in of_every_quantity()}
    assert made.keys() == {
        "temperature", "humidity", "wind_speed", "dew_point", "vpd", "wet_bulb",
    }  # fmt: skip
    wind = made["wind_speed"]
    assert (wind["source"], wind["model_release"], wind["unit"]) == ("guidance", None, "m/s")
    assert wind["sources"] == ["guidance", "guidance"]
    hours = [(hour["value"], hour["p10"], hour["p90"]) for hour in wind["hours"]]
    assert hours == [(3.46, None, None), (None, None, None)]
    dew = made["dew_point"]
    assert (dew["source"], dew["sources"]) == ("model", ["model", "model"])
    (first, second) = dew["hours"]
    assert first["p10"] < first["value"] == 12.0 < first["p90"]
    assert (second["value"], second["p10"], second["p90"]) == (None, None, None)
