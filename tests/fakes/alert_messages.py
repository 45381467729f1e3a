"""A heat alert and an advice on water as payloads are made of, and what a payload says."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from edge_agent.agronomy.irrigation import Advice
from edge_agent.agronomy.soil_water import SoilWater
from edge_agent.alerts.evaluation import RuleDecision
from edge_agent.alerts.evidence import Evidence
from edge_agent.alerts.state_machine import Edge, Latch
from edge_agent.contract import schema
from edge_agent.settings import Action, Rule
from tests.fakes.forecasts import NOW

if TYPE_CHECKING:
    from edge_agent.messages.message import Message

RULE = Rule(
    name="heat",
    quantity=schema.AIR_TEMPERATURE,
    operator=">=",
    threshold=30.0,
    probability=0.4,
    clear=29.0,
    action=Action(command="vent_open", value=50.0),
)
MET = Evidence(
    met=True,
    over=False,
    probability=0.6243,
    value=31.23,
    value_at=NOW + timedelta(hours=25),
    hour=NOW + timedelta(hours=24),
)
ADVICE = Advice(
    need_mm=6.84,
    volume_l=6840.2,
    start=NOW + timedelta(hours=15),
    end=NOW + timedelta(hours=18),
    water=SoilWater(
        since=NOW - timedelta(days=12),
        start_mm=0.0,
        start_assumed=True,
        through=NOW,
        depletion_mm=30.12,
        demand_mm=41.234,
        rain_mm=11.5,
        drained_mm=0.386,
    ),
    readily_mm=33.5,
    demand_mm=5.5,
    measured=False,
    rain_mm=None,
)


def verdict(edge: Edge) -> RuleDecision:
    """A met rule's edge; an end after five hours."""
    return RuleDecision(MET, Latch(rule="heat"), edge, timedelta(hours=5))


def body(made: Message) -> dict[str, Any]:
    """Payload as plain values."""
    document = json.loads(made.payload)
    assert isinstance(document, dict)
    return document
