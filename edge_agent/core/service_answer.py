"""What the service tells other processes of this device, over `system.local_answers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_agent.messages.payloads import SensorReport
from edge_agent.system import local_answers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ServiceAnswer(msgspec.Struct, frozen=True):
    """What the running service knows now.

    Attributes:
        problems: For people; empty is well.
        sensors: Every sensor.
    """

    problems: tuple[str, ...]
    sensors: tuple[SensorReport, ...]


def encoded(problems: Iterable[str], sensors: tuple[SensorReport, ...]) -> bytes:
    """The answer as JSON, each problem once."""
    return msgspec.json.encode(ServiceAnswer(tuple(dict.fromkeys(problems)), sensors))


def ask(state: Path) -> ServiceAnswer | None:
    """The answer of the service of a state folder; None where none answers.

    None as well where it is of another version and answers otherwise.
    """
    content = local_answers.ask(state)
    try:
        return None if content is None else msgspec.json.decode(content, type=ServiceAnswer)
    except msgspec.DecodeError:
        return None
