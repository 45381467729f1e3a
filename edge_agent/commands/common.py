"""What the commands share: options, configuration, state folder, the agent's parts.

Errors need nothing here: `system.console.run` turns each into one line and an exit code.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_agent.contract.errors import UsageError
from edge_agent.system.console import verbosity_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_agent.core.runtime import Runtime
    from edge_agent.settings import Config
    from edge_agent.system.ports import Clock

F = TypeVar("F", bound="Callable[..., Any]")

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration file (default: EDGE_AGENT_CONFIG, then /etc/edge-agent/config.toml).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def standard_options(function: F) -> F:
    """Add --config, --json, --verbose and --quiet."""
    return config_option(json_option(verbosity_options(function)))


def read_config(config_path: Path | None) -> Config:
    """Configuration from its file, found as `locations` says.

    Raises:
        InputMissing: There is no configuration.
        ConfigError: It is wrong.
    """
    from edge_agent import config

    return config.load(config_path, os.environ)


def state_folder(settings: Config) -> Path:
    """The configured state folder, or the one that the account of this process uses."""
    from edge_agent.system import locations

    return locations.state_folder(settings.storage.path, os.environ, root=os.geteuid() == 0)


def state_in_use(settings: Config, config_path: Path | None) -> Path:
    """Folder of the service that runs with this file, else the configured one.

    They differ where `storage.path` was changed since the service started.
    """
    configured = state_folder(settings)
    return folder_of_service(config_path, configured) or configured


def folder_of_service(config_path: Path | None, *folders: Path) -> Path | None:
    """State folder of the service that runs with a configuration file; None where none does.

    Args:
        config_path: The configuration file, where it is known.
        folders: Whose owners may be the service's account, beside the usual folder's.

    Raises:
        InputMissing: There is no configuration.
    """
    from edge_agent.system import local_answers, locations

    usual = locations.state_folder("", os.environ, root=os.geteuid() == 0)
    owners = {folder.stat().st_uid for folder in (usual, *folders) if folder.is_dir()}
    return local_answers.folder_of(locations.config_file(config_path, os.environ), owners)


def open_state_folder(settings: Config) -> Path:
    """The state folder, after root has become its owner: new files must stay the service's own."""
    from edge_agent.system.privileges import work_as_owner

    state = state_folder(settings)
    work_as_owner(state)
    return state


def open_state_in_use(settings: Config, config_path: Path | None) -> Path:
    """The same with the folder of a service that runs; see `state_in_use`."""
    from edge_agent.system.privileges import work_as_owner

    state = state_in_use(settings, config_path)
    work_as_owner(state)
    return state


@contextlib.contextmanager
def opened(config_path: Path | None, state: Path | None = None) -> Iterator[Runtime]:
    """The agent's parts, closed at the end; on the system's clock, or that of an `OwnClock`.

    Args:
        config_path: The configuration file, where it is known.
        state: A state folder instead of the configuration's.

    Raises:
        InputMissing: There is no configuration.
        ConfigError: It is wrong.
        StorageError: The state folder cannot be used.
    """
    from edge_agent.core.runtime import Runtime
    from edge_agent.system.privileges import work_as_owner

    settings = read_config(config_path)
    if state is None:
        state = state_in_use(settings, config_path)
    work_as_owner(state)
    runtime = Runtime(settings, state, _clock())
    try:
        yield runtime
    finally:
        runtime.close()


@dataclass(frozen=True, slots=True)
class OwnClock:
    """click's `obj` of a program that calls a command in its own process: the command's clock."""

    clock: Clock


def _clock() -> Clock:
    from edge_agent.system.clock import SystemClock

    context = click.get_current_context(silent=True)
    own = None if context is None else context.find_object(OwnClock)
    return SystemClock() if own is None else own.clock


def utc_time(text: str, option: str, *, example: str) -> datetime:
    """Time from an option's ISO 8601 text, which is UTC unless it names a zone.

    Raises:
        UsageError: It is no time; the text shows the example.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as fault:
        raise UsageError(f"{option} {text!r}: give a time such as {example}") from fault
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
