"""Home Assistant's discovery message against its documented rules.

The numbers are those of `discovery`, and of `discovery_components` where the test says so.
"""

from __future__ import annotations

import json
from typing import Any

import jinja2
import msgspec
import pytest

from edge_agent.alerts import default_rules
from edge_agent.messages.topics import Topics
from edge_agent.mqtt import discovery
from edge_agent.settings import Config, Device, Irrigation, Limits, Mqtt, Rule
from tests.fakes.home_assistant import faults

CONFIG = Config(irrigation=Irrigation(crop="tomato"))
TOPICS = Topics.of("farm", "edge-1")
RULES = default_rules.rules(CONFIG)


def _bytes(document: dict[str, Any] | None) -> bytes:
    return json.dumps(document).encode() if document else b""


def _build(
    config: Config = CONFIG,
    before: dict[str, Any] | None = None,
    rules: tuple[Rule, ...] = RULES,
) -> dict[str, Any]:
    made = discovery.message(config, TOPICS, rules, "1.2.3", _bytes(before))
    assert made is not None
    assert faults(made.topic, made.payload) == []
    document = json.loads(made.payload)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("language", ["ko", "en"])
def test_home_assistant_accepts_it(language: Any) -> None:  # noqa: ANN401 - a literal of the config
    """Rule 1: every rule of the discovery format holds, in both languages."""
    document = _build(msgspec.structs.replace(CONFIG, device=Device(language=language)))
    platforms = [c["platform"] for c in document["components"].values()]
    assert {"sensor", "binary_sensor", "event", "update", "button", "number"} == set(platforms)


def test_the_validator_finds_faults() -> None:
    """The rules above can fail: each kind of damage is found."""
    made = discovery.message(CONFIG, TOPICS, RULES, "1", b"")
    assert made is not None
    good = json.loads(made.payload)

    def broken(**change: object) -> list[str]:
        document = json.loads(made.payload)
        document["components"]["temperature_24h"] |= change
        return faults(made.topic, json.dumps(document).encode())

    assert broken(unit_of_measurement="C") == ["temperature_24h: unit of temperature"]
    assert broken(object_id="x") == ["temperature_24h: key object_id"]
    assert broken(availability=[{"value_template": "x"}]) == [
        "temperature_24h: availability without topic"
    ]
    assert broken(availability_mode="both") == ["temperature_24h: availability_mode"]
    assert broken(state_topic="~/x") == ["temperature_24h: topic with ~"]
    assert broken(entity_category="config") == ["temperature_24h: a sensor cannot be a setting"]
    assert broken(value_template="{{ value_json.x }}") == [
        "temperature_24h: value_template has logic"
    ]
    assert broken(unique_id=good["components"]["humidity_24h"]["unique_id"]) == [
        "temperature_24h: unique_id missing or doubled"
    ]
    assert faults("homeassistant/x/config", made.payload) == ["topic homeassistant/x/config"]


def test_every_rule_has_a_level_and_its_news() -> None:
    """A binary sensor with the values that the state really has, and an event entity."""
    components = _build()["components"]
    for rule in RULES:
        level, news = components[f"alert_{rule.name}"], components[f"event_{rule.name}"]
        assert (level["payload_on"], level["payload_off"]) == ("raised", "clear")
        assert level["state_topic"] == f"farm/v1/farm/edge-1/alert/{rule.name}/state"
        assert news["state_topic"] == f"farm/v1/farm/edge-1/alert/{rule.name}/event"
        assert news["event_types"] == ["raised", "updated", "cleared"]


LIVE = Rule(name="hothouse", quantity="air_temperature_c", operator=">", threshold=38.0, now=True)


def test_what_rests_on_the_forecast_needs_fresh_data() -> None:
    """Components 1: forecasts and their rules want agent and data, the rest the agent alone."""
    components = _build(rules=(*RULES, LIVE))["components"]
    there = "farm/v1/farm/edge-1/availability"
    both = [there, "farm/v1/farm/edge-1/fresh"]

    def wants(key: str) -> list[str]:
        assert components[key]["availability_mode"] == "all"
        return [item["topic"] for item in components[key]["availability"]]

    assert wants("temperature_24h") == wants("alert_heat") == wants("irrigation") == both
    for key in ("alert_hothouse", "data_age", "disk_free", "model", "event_heat", "button_predict"):
        assert wants(key) == [there]


@pytest.mark.parametrize(("valid_h", "expiry_s"), [(1, 4500), (3, 10_800), (48, 172_800)])
def test_a_value_that_comes_no_more_is_forgotten(valid_h: int, expiry_s: int) -> None:
    """Components 2: each value with its message, and never before the next hour's message."""
    config = msgspec.structs.replace(CONFIG, limits=Limits(forecast_valid_h=valid_h))
    components = _build(config, rules=(*RULES, LIVE))["components"]
    expiring = {key for key, c in components.items() if c.get("expire_after") == expiry_s}
    assert expiring == {
        key for key, c in components.items() if c["platform"] in {"sensor", "binary_sensor"}
    }
    assert {"alert_hothouse", "alert_heat", "temperature_24h", "irrigation", "data_age"} <= expiring


def test_an_empty_message_is_no_error() -> None:
    """Components 3: Jinja renders each template for a value, for null, and for a deletion."""
    components = _build(rules=(*RULES, LIVE))["components"]
    level = components["alert_hothouse"]["value_template"]
    assert _rendered(level, '{"level": "raised"}') == "raised"
    assert _rendered(level, '{"level": "unknown"}') == "None"
    assert _rendered(components["data_age"]["value_template"], '{"data_age_s": null}') == "None"
    model = components["model"]
    assert _rendered(model["value_template"], '{"release": 7}') == "7"
    assert _rendered(model["value_template"], '{"release": null}') == ""
    for key, component in components.items():
        for name, template in component.items():
            if name.endswith("_template") and name != "command_template":
                empty = {"json_attributes_template": "{}"}.get(name, "None")
                assert _rendered(template, "") == ("" if key == "model" else empty), (key, name)
    fresh = components["alert_heat"]["availability"][1]["value_template"]
    assert (_rendered(fresh, '{"state": "online"}'), _rendered(fresh, "")) == ("online", "offline")


def _rendered(template: str, payload: str) -> str:
    """As Home Assistant renders a template: `value_json` is there where the payload is JSON."""
    known: dict[str, Any] = {"value": payload}
    if payload:
        known["value_json"] = json.loads(payload)
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(template).render(known)


def test_a_sensor_says_all_that_zigbee2mqtts_does() -> None:
    """Keys of a humidity sensor as Zigbee2MQTT 1.33.2 announced it (domoticz issue 6025)."""
    recorded = {
        "availability", "availability_mode", "device", "device_class", "enabled_by_default",
        "json_attributes_topic", "object_id", "origin", "state_class", "state_topic",
        "unique_id", "unit_of_measurement", "value_template",
    }  # fmt: skip
    document = _build()
    ours = set(document["components"]["humidity_24h"]) | {"device", "origin"}
    # True is the default of the one; the other gave way to default_entity_id.
    assert recorded - ours == {"enabled_by_default", "object_id"}
    device = {"identifiers", "manufacturer", "model", "name", "sw_version"}
    assert device <= set(document["device"])


def test_ids_stay_whatever_else_changes() -> None:
    """Rule 2: name and language change no id."""
    other = msgspec.structs.replace(CONFIG, device=Device(language="en", name="Glasshouse"))
    one = {key: c["unique_id"] for key, c in _build()["components"].items()}
    two = {key: c["unique_id"] for key, c in _build(other)["components"].items()}
    assert one == two
    assert len(set(one.values())) == len(one)


def test_what_is_gone_is_removed_once() -> None:
    """Rule 3: an orphan is named with its platform only, and not again after that."""
    before = _build()
    before["components"]["alert_old"] = {"platform": "binary_sensor", "unique_id": "x"}
    after = _build(before=before)
    assert after["components"]["alert_old"] == {"platform": "binary_sensor"}
    assert "alert_old" not in _build(before=after)["components"]


def test_without_discovery_the_device_is_removed() -> None:
    """Rule 3: an empty retained message, only where something was announced."""
    config = msgspec.structs.replace(CONFIG, mqtt=Mqtt(discovery=False))
    assert discovery.message(config, TOPICS, RULES, "1", b"") is None
    gone = discovery.message(config, TOPICS, RULES, "1", _bytes(_build()))
    assert gone is not None
    assert (gone.payload, gone.retain) == (b"", True)


def test_an_unchanged_description_is_not_said_again() -> None:
    """Rule 4: the same twice is nothing; one that comes back after another is news."""
    first = discovery.message(CONFIG, TOPICS, RULES, "1", b"")
    assert first is not None
    assert discovery.message(CONFIG, TOPICS, RULES, "1", first.payload) is None
    other = discovery.message(CONFIG, TOPICS, RULES, "2", first.payload)
    assert other is not None
    back = discovery.message(CONFIG, TOPICS, RULES, "1", other.payload)
    assert back is not None
    assert back.payload == first.payload
    assert len({first.id, other.id, back.id}) == 3
