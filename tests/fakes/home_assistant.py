"""What Home Assistant accepts of a device discovery message, from its documented rules."""

from __future__ import annotations

import json
import re
from typing import Any

_SHARED = {
    "platform", "unique_id", "default_entity_id", "name", "qos", "icon", "entity_category",
    "json_attributes_topic", "json_attributes_template", "enabled_by_default", "encoding",
    "availability", "availability_mode", "availability_topic",
}  # fmt: skip
_OWN = {
    "sensor": {
        "state_topic", "value_template", "unit_of_measurement", "device_class", "state_class",
        "suggested_display_precision", "expire_after", "options", "force_update",
    },
    "binary_sensor": {
        "state_topic", "value_template", "payload_on", "payload_off", "device_class",
        "expire_after", "off_delay",
    },
    "event": {"state_topic", "value_template", "event_types", "device_class"},
    "button": {"command_topic", "command_template", "payload_press", "retain", "device_class"},
    "number": {
        "command_topic", "command_template", "state_topic", "value_template", "min", "max", "step",
        "mode", "unit_of_measurement", "device_class", "optimistic", "retain",
    },
    "update": {
        "state_topic", "value_template", "latest_version_topic", "latest_version_template",
        "command_topic", "payload_install", "title", "release_url", "release_summary",
        "device_class", "display_precision",
    },
}  # fmt: skip
_NEEDS = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "event": {"state_topic", "event_types"},
    "button": {"command_topic"},
    "number": {"command_topic"},
    "update": set(),
}
_UNITS = {
    "temperature": {"°C", "°F", "K"},
    "humidity": {"%"},
    "duration": {"d", "h", "min", "s", "ms"},
    "data_size": {"B", "kB", "MB", "GB"},
}
_BINARY_CLASSES = {"cold", "heat", "moisture", "problem", "connectivity", "safety"}
_DEVICE = {
    "identifiers", "connections", "name", "manufacturer", "model", "model_id", "sw_version",
    "hw_version", "serial_number", "suggested_area", "configuration_url", "via_device",
}  # fmt: skip
_ORIGIN = {"name", "sw_version", "support_url"}
_ROOT = {
    "device", "origin", "components", "availability", "availability_mode", "state_topic",
    "command_topic", "qos", "encoding",
}  # fmt: skip
_TOPIC = re.compile(r"[^+#\x00]+/device/(?:[A-Za-z0-9_-]+/)?[A-Za-z0-9_-]+/config")


def faults(topic: str, payload: bytes) -> list[str]:
    """Every rule that a device discovery message breaks; empty is accepted."""
    found = [] if _TOPIC.fullmatch(topic) else [f"topic {topic}"]
    if not payload:
        return found
    document: dict[str, Any] = json.loads(payload)
    found += [f"root: {key}" for key in set(document) - _ROOT]
    device, origin = document.get("device", {}), document.get("origin", {})
    if not (device.get("identifiers") or device.get("connections")):
        found.append("device without identifiers")
    found += [f"device: {key}" for key in set(device) - _DEVICE]
    if not origin.get("name"):
        found.append("origin without name")
    found += [f"origin: {key}" for key in set(origin) - _ORIGIN]
    found += _availability(document)
    seen: set[str] = set()
    for key, component in document.get("components", {}).items():
        found += [f"{key}: {fault}" for fault in _component(component, seen)]
    return found


def _availability(document: dict[str, Any]) -> list[str]:
    known = {"topic", "value_template", "payload_available", "payload_not_available"}
    found = []
    for item in document.get("availability", []):
        found += [f"availability: {key}" for key in set(item) - known]
        if not item.get("topic"):
            found.append("availability without topic")
    if document.get("availability_mode", "latest") not in {"all", "any", "latest"}:
        found.append("availability_mode")
    return found


def _component(component: dict[str, Any], seen: set[str]) -> list[str]:
    platform = component.get("platform")
    if platform not in _OWN:
        return [f"platform {platform}"]
    if set(component) == {"platform"}:
        return []
    found = [f"key {key}" for key in set(component) - _SHARED - _OWN[platform]]
    found += [f"misses {key}" for key in _NEEDS[platform] - set(component)]
    unique = component.get("unique_id", "")
    if not unique or unique in seen:
        found.append("unique_id missing or doubled")
    seen.add(unique)
    if not re.fullmatch(rf"{platform}\.[a-z0-9_]+", component.get("default_entity_id", "")):
        found.append("default_entity_id without its domain")
    if any(str(v).startswith("~") for k, v in component.items() if k.endswith("topic")):
        found.append("topic with ~")
    return found + _availability(component) + _platform(platform, component)


def _platform(platform: str, component: dict[str, Any]) -> list[str]:
    kind = component.get("device_class")
    category = component.get("entity_category")
    found = []
    if platform == "sensor":
        if category == "config":
            found.append("a sensor cannot be a setting")
        if kind is not None and component.get("unit_of_measurement") not in _UNITS.get(kind, set()):
            found.append(f"unit of {kind}")
    if platform == "binary_sensor" and kind not in _BINARY_CLASSES:
        found.append(f"class {kind}")
    if platform == "event" and not component.get("event_types"):
        found.append("no event types")
    expire = component.get("expire_after", 1)
    if not (isinstance(expire, int) and expire > 0):
        found.append("expire_after")
    for name, template in component.items():
        if name.endswith("template") and ("{%" in template or "." in template):
            found.append(f"{name} has logic")
    return found
