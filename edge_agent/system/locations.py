"""Where files live: flag, environment, systemd's folders, then the user's or the system's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import ConfigError, InputMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "edge-agent"
CONFIG_FILE: Final = "config.toml"
MAX_SECRET_BYTES: Final = 4096


def config_file(given: Path | None, env: Mapping[str, str]) -> Path:
    """The configuration file: `given`, EDGE_AGENT_CONFIG, $CONFIGURATION_DIRECTORY, /etc.

    Raises:
        InputMissing: The named file is not there, or no folder has one.
    """
    named = given or (Path(env["EDGE_AGENT_CONFIG"]) if env.get("EDGE_AGENT_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise InputMissing(f"{named}: no such file; name the configuration with --config FILE")
        return named
    places = [Path(f) / CONFIG_FILE for f in _folders(env, "CONFIGURATION_DIRECTORY")]
    places.append(Path("/etc") / NAME / CONFIG_FILE)
    for place in places:
        if place.is_file():
            return place
    raise InputMissing(
        f"no configuration in {', '.join(map(str, places))}; name one with --config FILE "
        "or EDGE_AGENT_CONFIG, or start from config.example.toml"
    )


def state_folder(configured: str, env: Mapping[str, str], *, root: bool) -> Path:
    """Folder of everything that must outlive a restart; it may not exist yet.

    Args:
        configured: `[storage] path`, empty when not set.
        env: Environment.
        root: Whether the process is root's, which uses /var/lib and not a home folder.
    """
    if configured:
        return Path(configured)
    given = _folders(env, "STATE_DIRECTORY")
    if given:
        return Path(given[0])
    if root:
        return Path("/var/lib") / NAME
    base = Path(env.get("XDG_STATE_HOME", ""))
    if not base.is_absolute():  # the specification says to ignore a relative value
        base = Path(env.get("HOME", "/")) / ".local" / "state"
    return base / NAME


def secret(path: str, credential: str, env: Mapping[str, str]) -> str | None:
    """A secret from its file, else from systemd's credential of that name; None when neither.

    Raises:
        ConfigError: The file cannot be read, is not text, is empty or too long.
    """
    folder = env.get("CREDENTIALS_DIRECTORY", "")
    place = Path(path) if path else Path(folder) / credential
    if not path and not (folder and place.is_file()):
        return None
    try:
        content = place.read_bytes()
    except OSError as fault:
        raise ConfigError(f"{place}: cannot be read: {fault.strerror}; check the path") from fault
    try:
        text = content.decode().strip()
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{place}: holds no text; write the secret on one line") from fault
    if not text or len(content) > MAX_SECRET_BYTES:
        raise ConfigError(f"{place}: is empty or too long; write the secret on one line")
    return text


def _folders(env: Mapping[str, str], name: str) -> list[str]:
    return [folder for folder in env.get(name, "").split(":") if folder]
