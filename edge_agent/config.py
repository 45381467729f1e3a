"""config.toml -> `settings.Config`. `decode` and `check` are pure; `load` reads the one file."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec

from edge_agent.agronomy.crops import CROPS
from edge_agent.agronomy.development import BUD_FROST_C
from edge_agent.alerts import default_rules, rule_problems
from edge_agent.contract import schema
from edge_agent.contract.errors import ConfigError, UsageError
from edge_agent.contract.warning_zones import zone_named
from edge_agent.observations.codecs import CODECS
from edge_agent.settings import Config
from edge_agent.system import addresses, locations, struct_decoder
from edge_agent.system.struct_decoder import Problem, line_of, nearest, one_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from edge_agent.settings import Sensor

PREFIX: Final = "EDGE_AGENT__"
MAX_BYTES: Final = 1_000_000


class InvalidConfig(ConfigError):  # noqa: N818 - named by treatment
    """All errors of a file, in `problems`; the text has them on one line."""

    def __init__(self, where: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{where}: {'; '.join(map(str, problems))}")
        self.problems = problems


def decode(content: bytes, where: str, env: Mapping[str, str] | None = None) -> Config:
    """Configuration from TOML bytes and EDGE_AGENT__SECTION__KEY overrides.

    Raises:
        InvalidConfig: Not TOML, or unknown keys, wrong values or values that do not fit together.
    """
    if len(content) > MAX_BYTES:
        raise InvalidConfig(where, (Problem("", f"longer than {MAX_BYTES} bytes"),))
    try:
        text = content.decode("utf-8-sig")
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise InvalidConfig(where, (struct_decoder.not_toml(fault),)) from fault
    rule_problems.name_first_conditions(document)
    problems: list[Problem] = []
    names = struct_decoder.override(document, env or {}, PREFIX, problems)
    config = struct_decoder.build(document, Config, problems)
    problems.extend(check(config, tuple(problems)))
    if problems:
        lined = [
            replace(p, path=f"environment: {names[p.path]}")
            if p.path in names
            else replace(p, line=line_of(text, p.path))
            for p in problems
        ]
        raise InvalidConfig(where, tuple(sorted(lined, key=lambda problem: problem.line or 0)))
    return config


def load(path: Path | None, env: Mapping[str, str]) -> Config:
    """Configuration from its file, found as `locations.config_file` says.

    Raises:
        InputMissing: There is no file.
        InvalidConfig: See `decode`.
        ConfigError: The file cannot be read.
    """
    file = locations.config_file(path, env)
    try:
        content = file.read_bytes()
    except OSError as fault:
        raise ConfigError(f"{file}: cannot be read: {fault.strerror}") from fault
    return _anchored(decode(content, str(file), env), file.absolute().parent)


def _anchored(config: Config, folder: Path) -> Config:
    def anchor(section: Any, *names: str) -> Any:  # noqa: ANN401 - any section
        paths = {name: getattr(section, name) for name in names}
        return msgspec.structs.replace(
            section, **{name: str(folder / path) for name, path in paths.items() if path}
        )

    mqtt = anchor(config.mqtt, "password_file")
    return msgspec.structs.replace(
        config,
        depot=anchor(config.depot, "path", "root_file"),
        mqtt=msgspec.structs.replace(mqtt, tls=anchor(mqtt.tls, "ca", "cert", "key")),
        storage=anchor(config.storage, "path"),
        web=anchor(config.web, "token_file"),
        push=anchor(config.push, "token_file"),
    )


PUSH_PLACEHOLDERS: Final = ("text", "rule", "severity")
"""Names that `push.template` may use in braces."""
_CODEC_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_TLS_SCHEMES: Final = {"mqtts", "ssl", "tls", "https", "wss"}
_WEB_SCHEMES: Final = {"ws", "wss"}


def check(config: Config, faults: Collection[Problem] = ()) -> Iterator[Problem]:
    """Errors between the values of a configuration, each of which is valid by itself.

    Args:
        config: The configuration; a key with a fault has its default.
        faults: Errors of single keys. What rests on one of these keys is not judged.
    """
    readable = _Readable(faults)
    for part in (_device, _irrigation, _depot, _mqtt, _quiet_hours, _push, _web):
        yield from part(config, readable)
    topics = [schema.QUANTITIES[name].short_name for name in schema.FORECAST]
    for name in config.mqtt.forecasts:
        if name not in topics:
            yield Problem("mqtt.forecasts", one_of(name, topics))
    for name in config.builtin.off:
        if name not in default_rules.NAMES:
            yield Problem("builtin.off", one_of(name, default_rules.NAMES))
    for index, sensor in enumerate(config.sensors):
        yield from _sensor(sensor, f"sensors[{index}]", readable)
    number = ("topic", "field", "quantity")
    yield from _repeated(config.sensors, number, "sensors", "the same number", readable)
    for index, rule in enumerate(config.rules):
        yield from rule_problems.problems_of(rule, f"rules[{index}]", readable)
    yield from _repeated(config.rules, ("name",), "rules", "the same name", readable)


class _Readable:
    """Tells whether keys of a table were read; the checks rest on such keys only."""

    def __init__(self, faults: Collection[Problem]) -> None:
        self._paths = {fault.path for fault in faults}

    def __call__(self, table: msgspec.Struct, at: str, *keys: str) -> bool:
        """Whether all these keys have the value of the file; an unknown key may be any of them."""
        inside = f"{at}." if at else ""
        for path in self._paths:
            if at and (at == path or at.startswith((f"{path}.", f"{path}["))):
                return False
            if path.startswith(inside):
                key = re.split(r"[.\[]", path.removeprefix(inside))[0]
                if key in keys or key not in table.__struct_fields__:
                    return False
        return True


def _device(config: Config, readable: _Readable) -> Iterator[Problem]:
    if readable(config.device, "device", "warning_zone") and config.device.warning_zone:
        try:
            zone_named(config.device.warning_zone)
        except UsageError as fault:
            yield Problem("device.warning_zone", str(fault))
    if not readable(config.device, "device", "timezone"):
        return
    try:
        ZoneInfo(config.device.timezone)
    except (KeyError, ValueError, OSError):
        yield Problem("device.timezone", "is no known zone; for example Asia/Seoul")


def _irrigation(config: Config, readable: _Readable) -> Iterator[Problem]:
    settings = config.irrigation
    if readable(settings, "irrigation", "crop", "bud_stage"):
        if settings.crop and settings.crop not in CROPS:
            yield Problem("irrigation.crop", one_of(settings.crop, tuple(CROPS)))
        stage, stages = settings.bud_stage, tuple(BUD_FROST_C.get(settings.crop, ()))
        if stage and not stages:
            yield Problem("irrigation.bud_stage", f"is for {' and '.join(BUD_FROST_C)} only")
        elif stage and stage not in stages:
            yield Problem("irrigation.bud_stage", one_of(stage, stages))
    if settings.planted_on and readable(settings, "irrigation", "planted_on"):
        try:
            date.fromisoformat(settings.planted_on)
        except ValueError:
            yield Problem("irrigation.planted_on", "must be a day such as 2026-04-01")


def _depot(config: Config, readable: _Readable) -> Iterator[Problem]:
    depot = config.depot
    if depot.url and depot.path and readable(depot, "depot", "url", "path"):
        yield Problem("depot", "has both url and path; keep one")
    if depot.url and not addresses.is_web_address(depot.url):
        yield Problem("depot.url", "must start with https:// or http:// and name a host")


def _mqtt(config: Config, readable: _Readable) -> Iterator[Problem]:
    mqtt = config.mqtt
    if not mqtt.host:
        yield Problem("mqtt.host", "must name the broker")
    elif not addresses.is_host(mqtt.host):
        yield Problem("mqtt.host", _bare_host(mqtt.host, "mqtt"))
    if bool(mqtt.tls.cert) != bool(mqtt.tls.key) and readable(mqtt.tls, "mqtt.tls", "cert", "key"):
        yield Problem("mqtt.tls", "needs cert and key together")
    if mqtt.tls.alpn and not mqtt.tls.enabled and readable(mqtt.tls, "mqtt.tls", "enabled"):
        yield Problem("mqtt.tls.alpn", "is part of TLS: needs enabled = true")
    logs_in = readable(mqtt, "mqtt", "username", "password_file")
    if mqtt.password_file and not mqtt.username and logs_in:
        yield Problem("mqtt.username", "is needed with password_file")
    outdoor = any(sensor.role == "outdoor" for sensor in config.sensors)
    if mqtt.share_history and not outdoor and readable(config, "", "sensors"):
        yield Problem("mqtt.share_history", "needs [[sensors]] outdoors, whose hours are shared")


def _quiet_hours(config: Config, readable: _Readable) -> Iterator[Problem]:
    quiet = config.quiet_hours
    paired = bool(quiet.start) == bool(quiet.end) and (not quiet.start or quiet.start != quiet.end)
    if not paired and readable(quiet, "quiet_hours", "start", "end"):
        yield Problem("quiet_hours", 'needs two times, such as start = "22:00" and end = "06:00"')


def _push(config: Config, _readable: _Readable) -> Iterator[Problem]:
    push = config.push
    if push.url and not addresses.is_web_address(push.url):
        yield Problem("push.url", "is not an http:// or https:// address")
    yield from rule_problems.template_problems(push.template, "push.template", PUSH_PLACEHOLDERS)


def _web(config: Config, readable: _Readable) -> Iterator[Problem]:
    web = config.web
    for index, text in enumerate(web.trusted_proxies):
        if not addresses.is_network(text):
            yield Problem(
                f"web.trusted_proxies[{index}]",
                "is no address or network, such as 192.168.0.2 or 10.0.0.0/8",
            )
    if not addresses.is_host(web.host):
        empty = "must be an address; port = 0 switches the page off"
        yield Problem("web.host", _bare_host(web.host, "web") if web.host else empty)
    elif (
        web.port
        and web.host not in _LOOPBACK
        and not web.token_file
        and readable(web, "web", "port", "host", "token_file")
    ):
        yield Problem("web.token_file", "is needed when web.host is not this machine alone")


def _sensor(sensor: Sensor, at: str, readable: _Readable) -> Iterator[Problem]:
    if readable(sensor, at, "quantity"):
        if sensor.quantity not in schema.SENSED:
            yield Problem(f"{at}.quantity", one_of(sensor.quantity, schema.SENSED))
        elif readable(sensor, at, "unit"):
            units = tuple(schema.QUANTITIES[sensor.quantity].sensor_units)
            if sensor.unit not in units:
                yield Problem(f"{at}.unit", one_of(sensor.unit, units))
    if sensor.scale == 0:
        yield Problem(f"{at}.scale", "must be a number other than 0")
    name, colon, _ = sensor.field.partition(":")
    # A capital letter, a dot or a bracket belongs to a path into JSON.
    if colon and _CODEC_NAME.fullmatch(name) and name not in CODECS:
        yield Problem(
            f"{at}.field",
            f"{name!r} is no payload format{nearest(name, sorted(CODECS))} (one of "
            f"{', '.join(sorted(CODECS))}); for a JSON name with a colon write '$.{sensor.field}'",
        )


def _repeated(
    tables: Sequence[msgspec.Struct], keys: Sequence[str], at: str, what: str, readable: _Readable
) -> Iterator[Problem]:
    """Tables that have the same values of these keys as one before."""
    first: dict[tuple[object, ...], int] = {}
    for index, table in enumerate(tables):
        if readable(table, f"{at}[{index}]", *keys):
            values = tuple(getattr(table, key) for key in keys)
            before = first.setdefault(values, index)
            if before != index:
                same = ", ".join(map(str, values))
                yield Problem(f"{at}[{index}]", f"has {what} as {at}[{before}]: {same}")


def _bare_host(given: str, section: str) -> str:
    """What to write instead of a host with something around it, under which keys."""
    parts, rule = addresses.parts_of(given), "must be a name or an address alone"
    if not parts.host:
        return f"{rule}, such as 192.168.0.10; the port has its own key, {section}.port"
    keys = [f'host = "{parts.host}"']
    if parts.port:
        keys.append(f"port = {parts.port}")
    if section == "mqtt" and parts.scheme in _TLS_SCHEMES:
        keys.append("[mqtt.tls] enabled = true")
    if section == "mqtt" and parts.scheme in _WEB_SCHEMES:
        keys.append("[mqtt.websockets] enabled = true, path")
    if section == "mqtt" and parts.user:
        keys.append("username and password_file")
    return f"{rule}: {', '.join(keys)}"
