"""Components of the device that Home Assistant discovers: one for each value, rule and command.

Rules (tests name the numbers):

1. Forecasts, forecast rules and advice are available while the agent is online and its data are
   fresh; live rules, events, buttons and values of the agent as long as it is online.
2. A value that is not sent again within the validity of its message becomes unavailable: Home
   Assistant does not hear that the broker has dropped a retained message.
3. An empty message, which deletes a retained one, is unknown and no error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edge_agent.contract import schema
from edge_agent.contract.official_warnings import ALERT_PREFIX, KINDS

if TYPE_CHECKING:
    from edge_agent.messages.topics import Topics
    from edge_agent.settings import Config, Rule

_HOUR_S: Final = 3600
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
        "official": "기상청 {} 특보",
        "official_news": "소식",
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
        "official": "KMA {} warning",
        "official_news": "news",
        "predict": "Forecast now",
        "sync": "Update now",
        "republish": "Say again",
    },
}
_EXPIRING: Final = {"sensor", "binary_sensor"}
"""Platforms that can forget a value. The others show nothing of the weather now."""
_SHORTEST_EXPIRY_S: Final = _HOUR_S + 900
"""A state is sent each hour; a cycle may take longer than the one before."""
_ATTRIBUTES: Final = "{{ value or '{}' }}"


class Components:
    """Components of the device by key, as they are added.

    Args:
        config: `[device]` and `[limits]` are read.
        topics: Topics of this device.
        object_id: The device's, part of every id.
    """

    def __init__(self, config: Config, topics: Topics, object_id: str) -> None:
        self.topics = topics
        self.language = config.device.language
        self.names = _NAMES[self.language]
        self.by_key: dict[str, dict[str, Any]] = {}
        self._object_id = object_id
        self._online = {"topic": topics.availability}
        self._fresh = {"topic": topics.fresh, "value_template": _value("['state']", "offline")}
        self._expiry_s = max(_HOUR_S * config.limits.forecast_valid_h, _SHORTEST_EXPIRY_S)

    def add(
        self, key: str, platform: str, name: str, *, forecast: bool = False, **fields: object
    ) -> None:
        """Add one component.

        Args:
            key: Its name within the device.
            platform: Home Assistant's.
            name: For people.
            forecast: Whether it rests on the forecast (rule 1).
            fields: Home Assistant's.
        """
        unique = f"{self._object_id}_{key}"
        expiry = {"expire_after": self._expiry_s} if platform in _EXPIRING else {}
        attributes = (
            {"json_attributes_template": _ATTRIBUTES} if "json_attributes_topic" in fields else {}
        )
        self.by_key[key] = {
            "platform": platform,
            "unique_id": unique,
            "default_entity_id": f"{platform}.{unique.replace('-', '_')}",
            "name": name,
            "qos": 1,
            "availability": [self._online, self._fresh] if forecast else [self._online],
            "availability_mode": "all",
            **expiry,
            **attributes,
            **fields,
        }


def add_forecasts(components: Components) -> None:
    """The value of each target in 24 hours, with the whole forecast as attributes."""
    for quantity in (schema.QUANTITIES[target] for target in schema.TARGETS):
        topic = components.topics.forecast(quantity.short_name)
        kind = {"device_class": quantity.device_class} if quantity.device_class else {}
        components.add(
            f"{quantity.short_name}_24h",
            "sensor",
            components.names["in_24h"].format(quantity.label(components.language).short),
            state_topic=topic,
            forecast=True,
            value_template=_value(f"['hours'][{_LEAD}]['value']"),
            json_attributes_topic=topic,
            unit_of_measurement=quantity.unit,
            state_class="measurement",
            suggested_display_precision=1,
            **kind,
        )


def add_irrigation(components: Components) -> None:
    """Watering advice."""
    topic = components.topics.irrigation
    components.add(
        "irrigation",
        "sensor",
        components.names["irrigation"],
        forecast=True,
        state_topic=topic,
        value_template=_value("['need_mm']"),
        json_attributes_topic=topic,
        unit_of_measurement="mm",
        icon="mdi:watering-can",
    )


def add_irrigated(components: Components) -> None:
    """A number to report water that was given."""
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


def add_diagnostics(components: Components) -> None:
    """Age of the data, free disk, and the release."""
    topics, names = components.topics, components.names
    # An empty text is left out; there is no release before the first install.
    release = _value("['release'] or ''", "")
    components.add(
        "data_age",
        "sensor",
        names["data_age"],
        state_topic=topics.health,
        value_template=_value("['data_age_s']"),
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
        value_template=_value("['disk_free_bytes']"),
        unit_of_measurement="B",
        device_class="data_size",
        entity_category="diagnostic",
    )
    components.add(
        "model",
        "update",
        names["model"],
        state_topic=topics.model,
        value_template=release,
        latest_version_topic=topics.model,
        latest_version_template=release,
        entity_category="diagnostic",
    )


def add_rule(components: Components, rule: Rule) -> None:
    """The level of a rule, and its edges."""
    name, names = rule.name, components.names
    kind = _device_class(rule)
    key, title = f"alert_{name}", f"{names['alert']} {name}"
    _add_level(components, name, key, title, forecast=not rule.now, device_class=kind)
    _add_edges(components, name, f"event_{name}", f"{names['news']} {name}")


def add_official(components: Components, kind: str) -> None:
    """KMA's warning of a kind, and its edges."""
    rule, names = f"{ALERT_PREFIX}{kind}", components.names
    korean, english = KINDS[kind]
    title = names["official"].format(korean if components.language == "ko" else english)
    key = f"official_{kind}"
    _add_level(components, rule, key, title, forecast=False, device_class="safety")
    _add_edges(components, rule, f"{key}_event", f"{title} {names['official_news']}")


def _add_level(
    components: Components, rule: str, key: str, title: str, *, forecast: bool, device_class: str
) -> None:
    """The level of an alert."""
    topic = components.topics.alert_state(rule)
    components.add(
        key,
        "binary_sensor",
        title,
        forecast=forecast,
        state_topic=topic,
        value_template=_value("['level'] | replace('unknown', 'None')"),
        payload_on="raised",
        payload_off="clear",
        json_attributes_topic=topic,
        device_class=device_class,
    )


def _add_edges(components: Components, rule: str, key: str, title: str) -> None:
    """The edges of an alert."""
    components.add(
        key,
        "event",
        title,
        state_topic=components.topics.alert_event(rule),
        event_types=["raised", "updated", "cleared"],
    )


def add_button(components: Components, command: str) -> None:
    """A button for a command."""
    components.add(
        f"button_{command}",
        "button",
        components.names[command],
        command_topic=components.topics.command(command),
        payload_press="{}",
        entity_category="config",
    )


def _value(path: str, empty: str = "None") -> str:
    """Template of a value of a payload; `empty` where that is empty (rule 6)."""
    return f"{{{{ value_json{path} if value_json is defined else '{empty}' }}}}"


def _device_class(rule: Rule) -> str:
    if rule.quantity == schema.AIR_TEMPERATURE:
        return "heat" if rule.operator in {">", ">="} else "cold"
    return "problem"
