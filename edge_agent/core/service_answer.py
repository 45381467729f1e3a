"""What the service tells other processes of this device, over `system.local_answers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_agent.contract.forecast import NoForecast
from edge_agent.core import cross_check, rules
from edge_agent.messages.payloads import AlertState, SensorReport
from edge_agent.system import local_answers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.core.cycle_context import CycleContext


class ServiceAnswer(msgspec.Struct, frozen=True):
    """What the running service knows now.

    Attributes:
        problems: For people; empty is well.
        sensors: Every sensor.
        live_states: State of every live rule.
    """

    problems: tuple[str, ...]
    sensors: tuple[SensorReport, ...]
    live_states: tuple[AlertState, ...] = ()


def encoded(
    problems: Iterable[str],
    sensors: tuple[SensorReport, ...],
    live_states: tuple[AlertState, ...],
) -> bytes:
    """The answer as JSON, each problem once."""
    once = tuple(dict.fromkeys(problems))
    return msgspec.json.encode(ServiceAnswer(once, sensors, live_states))


def live_states(context: CycleContext, now: datetime, clock: ClockState) -> tuple[AlertState, ...]:
    """State of every live rule at `now`; nothing is written.

    Raises:
        StorageError: The disk refused.
    """
    forecast = NoForecast(now, "live rules need none")
    results = rules.evaluate(
        context,
        context.message_context(now, clock, forecast, ()),
        forecast,
        cross_check.of_watch(context, rules.rules_of(context.config), now),
        only="live",
    )
    return tuple(msgspec.json.decode(state.payload, type=AlertState) for state in results.states)


def ask(state: Path) -> ServiceAnswer | None:
    """The answer of the service of a state folder; None where none answers.

    None as well where it is of another version and answers otherwise.
    """
    content = local_answers.ask(state)
    try:
        return None if content is None else msgspec.json.decode(content, type=ServiceAnswer)
    except msgspec.DecodeError:
        return None
