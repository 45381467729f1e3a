"""config.toml -> `config_structs`. `decode` is pure; `load` reads the one file."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent import config_checks
from edge_agent.contract.errors import ConfigError
from edge_agent.settings import Config
from edge_agent.system import locations, struct_decoder
from edge_agent.system.toml_lines import line_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX: Final = "EDGE_AGENT__"
MAX_BYTES: Final = 1_000_000


class InvalidConfig(ConfigError):  # noqa: N818 - named by treatment
    """Every fault of a file at once, in `problems`; the text has them all on one line."""

    def __init__(self, where: str, problems: tuple[struct_decoder.Problem, ...]) -> None:
        super().__init__(f"{where}: {'; '.join(map(str, problems))}")
        self.problems = problems


def decode(content: bytes, where: str, env: Mapping[str, str] | None = None) -> Config:
    """Configuration from TOML bytes and EDGE_AGENT__SECTION__KEY overrides.

    Raises:
        InvalidConfig: Not TOML, or unknown keys, wrong values or values that do not fit together.
    """
    if len(content) > MAX_BYTES:
        raise InvalidConfig(where, (struct_decoder.Problem("", f"longer than {MAX_BYTES} bytes"),))
    try:
        text = content.decode("utf-8-sig")
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise InvalidConfig(where, (struct_decoder.Problem("", f"not TOML: {fault}"),)) from fault
    problems: list[struct_decoder.Problem] = []
    struct_decoder.override(document, env or {}, PREFIX, problems)
    config = struct_decoder.build(document, Config, problems)
    if not problems:
        problems.extend(config_checks.check(config))
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
    place = locations.config_file(path, env)
    try:
        content = place.read_bytes()
    except OSError as fault:
        raise ConfigError(f"{place}: cannot be read: {fault.strerror}") from fault
    return _anchored(decode(content, str(place), env), place.absolute().parent)


def _anchored(config: Config, folder: Path) -> Config:
    def anchor(section: Any, *names: str) -> Any:  # noqa: ANN401 - any section
        found = {name: getattr(section, name) for name in names}
        return msgspec.structs.replace(
            section, **{name: str(folder / path) for name, path in found.items() if path}
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
