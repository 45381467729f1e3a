"""config.toml -> `settings.Config`. `decode` and `check` are pure; `load` reads the one file."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import replace
from datetime import date
from string import Formatter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from edge_agent.agronomy.crops import CROPS
from edge_agent.agronomy.development import BUD_FROST_C
from edge_agent.contract import schema
from edge_agent.contract.errors import ConfigError
from edge_agent.settings import Config
from edge_agent.system import locations, struct_decoder
from edge_agent.system.struct_decoder import Problem, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edge_agent.settings import Push, Rule, Sensor

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
        raise InvalidConfig(where, (Problem("", f"not TOML: {fault}"),)) from fault
    problems: list[Problem] = []
    struct_decoder.override(document, env or {}, PREFIX, problems)
    config = struct_decoder.build(document, Config, problems)
    if not problems:
        problems.extend(check(config))
    if problems:
        raise InvalidConfig(where, tuple(replace(p, line=line_of(text, p.path)) for p in problems))
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


FORECAST_QUANTITIES: Final = (*schema.TARGETS, *schema.DERIVED)
LIVE_QUANTITIES: Final = (*schema.SENSED, *schema.DERIVED)
PLACEHOLDERS: Final = (
    "rule",
    "severity",
    "quantity",
    "value",
    "unit",
    "operator",
    "threshold",
    "probability",
    "time",
    "lead_h",
)
"""Names that a rule's own `message` may use in braces."""
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


def check(config: Config) -> Iterator[Problem]:
    """Errors between the values of a configuration, each of which is valid by itself."""
    yield from _device(config)
    yield from _depot(config)
    yield from _mqtt(config)
    for index, sensor in enumerate(config.sensors):
        yield from _sensor(sensor, f"sensors[{index}]")
    yield from _repeated(
        [(s.topic, s.field, s.quantity) for s in config.sensors], "sensors", "the same number"
    )
    for index, rule in enumerate(config.rules):
        yield from _rule(rule, f"rules[{index}]")
    yield from _repeated([rule.name for rule in config.rules], "rules", "the same name")
    quiet = config.quiet_hours
    if bool(quiet.start) != bool(quiet.end) or (quiet.start and quiet.start == quiet.end):
        yield Problem("quiet_hours", 'needs two times, such as start = "22:00" and end = "06:00"')
    yield from _push(config.push)
    if config.web.port and config.web.host not in _LOOPBACK and not config.web.token_file:
        yield Problem("web.token_file", "is needed when web.host is not this machine alone")


def _push(push: Push) -> Iterator[Problem]:
    if push.url:
        parts = urlsplit(push.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            yield Problem("push.url", "is not an http:// or https:// address")
    try:
        push.template.format(text="", rule="", severity="")
    except (LookupError, ValueError, AttributeError):
        yield Problem("push.template", "may use {text}, {rule} and {severity} alone")


def _device(config: Config) -> Iterator[Problem]:
    try:
        ZoneInfo(config.device.timezone)
    except (KeyError, ValueError, OSError):
        yield Problem("device.timezone", "is no known zone; for example Asia/Seoul")
    crop = config.irrigation.crop
    if crop and crop not in CROPS:
        yield Problem("irrigation.crop", _one_of(crop, tuple(CROPS)))
    stage, stages = config.irrigation.bud_stage, tuple(BUD_FROST_C.get(crop, ()))
    if stage and not stages:
        yield Problem("irrigation.bud_stage", f"is for {' and '.join(BUD_FROST_C)} only")
    elif stage and stage not in stages:
        yield Problem("irrigation.bud_stage", _one_of(stage, stages))
    try:
        if config.irrigation.planted_on:
            date.fromisoformat(config.irrigation.planted_on)
    except ValueError:
        yield Problem("irrigation.planted_on", "must be a day such as 2026-04-01")


def _depot(config: Config) -> Iterator[Problem]:
    depot = config.depot
    if depot.url and depot.path:
        yield Problem("depot", "has both url and path; keep one")
    if depot.url and (
        urlsplit(depot.url).scheme not in {"http", "https"} or not urlsplit(depot.url).hostname
    ):
        yield Problem("depot.url", "must start with https:// or http:// and name a host")


def _mqtt(config: Config) -> Iterator[Problem]:
    mqtt = config.mqtt
    if not mqtt.host:
        yield Problem("mqtt.host", "must name the broker")
    if mqtt.port == 0:
        yield Problem("mqtt.port", "must be 1 to 65535")
    if bool(mqtt.tls.cert) != bool(mqtt.tls.key):
        yield Problem("mqtt.tls", "needs cert and key together")
    if mqtt.password_file and not mqtt.username:
        yield Problem("mqtt.username", "is needed with password_file")
    if mqtt.share_history and not any(sensor.role == "outdoor" for sensor in config.sensors):
        yield Problem("mqtt.share_history", "needs [[sensors]] outdoors, whose hours are shared")


def _sensor(sensor: Sensor, at: str) -> Iterator[Problem]:
    if sensor.quantity not in schema.SENSED:
        yield Problem(f"{at}.quantity", _one_of(sensor.quantity, schema.SENSED))
    elif sensor.unit not in (units := schema.QUANTITIES[sensor.quantity].sensor_units):
        yield Problem(f"{at}.unit", _one_of(sensor.unit, tuple(units)))


def _rule(rule: Rule, at: str) -> Iterator[Problem]:
    allowed = LIVE_QUANTITIES if rule.now else FORECAST_QUANTITIES
    if rule.quantity not in allowed:
        yield Problem(f"{at}.quantity", _one_of(rule.quantity, allowed))
    if not rule.now and rule.for_h > rule.within_h:
        yield Problem(f"{at}.for_h", f"must not exceed within_h = {rule.within_h}")
    if rule.clear is not None and (
        rule.clear > rule.threshold if rule.operator in {">=", ">"} else rule.clear < rule.threshold
    ):
        side = "below" if rule.operator in {">=", ">"} else "above"
        yield Problem(f"{at}.clear", f"must lie {side} threshold = {rule.threshold:g}")

    if rule.message:
        yield from _template(rule.message, f"{at}.message")


def _template(text: str, at: str) -> Iterator[Problem]:
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as fault:
        yield Problem(at, f"is no template: {fault}; write {{{{ for a brace")
        return
    for name in names:
        if name not in PLACEHOLDERS:
            yield Problem(at, f"{{{name}}}: {_one_of(name, PLACEHOLDERS)}")


def _repeated(keys: list[object], at: str, what: str) -> Iterator[Problem]:
    for index, key in enumerate(keys):
        if key in keys[:index]:
            yield Problem(f"{at}[{index}]", f"has {what} as {at}[{keys.index(key)}]: {key}")


def _one_of(given: str, allowed: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(given, allowed, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{given!r} is not allowed{hint} (one of {', '.join(allowed)})"
