"""What a valid configuration most likely does not mean: for `check-config`, `doctor`, `/health`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.agronomy.derived import needed_for
from edge_agent.alerts import default_rules, rule_reach
from edge_agent.contract import stations, warning_zones
from edge_agent.contract.schema import Site
from edge_agent.observations.codecs import CODECS
from edge_agent.settings import SENSOR_TOPIC_EXAMPLE, Config

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from edge_agent.settings import Depot, Device, Rule

EXAMPLE_KEYS: Final = (
    "device.site",
    "device.id",
    "device.latitude",
    "device.longitude",
    "device.elevation_m",
    "device.station",
    "mqtt.host",
)
"""Keys that config.example.toml sets. Their values there are the defaults; a test holds both."""
_NAME: Final = {"device.site", "device.id"}
_PLACE: Final = {"device.latitude", "device.longitude"}
LEAST_LOUD: Final = timedelta(hours=4)
_PATH: Final = re.compile(r"(\$\.?)?([^.\[\]]+|\[[0-9]{1,6}\])(\.[^.\[\]]+|\[[0-9]{1,6}\])*")
_MINUTE: Final = timedelta(minutes=1)
FAR_KM: Final = 100.0
"""No place in Korea is farther from a station of KMA: Dokdo lies 87 km from Ulleungdo."""


@dataclass(frozen=True, slots=True)
class ConfigWarning:
    """One warning.

    Attributes:
        path: Key to look at, such as `rules[0].threshold`; empty where no key of the file says it.
        text: For people; names the key or the rule.
        is_problem: Whether the running service does not do what the file asks for: then it is
            a problem in `/health`.
    """

    path: str
    text: str
    is_problem: bool = False


def warnings(config: Config) -> Iterator[ConfigWarning]:
    """Every warning about a configuration without errors. Looks whether files are there."""
    yield from _depot(config.depot)
    yield from _example(config)
    yield from _place(config.device)
    yield from _warning_zone(config.device)
    yield from _rules(config)
    yield from _paths(config)
    yield from _silence(config)
    yield from _files(config)


def problems(config: Config) -> tuple[str, ...]:
    """The warnings that are problems of the running service."""
    return tuple(warning.text for warning in warnings(config) if warning.is_problem)


def _silence(config: Config) -> Iterator[ConfigWarning]:
    """Settings by which nobody hears of an alert."""
    severities = {rule.severity for rule in default_rules.in_force(config)}
    if not severities:
        text = "builtin.off: no rule is in force, so nobody is warned of anything"
        yield ConfigWarning("builtin.off", text)
    elif config.push.url and severities.isdisjoint(config.push.severities):
        text = "push.severities: no rule in force has one of them, so no alert is pushed"
        yield ConfigWarning("push.severities", text, is_problem=True)
    quiet = config.quiet_hours
    if quiet.start:
        start, end = (datetime.strptime(text, "%H:%M") for text in (quiet.start, quiet.end))  # noqa: DTZ007 - a length
        loud = (start - end) % timedelta(days=1)
        if loud < LEAST_LOUD:
            text = f"quiet_hours: alerts are sent in {loud // _MINUTE} minutes of the day only"
            yield ConfigWarning("quiet_hours", text)


def _files(config: Config) -> Iterator[ConfigWarning]:
    keys = ["web.token_file"] if config.web.port else []
    keys += ["push.token_file"] if config.push.url else []
    tls = ["mqtt.tls.ca", "mqtt.tls.cert", "mqtt.tls.key"] if config.mqtt.tls.enabled else []
    for key in (*keys, *tls):
        path = attrgetter(key)(config)
        if path and not Path(path).is_file():
            text = f"{key}: there is no file {path}"
            # Of the TLS files `certificates` tells the running service.
            yield ConfigWarning(key, text, is_problem=key in keys)


def _depot(depot: Depot) -> Iterator[ConfigWarning]:
    if not (depot.url or depot.path):
        text = (
            "depot: has neither url nor path, so models and the station's hours come by "
            "`edge-agent sync --from` only"
        )
        yield ConfigWarning("depot", text)
    if not depot.root_file:
        text = (
            "depot.root_file: is not set, so no release can be trusted: copy root.json from the "
            "trainer's workspace to this device and name it here"
        )
        yield ConfigWarning("depot.root_file", text)
    elif not Path(depot.root_file).is_file():
        text = f"depot.root_file: there is no file {depot.root_file}, so no release can be trusted"
        yield ConfigWarning("depot.root_file", text)


def _example(config: Config) -> Iterator[ConfigWarning]:
    default = Config()
    same = [key for key in EXAMPLE_KEYS if attrgetter(key)(config) == attrgetter(key)(default)]
    topics = [f"sensors[{index}].topic" for index, sensor in enumerate(config.sensors)
              if sensor.topic == SENSOR_TOPIC_EXAMPLE]  # fmt: skip
    # A broker on this machine, or one of these alone, may be meant so.
    if set(same) >= _NAME or set(same) >= _PLACE:
        keys = ", ".join((*same, *topics))
        text = f"{keys}: as in the example file: write this farm's own name, place and broker"
        yield ConfigWarning(same[0], text)


def _place(device: Device) -> Iterator[ConfigWarning]:
    site = Site(device.latitude, device.longitude, device.elevation_m)
    nearest, distance = stations.nearest(site)
    near = f"the nearest is {nearest.number} ({nearest.name_en}), {distance:.0f} km away"
    if distance > FAR_KM:
        text = f"device.latitude, device.longitude: lie outside Korea: of KMA's stations {near}"
        yield ConfigWarning("device.latitude", text, is_problem=True)
    elif device.station and device.station not in stations.stations():
        text = f"device.station: {device.station} is no ASOS station of KMA: {near}"
        yield ConfigWarning("device.station", text, is_problem=True)
    elif device.station:
        chosen = stations.station(device.station)
        apart = stations.distance_km(site, chosen.site)
        if apart > FAR_KM:
            text = f"{chosen.number} ({chosen.name_en}) is {apart:.0f} km away: {near}"
            yield ConfigWarning("device.station", f"device.station: {text}")


def _warning_zone(device: Device) -> Iterator[ConfigWarning]:
    """A code that the list does not have may be new, and more often is mistyped."""
    if not device.warning_zone:
        return
    zone = warning_zones.zone_named(device.warning_zone)
    here = warning_zones.zone_at(device.latitude, device.longitude)
    if zone.code not in warning_zones.zones():
        text = (
            f"device.warning_zone: {zone.code} is not in the list of KMA's zones: check the code, "
            "or set the name, such as 진주시; without a mistake it is a zone that KMA has added"
        )
        yield ConfigWarning("device.warning_zone", text, is_problem=True)
    elif here is not None and not warning_zones.concerns(here.code, zone.code):
        text = (
            f"device.warning_zone: the place lies in {here.name} ({here.code}), not in {zone.name}"
        )
        yield ConfigWarning("device.warning_zone", text)


def _paths(config: Config) -> Iterator[ConfigWarning]:
    """Paths into JSON that lead nowhere, unless a name of the message is just so."""
    for index, sensor in enumerate(config.sensors):
        for key, text in (("field", sensor.field), ("time_field", sensor.time_field)):
            codec, colon, _ = sensor.field.partition(":")
            other = key == "field" and colon and codec in CODECS and codec != "json"
            if text and not other and not _PATH.fullmatch(text.removeprefix("json:")):
                at = f"sensors[{index}].{key}"
                words = f"{text!r} is no path such as SHT31.Temperature or values[0]"
                yield ConfigWarning(at, f"{at}: {words}")


def _rules(config: Config) -> Iterator[ConfigWarning]:
    measured = {(sensor.role, sensor.quantity) for sensor in config.sensors}
    own = {rule.name: index for index, rule in enumerate(config.rules)}
    for rule in default_rules.in_force(config):
        at = f"rules[{own[rule.name]}]" if rule.name in own else ""
        for key, text in _faults(rule, measured):
            path = f"{at}.{key}" if at else ""
            yield ConfigWarning(path, f"rule {rule.name}: {text}", is_problem=True)


def _faults(rule: Rule, measured: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Key and text of what keeps a rule from working."""
    needed = needed_for(rule.quantity) if rule.now else ()
    lacking = [name for name in needed if (rule.role, name) not in measured]
    if lacking:
        what = f"no sensor of role {rule.role} measures {' and '.join(lacking)}"
        # No error: the sensor may come later.
        yield "quantity", f"{what}, so it is always unknown"
    fault = rule_reach.fault_of(rule)
    if fault:
        yield "threshold", fault
