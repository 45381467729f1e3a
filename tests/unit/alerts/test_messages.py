"""Payloads: valid by their published schemas, stable in their ids."""

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
from edge_agent.alerts import messages
from edge_agent.alerts.evidence import Evidence
from edge_agent.alerts.state_machine import Edge, Latch, Level
from edge_agent.contract import schema
from edge_agent.contract.forecast import PointForecast, Source
from edge_agent.core.agent_facts import release_facts
from edge_agent.messages import backfill, payloads, status
from edge_agent.messages.json_schemas import json_schema
from edge_agent.messages.message import Kind, Message
from edge_agent.messages.payloads import HeldBack
from edge_agent.observations import export
from edge_agent.settings import Device
from edge_agent.updates.slots import RolledBackRelease
from tests.fakes.alert_messages import ADVICE, MET, RULE, body, verdict
from tests.fakes.forecasts import NOW, forecast
from tests.fakes.loaded import manifest
from tests.fakes.message_context import CONTEXT
from tests.fakes.tuned import tuning_of

if TYPE_CHECKING:
    from edge_agent.messages.envelope import MessageContext

DOCS = Path(__file__).parents[3] / "docs" / "mqtt"
RELEASE = manifest()
TUNING = tuning_of(RELEASE)
BEFORE = NOW - timedelta(hours=2)
EARLIER = forecast([20.0, None], now=BEFORE)
OWN = pl.DataFrame(
    {
        schema.TIME: [NOW, NOW + timedelta(hours=2)],
        schema.AIR_TEMPERATURE: [20.5, 19.25],
        schema.RAIN: [None, 0.2],
    },
    schema_overrides={schema.TIME: schema.TIME_DTYPE},
)


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


def test_the_sums_of_the_advice_close() -> None:
    """Depletion = start + demand - rain - given + drained + corrected, rounded as it is."""
    sums = body(messages.advice_message(CONTEXT, "tomato", ADVICE))["balance"]
    assert sums["start_mm"] + sums["demand_mm"] - sums["rain_mm"] - sums["given_mm"] + sums[
        "drained_mm"
    ] + sums["corrected_mm"] == pytest.approx(sums["depletion_mm"], abs=0.05)
    assert (sums["since"], sums["start_assumed"]) == ("2026-06-19T05:00:00Z", True)


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
