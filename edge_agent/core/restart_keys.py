"""Keys that a reload does not take: what the service opens once, at its start. Pure."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from edge_agent.settings import Web

if TYPE_CHECKING:
    from edge_agent.settings import Config

RESTART_KEYS: Final = ("storage.path", *(f"web.{name}" for name in Web.__struct_fields__))
"""The state folder is locked, and the page's address held, from the start to the end."""


def changes(started_with: Config, config: Config) -> tuple[str, ...]:
    """A line for each key that differs from the configuration of the start."""
    return tuple(
        changed(key)
        for key in RESTART_KEYS
        if attrgetter(key)(started_with) != attrgetter(key)(config)
    )


def changed(key: str) -> str:
    """That one of the keys differs from the configuration of the start."""
    return f"{key} changed: it is taken at the next restart"
