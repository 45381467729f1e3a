"""How the service stands, told by its loop to those who only look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edge_agent.mqtt.delivery import LinkState


@dataclass(frozen=True, slots=True)
class Condition:
    """One moment of the service.

    Attributes:
        link: The connection to the broker.
        faults: Job -> what is wrong with it; empty is well.
        outcome: One line about the last cycle.
        cycle_s: How long the last cycle took; None before the first.
        updated_at: When the last update went through, UTC; None before the first.
    """

    link: LinkState
    faults: Mapping[str, str]
    outcome: str
    cycle_s: float | None
    updated_at: datetime | None
