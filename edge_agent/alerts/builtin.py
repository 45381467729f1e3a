"""Rules that apply when the configuration has none. Pure."""

from __future__ import annotations

from typing import Final

from edge_agent.config_structs import Rule
from edge_agent.contract import schema

_HOLD_S: Final = 3 * 3600


def rules() -> tuple[Rule, ...]:
    """Heat, dryness and frost of the coming day."""
    return (
        Rule(
            name="heat",
            quantity=schema.AIR_TEMPERATURE,
            operator=">=",
            threshold=30.0,
            probability=0.4,
            clear=29.0,
            hold_s=_HOLD_S,
        ),
        Rule(
            name="dryness",
            quantity=schema.RELATIVE_HUMIDITY,
            operator="<=",
            threshold=30.0,
            probability=0.25,
            clear=35.0,
            hold_s=_HOLD_S,
        ),
        Rule(
            name="frost",
            quantity=schema.AIR_TEMPERATURE,
            operator="<=",
            threshold=0.0,
            probability=0.4,
            clear=1.0,
            hold_s=_HOLD_S,
            severity="critical",
        ),
        Rule(
            name="frost-watch",
            quantity=schema.AIR_TEMPERATURE,
            operator="<=",
            threshold=2.0,
            probability=0.2,
            clear=3.0,
            hold_s=_HOLD_S,
        ),
    )
