"""Home Assistant's device discovery: one retained message that describes the whole farm device.

Rules (tests name the numbers):

1. One message per device, on `<prefix>/device/<object id>/config`, topics written in full.
2. Ids never change: they are made of site, device and the rule's or quantity's name.
3. A component that was announced before and is gone is named with its platform only, which
   removes it. Without discovery the empty message removes the device.
4. Values of the weather are available while the agent is online and its data are fresh; values of
   the agent itself, and the buttons, as long as it is online.
5. Nothing is published where nothing has changed since the last delivery.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.contract import schema
from edge_agent.messages.message import Kind, Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.messages.topics import Topics
    from edge_agent.settings import Config, Rule

COLLAPSE: Final = "discovery"
PROJECT: Final = "farm-edge"
_LEAD: Final = 23
"""Place of the 24th hour in `hours`."""
_NAMES: Final = {
    "ko": {
        "in_24h": "24시간 뒤 {}",
        "irrigation": "관수 필요량",
        "irrigated": "물 준 양",
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
        "in_24h": "{} in 24 h",
        "irrigation": "Watering need",
        "irrigated": "Water given",
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
_OF_AGENT: Final = {"button", "number", "update", "event"}
"""Platforms that show nothing of the weather now."""
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
    """The discovery message; None where the last one still holds.

    Args:
        config: `[device]` and `[mqtt]` are read.
        topics: Topics of this device.
        rules: Those in force.
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
    # The one before is part of the id: a description that comes back later is a new message.
    content = b"\0".join((topic_of(config).encode(), before, payload))
    digest = hashlib.sha256(content).hexdigest()[:16]
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


class _Components:
    """Components of the device by key, as they are added."""

    def __init__(self, config: Config, topics: Topics) -> None:
        self.topics = topics
        self.language = config.device.language
        self.names = _NAMES[self.language]
        self.by_key: dict[str, dict[str, Any]] = {}
        self._object_id = _object_id(config)
        self._online = {"topic": topics.availability}
        self._fresh = {"topic": topics.fresh, "value_template": "{{ value_json['state'] }}"}

    def add(self, key: str, platform: str, name: str, **fields: object) -> None:
        """Add one component; `fields` are Home Assistant's."""
        unique = f"{self._object_id}_{key}"
        of_agent = platform in _OF_AGENT or fields.get("entity_category") == "diagnostic"
        self.by_key[key] = {
            "platform": platform,
            "unique_id": unique,
            "default_entity_id": f"{platform}.{unique.replace('-', '_')}",
            "name": name,
            "qos": 1,
            "availability": [self._online] if of_agent else [self._online, self._fresh],
            "availability_mode": "all",
            **fields,
        }


def _document(
    config: Config, topics: Topics, rules: Sequence[Rule], version: str
) -> dict[str, Any]:
    device = config.device
    components = _Components(config, topics)
    _add_forecasts(components)
    if config.irrigation.crop:
        _add_irrigation(components)
        if "irrigated" in config.mqtt.commands:
            _add_irrigated(components)
    _add_diagnostics(components)
    for rule in rules:
        _add_rule(components, rule)
    for name in _BUTTONS:
        if name in config.mqtt.commands:
            _add_button(components, name)
    return {
        "device": {
            "identifiers": [_object_id(config)],
            "name": device.name or f"{device.site} {device.id}",
            "manufacturer": PROJECT,
            "model": "edge agent",
            "sw_version": version,
        },
        "origin": {"name": PROJECT, "sw_version": version},
        "components": components.by_key,
    }


def _add_forecasts(components: _Components) -> None:
    for quantity in (schema.QUANTITIES[target] for target in schema.TARGETS):
        topic = components.topics.forecast(quantity.short_name)
        kind = {"device_class": quantity.device_class} if quantity.device_class else {}
        components.add(
            f"{quantity.short_name}_24h",
            "sensor",
            components.names["in_24h"].format(quantity.label(components.language).short),
            state_topic=topic,
            value_template=f"{{{{ value_json['hours'][{_LEAD}]['value'] }}}}",
            json_attributes_topic=topic,
            unit_of_measurement=quantity.unit,
            state_class="measurement",
            suggested_display_precision=1,
            **kind,
        )


def _add_irrigation(components: _Components) -> None:
    topic = components.topics.irrigation
    components.add(
        "irrigation",
        "sensor",
        components.names["irrigation"],
        state_topic=topic,
        value_template="{{ value_json['need_mm'] }}",
        json_attributes_topic=topic,
        unit_of_measurement="mm",
        icon="mdi:watering-can",
    )


def _add_irrigated(components: _Components) -> None:
    components.add(
        "irrigated",
        "number",
        components.names["irrigated"],
        command_topic=components.topics.command("irrigated"),
        command_template='{"mm": {{ value }}}',
        min=0.5,
        max=100,
        step=0.5,
        mode="box",
        unit_of_measurement="mm",
        icon="mdi:water-check",
    )


def _add_diagnostics(components: _Components) -> None:
    topics, names = components.topics, components.names
    components.add(
        "data_age",
        "sensor",
        names["data_age"],
        state_topic=topics.health,
        value_template="{{ value_json['data_age_s'] }}",
        json_attributes_topic=topics.health,
        unit_of_measurement="s",
        device_class="duration",
        entity_category="diagnostic",
    )
    components.add(
        "disk_free",
        "sensor",
        names["disk_free"],
        state_topic=topics.health,
        value_template="{{ value_json['disk_free_bytes'] }}",
        unit_of_measurement="B",
        device_class="data_size",
        entity_category="diagnostic",
    )
    components.add(
        "model",
        "update",
        names["model"],
        state_topic=topics.model,
        value_template="{{ value_json['release'] }}",
        latest_version_topic=topics.model,
        latest_version_template="{{ value_json['release'] }}",
        entity_category="diagnostic",
    )


def _add_rule(components: _Components, rule: Rule) -> None:
    topics, names = components.topics, components.names
    components.add(
        f"alert_{rule.name}",
        "binary_sensor",
        f"{names['alert']} {rule.name}",
        state_topic=topics.alert_state(rule.name),
        value_template="{{ 'None' if value_json['level'] == 'unknown' else value_json['level'] }}",
        payload_on="raised",
        payload_off="clear",
        json_attributes_topic=topics.alert_state(rule.name),
        device_class=_device_class(rule),
    )
    components.add(
        f"event_{rule.name}",
        "event",
        f"{names['news']} {rule.name}",
        state_topic=topics.alert_event(rule.name),
        event_types=["raised", "updated", "cleared"],
    )


def _add_button(components: _Components, command: str) -> None:
    components.add(
        f"button_{command}",
        "button",
        components.names[command],
        command_topic=components.topics.command(command),
        payload_press="{}",
        entity_category="config",
    )


def _device_class(rule: Rule) -> str:
    if rule.quantity == schema.AIR_TEMPERATURE:
        return "heat" if rule.operator in {">", ">="} else "cold"
    return "problem"


def _object_id(config: Config) -> str:
    return f"{PROJECT}-{config.device.site}-{config.device.id}"
