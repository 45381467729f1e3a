"""Home Assistant's device discovery: one retained message that describes the whole farm device.

Rules (tests name the numbers):

1. One message per device, on `<prefix>/device/<object id>/config`, topics written in full.
2. Ids never change: they are made of site, device and the rule's or quantity's name.
3. A component that was announced before and is gone is named with its platform only, which
   removes it. Without discovery the empty message removes the device.
4. Nothing is published where nothing has changed since the last delivery.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.contract.official_warnings import KINDS
from edge_agent.messages.message import Kind, Message
from edge_agent.mqtt import discovery_components
from edge_agent.mqtt.discovery_components import Components

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.messages.topics import Topics
    from edge_agent.settings import Config, Rule

COLLAPSE: Final = "discovery"
PROJECT: Final = "farm-edge"
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


def _document(
    config: Config, topics: Topics, rules: Sequence[Rule], version: str
) -> dict[str, Any]:
    device = config.device
    components = Components(config, topics, _object_id(config))
    discovery_components.add_forecasts(components)
    if config.irrigation.crop:
        discovery_components.add_irrigation(components)
        if "irrigated" in config.mqtt.commands:
            discovery_components.add_irrigated(components)
    discovery_components.add_diagnostics(components)
    for rule in rules:
        discovery_components.add_rule(components, rule)
    if config.has_official_alerts:
        for kind in KINDS:
            discovery_components.add_official(components, kind)
    for name in _BUTTONS:
        if name in config.mqtt.commands:
            discovery_components.add_button(components, name)
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


def _object_id(config: Config) -> str:
    return f"{PROJECT}-{config.device.site}-{config.device.id}"
