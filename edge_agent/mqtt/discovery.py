"""Home Assistant's device discovery: one retained message that describes the whole farm device.

Rules (tests name the numbers):

1. One message per device, on `<prefix>/device/<object id>/config`, topics written in full.
2. Ids never change: they are made of site, device and the rule's or quantity's name.
3. A component that was announced before and is gone is named with its platform only, which
   removes it. Without discovery the empty message removes the device.
4. Values of now are available only while the agent is there and rests on fresh data; what tells
   of the agent itself, and the buttons, as long as the agent is there.
5. Where nothing has changed since the last delivery nothing is said.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.contract import schema
from edge_agent.messages.message import Kind, Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.messages.topics import Topics
    from edge_agent.settings import Config, Rule

COLLAPSE: Final = "discovery"
PROJECT: Final = "farm-edge"
_LEAD: Final = 23
"""Place of the 24th hour in `hours`."""
_WORDS: Final = {
    "ko": {
        "temperature_24h": "24시간 뒤 기온",
        "humidity_24h": "24시간 뒤 습도",
        "irrigation": "관수 필요량",
        "data_age": "자료 나이",
        "disk_free": "남은 저장 공간",
        "model": "예보 모델",
        "alert": "경보",
        "news": "경보 소식",
        "predict": "지금 예보",
        "sync": "지금 갱신",
        "republish": "다시 보내기",
    },
    "en": {
        "temperature_24h": "Temperature in 24 h",
        "humidity_24h": "Humidity in 24 h",
        "irrigation": "Watering need",
        "data_age": "Age of data",
        "disk_free": "Free disk",
        "model": "Forecast model",
        "alert": "Alert",
        "news": "Alert news",
        "predict": "Forecast now",
        "sync": "Update now",
        "republish": "Say again",
    },
}
_ITS_OWN: Final = {"button", "update", "event"}
"""Platforms that say nothing of the weather now."""
_BUTTONS: Final = ("predict", "sync", "republish")


def topic_of(config: Config) -> str:
    """Topic of the device's discovery message."""
    return f"{config.mqtt.discovery_prefix}/device/{_object_id(config)}/config"


def birth_topic(config: Config) -> str:
    """Where Home Assistant says that it has started."""
    return f"{config.mqtt.discovery_prefix}/status"


def message(
    config: Config,
    topics: Topics,
    rules: Sequence[Rule],
    version: str,
    before: bytes,
) -> Message | None:
    """The discovery message; None where the last one still says it all.

    Args:
        config: `[device]` and `[mqtt]` are read.
        topics: Topics of this device.
        rules: The rules that stand.
        version: Of this agent.
        before: Payload of the last one that was delivered; empty where there was none.
    """
    payload = b""
    if config.mqtt.discovery:
        document = _document(config, topics, rules, version)
        announced = msgspec.json.decode(before, type=_Announced) if before else _Announced()
        for key, component in announced.components.items():
            if key not in document["components"] and len(component) > 1:
                document["components"][key] = {"platform": component["platform"]}
        payload = msgspec.json.encode(document, order="deterministic")
    if payload == before:
        return None
    # With what it follows: a description that comes back later is news again.
    digest = hashlib.sha256(before + b"\0" + payload).hexdigest()[:16]
    return Message(
        f"discovery-{digest}",
        topic_of(config),
        payload,
        Kind.STATE,
        retain=True,
        collapse=COLLAPSE,
    )


class _Announced(msgspec.Struct):
    components: dict[str, dict[str, Any]] = {}


def _document(
    config: Config, topics: Topics, rules: Sequence[Rule], version: str
) -> dict[str, Any]:
    device, words = config.device, _WORDS[config.device.language]
    components: dict[str, dict[str, Any]] = {}
    there = {"topic": topics.availability}
    fresh = {"topic": topics.fresh, "value_template": "{{ value_json['state'] }}"}

    def add(key: str, platform: str, name: str, **more: object) -> None:
        unique = f"{_object_id(config)}_{key}"
        components[key] = {
            "platform": platform,
            "unique_id": unique,
            "default_entity_id": f"{platform}.{unique.replace('-', '_')}",
            "name": name,
            "qos": 1,
            "availability": [there] if platform in _ITS_OWN or _own(more) else [there, fresh],
            "availability_mode": "all",
            **more,
        }

    for key, target, unit, kind in (
        ("temperature_24h", "temperature", "°C", "temperature"),
        ("humidity_24h", "humidity", "%", "humidity"),
    ):
        add(
            key,
            "sensor",
            words[key],
            state_topic=topics.forecast(target),
            value_template=f"{{{{ value_json['hours'][{_LEAD}]['value'] }}}}",
            json_attributes_topic=topics.forecast(target),
            unit_of_measurement=unit,
            device_class=kind,
            state_class="measurement",
            suggested_display_precision=1,
        )
    if config.irrigation.crop:
        add(
            "irrigation",
            "sensor",
            words["irrigation"],
            state_topic=topics.irrigation,
            value_template="{{ value_json['need_mm'] }}",
            json_attributes_topic=topics.irrigation,
            unit_of_measurement="mm",
            icon="mdi:watering-can",
        )
    _add_own(add, topics, words)
    for rule in rules:
        _add_rule(add, topics, rule, words)
    for name in _BUTTONS:
        if name in config.mqtt.commands:
            add(
                f"button_{name}",
                "button",
                words[name],
                command_topic=topics.command(name),
                payload_press="{}",
                entity_category="config",
            )
    return {
        "device": {
            "identifiers": [_object_id(config)],
            "name": device.name or f"{device.site} {device.id}",
            "manufacturer": PROJECT,
            "model": "edge agent",
            "sw_version": version,
        },
        "origin": {"name": PROJECT, "sw_version": version},
        "components": components,
    }


def _add_own(add: Any, topics: Topics, words: Mapping[str, str]) -> None:  # noqa: ANN401 - a closure with free keywords
    add(
        "data_age",
        "sensor",
        words["data_age"],
        state_topic=topics.health,
        value_template="{{ value_json['data_age_s'] }}",
        json_attributes_topic=topics.health,
        unit_of_measurement="s",
        device_class="duration",
        entity_category="diagnostic",
    )
    add(
        "disk_free",
        "sensor",
        words["disk_free"],
        state_topic=topics.health,
        value_template="{{ value_json['disk_free_bytes'] }}",
        unit_of_measurement="B",
        device_class="data_size",
        entity_category="diagnostic",
    )
    add(
        "model",
        "update",
        words["model"],
        state_topic=topics.model,
        value_template="{{ value_json['release'] }}",
        latest_version_topic=topics.model,
        latest_version_template="{{ value_json['release'] }}",
        entity_category="diagnostic",
    )


def _add_rule(add: Any, topics: Topics, rule: Rule, words: Mapping[str, str]) -> None:  # noqa: ANN401 - a closure with free keywords
    add(
        f"alert_{rule.name}",
        "binary_sensor",
        f"{words['alert']} {rule.name}",
        state_topic=topics.alert_state(rule.name),
        value_template="{{ value_json['level'] }}",
        payload_on="raised",
        payload_off="clear",
        json_attributes_topic=topics.alert_state(rule.name),
        device_class=_device_class(rule),
    )
    add(
        f"event_{rule.name}",
        "event",
        f"{words['news']} {rule.name}",
        state_topic=topics.alert_event(rule.name),
        event_types=["raised", "updated", "cleared"],
    )


def _own(component: Mapping[str, object]) -> bool:
    return component.get("entity_category") == "diagnostic"


def _device_class(rule: Rule) -> str:
    if rule.quantity == schema.AIR_TEMPERATURE:
        return "heat" if rule.operator in {">", ">="} else "cold"
    return "problem"


def _object_id(config: Config) -> str:
    return f"{PROJECT}-{config.device.site}-{config.device.id}"
