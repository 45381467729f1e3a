"""What the service tells other processes of this device, over `system.local_answers`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.alerts.log import KEPT, LoggedEdge
from edge_agent.contract.forecast import NoForecast
from edge_agent.core import cross_check, rules, status_document
from edge_agent.messages.payloads import AlertState, GuidanceReport, SensorReport
from edge_agent.mqtt.refusal_texts import by_cause
from edge_agent.system import local_answers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.core.cycle_context import CycleContext
    from edge_agent.core.runtime import Runtime
    from edge_agent.mqtt.connection import ConnectionState
    from edge_agent.mqtt.outbox_refusals import RefusedTopic


class BrokerReport(msgspec.Struct, frozen=True):
    """The connection to the broker.

    Attributes:
        connected: Whether it stands.
        since: Since when, UTC; None without a connection.
        version: Protocol spoken, while connected.
        problem: Why there is none, for people; empty while connected.
        last_problem: Why the last one ended or failed; empty where none did.
        refused: What the broker refuses, and why: one text a cause, for people.
        concerns: What else is wrong though it stands, for people.
    """

    connected: bool
    since: datetime | None
    version: str
    problem: str
    last_problem: str
    refused: tuple[str, ...]
    concerns: tuple[str, ...]


class ServiceAnswer(msgspec.Struct, frozen=True):
    """What the running service knows now.

    Attributes:
        problems: For people; empty is well.
        sensors: Every sensor.
        live_states: State of every live rule.
        broker: The connection to the broker; None before the first turn of the loop.
        guidance: KMA's forecast in the newest one; None where it takes no part.
        document: See `status_document.document`.
        edges: Log of the alerts, oldest first, while it is in memory; None: the disk has it.
    """

    problems: tuple[str, ...]
    sensors: tuple[SensorReport, ...]
    live_states: tuple[AlertState, ...] = ()
    broker: BrokerReport | None = None
    guidance: GuidanceReport | None = None
    document: dict[str, Any] = {}
    edges: tuple[LoggedEdge, ...] | None = None


def encoded(
    runtime: Runtime,
    problems: Iterable[str],
    sensors: tuple[SensorReport, ...],
    broker: BrokerReport | None,
    guidance: GuidanceReport | None,
) -> bytes:
    """The answer as JSON.

    Args:
        runtime: The agent's parts.
        problems: For people; each is told once.
        sensors: Every sensor.
        broker: The connection to the broker.
        guidance: KMA's forecast in the newest one; None where it takes no part.

    Raises:
        StorageError: The disk refused.
    """
    answer = ServiceAnswer(
        tuple(dict.fromkeys(problems)),
        sensors,
        live_states(runtime.context(), *runtime.time.judge()),
        broker,
        guidance,
        status_document.document(runtime),
        None if runtime.on_disk else tuple(runtime.log.newest(KEPT)),
    )
    return msgspec.json.encode(answer)


def broker_report(link: ConnectionState, refusals: Iterable[RefusedTopic]) -> BrokerReport:
    """The report of a connection.

    Args:
        link: State of the connection.
        refusals: What the broker refuses of the outbox.
    """
    return BrokerReport(
        link.connected,
        link.since,
        link.version,
        link.problem,
        link.last_problem,
        by_cause(refusals),
        link.concerns,
    )


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
