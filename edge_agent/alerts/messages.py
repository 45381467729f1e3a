"""Alert states, edges and watering advice -> messages for the outbox. Pure."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from edge_agent.alerts import texts
from edge_agent.alerts.evidence import Evidence
from edge_agent.alerts.state_machine import Edge, lasted
from edge_agent.contract.numbers import fixed, plain, rounded, shown_chance
from edge_agent.contract.schema import QUANTITIES, RAIN, WIND_FROM_DIRECTION
from edge_agent.messages import envelope
from edge_agent.messages.message import Kind
from edge_agent.messages.payloads import (
    ActionOrder,
    AdvicePayload,
    AlertEvent,
    AlertState,
    WaterBalance,
    fill,
)

if TYPE_CHECKING:
    from edge_agent.agronomy.irrigation import Advice
    from edge_agent.agronomy.soil_water import SoilWater
    from edge_agent.alerts.evaluation import RuleDecision
    from edge_agent.alerts.state_machine import Latch
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message
    from edge_agent.settings import Condition, Rule

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
DRILL_VALID: Final = timedelta(minutes=15)
"""A drill that arrives late tests nothing."""
EVENT_VALID: Final = timedelta(hours=24)
"""How long an edge is worth sending where no forecast window limits it."""


def rule_facts(rule: Rule, latch: Latch, evidence: Evidence) -> dict[str, Any]:
    """A rule, its level and the evidence about it, by the keys of `payloads.AlertState`."""
    return {
        "rule": rule.name,
        "level": "unknown" if evidence.met is None else latch.level.value,
        "severity": rule.severity,
        "since": latch.since,
        "held_back": latch.held_back,
        "quantity": rule.quantity,
        "unit": QUANTITIES[rule.quantity].unit,
        "operator": rule.operator,
        "threshold": rule.threshold,
        "value": rounded(evidence.value),
        "value_at": evidence.value_at,
        "probability": evidence.probability if rule.now else shown_chance(evidence.probability),
        "first_hour": evidence.hour,
    }


def state_message(context: MessageContext, rule: Rule, latch: Latch, evidence: Evidence) -> Message:
    """Level of a rule now, retained; newest wins."""
    # What comes back within the hour, such as "not snoozed", is news as well.
    since = latch.changed_at or _EPOCH
    payload = fill(
        AlertState,
        envelope.base(context, "alert-state", f"alert/{rule.name}/state/{since:%Y%m%dT%H%M%SZ}"),
        rule_facts(rule, latch, evidence),
    )
    return envelope.state(context.topics.alert_state(rule.name), payload, Kind.STATE)


def event_message(
    context: MessageContext, rule: Rule, decision: RuleDecision, *, drill: bool = False
) -> Message:
    """An edge of a rule, never retained.

    Args:
        context: Sender and time.
        rule: The rule.
        decision: With an edge.
        drill: A test of the delivery: marked as such, and without an action.
    """
    edge, evidence = decision.edge, decision.evidence
    assert edge is not None, "no edge, no event"
    ends = edge is Edge.CLEARED
    valid = EVENT_VALID if rule.now or ends else timedelta(hours=rule.within_h)
    key = f"alert/{rule.name}/{edge}/{_history(decision.latch)}"
    if drill:
        valid, key = DRILL_VALID, f"alert/{rule.name}/drill"
    text = texts.alert_text(
        context.locale, rule, edge, evidence, now=context.now, lasted=decision.lasted
    )
    if drill:
        text = texts.drill_text(context.locale, text)
    payload = fill(
        AlertEvent,
        envelope.base(context, "alert-event", key, valid=valid, every=_SECOND),
        rule_facts(rule, decision.latch, evidence),
        {
            "event_type": edge.value,
            "text": text,
            "reason": _reason(rule, edge, evidence),
            "lasted_s": int(decision.lasted.total_seconds()) if ends else None,
            "inputs": context.inputs,
            "action": None
            if drill or edge is not Edge.RAISED
            else _action_order(rule, context.now),
            "drill": drill,
        },
    )
    event = envelope.passing(context.topics.alert_event(rule.name), payload, Kind.ALERT)
    # Every start and end is sent. Of updates that wait for the broker, the last one is enough.
    return replace(event, collapse=f"{event.topic}/news") if edge is Edge.UPDATED else event


def retired_message(context: MessageContext, latch: Latch) -> Message:
    """End of a told alert whose rule is gone."""
    text = texts.retired_text(context.locale, latch.rule)
    return _ended(context, latch, text, "the rule was taken out of the configuration")


def changed_message(context: MessageContext, latch: Latch) -> Message:
    """End of a told alert whose rule has another meaning now."""
    text = texts.changed_text(context.locale, latch.rule)
    return _ended(context, latch, text, "the rule was changed in the configuration")


def renamed_message(context: MessageContext, latch: Latch) -> Message:
    """End of a told alert of a device that has another name now."""
    text = texts.renamed_text(context.locale, latch.rule)
    return _ended(context, latch, text, "the device was renamed; it goes on under its new name")


def _ended(context: MessageContext, latch: Latch, text: str, reason: str) -> Message:
    """End of an alert that the evidence did not end."""
    rule = latch.last_rule
    assert rule is not None, "an alert that was told remembers its rule"
    payload = fill(
        AlertEvent,
        envelope.base(
            context, "alert-event", f"alert/{latch.rule}/cleared/{_history(latch)}", every=_SECOND
        ),
        rule_facts(rule, latch, Evidence()),
        {
            "event_type": "cleared",
            "rule": latch.rule,
            "text": text,
            "reason": reason,
            "lasted_s": int(lasted(latch, context.now).total_seconds()),
            "inputs": (),
            "action": None,
            "drill": False,
        },
    )
    return envelope.passing(context.topics.alert_event(latch.rule), payload, Kind.ALERT)


def advice_message(context: MessageContext, crop: str, advice: Advice) -> Message:
    """Watering advice, retained with expiry."""
    payload = fill(
        AdvicePayload,
        envelope.base(context, "advice", "advice/irrigation"),
        advice_facts(crop, advice),
        {
            "text": texts.advice_text(context.locale, advice, context.now),
            "inputs": context.inputs,
        },
    )
    return envelope.state(context.topics.irrigation, payload, Kind.STATE)


def advice_facts(crop: str, advice: Advice) -> dict[str, Any]:
    """Advice rounded for messages and answers, by the keys of `payloads.AdvicePayload`."""
    return {
        "crop": crop,
        "need_mm": rounded(advice.need_mm, 1),
        "volume_l": rounded(advice.volume_l, 0),
        "start": advice.start,
        "end": advice.end,
        "depletion_mm": rounded(advice.water.depletion_mm, 1),
        "readily_mm": rounded(advice.readily_mm, 1),
        "demand_mm": rounded(advice.demand_mm, 1),
        "rain_mm": rounded(advice.rain_mm, 1),
        "measured": advice.measured,
        "balance": balance_of(advice.water),
    }


def balance_of(water: SoilWater) -> WaterBalance:
    """Soil water rounded for messages and answers."""
    values = {
        name: rounded(value, 2) if isinstance(value, float) else value
        for name, value in asdict(water).items()
    }
    return fill(WaterBalance, values)


def _history(latch: Latch) -> str:
    """What tells an edge from one that a wrong clock dated to the same second."""
    return envelope.digest([latch.raised_at, latch.ended_at, latch.raises])


def _action_order(rule: Rule, now: datetime) -> ActionOrder | None:
    if rule.action is None:
        return None
    return ActionOrder(
        command=rule.action.command,
        value=rule.action.value,
        expires_at=now.replace(microsecond=0) + timedelta(seconds=rule.action.expires_s),
        max_run_s=rule.action.max_run_s,
    )


def _reason(rule: Rule, edge: Edge, evidence: Evidence) -> str:
    event = " and ".join(_compared(condition, rule) for condition in rule.conditions)
    if rule.now:
        return f"{event}: {_measured(rule, evidence)} is {_shown(evidence.value)}"
    run = f", {rule.for_h} h in a row" if rule.for_h > 1 else ""
    chance = (
        f"P({event}{run}) within {rule.within_h} h is "
        f"{_shown(shown_chance(evidence.probability))}, limit {plain(rule.probability)}"
    )
    if evidence.probability is None:
        found = "is forecast" if evidence.met else "is not forecast"
        chance = f"{event}{run} within {rule.within_h} h {found}"
    if evidence.source:
        chance += f", by {evidence.source}"
    if edge is Edge.CLEARED and rule.clear is not None:
        if evidence.probability is None:
            return f"{chance}, nor is the clear level {plain(rule.clear)}"
        return f"{chance}; chance of the clear level {plain(rule.clear)} fell below the limit too"
    return f"{chance}; first at {evidence.hour:%Y-%m-%dT%H:%MZ}" if evidence.hour else chance


def _compared(condition: Condition, rule: Rule) -> str:
    what, hours = condition.quantity, condition.over_h or rule.within_h
    if condition.aggregate:
        what = f"{condition.aggregate} of {what} over {hours} h"
    return f"{what} {condition.operator} {plain(condition.threshold)}"


def _measured(rule: Rule, evidence: Evidence) -> str:
    """What the value of a live rule is."""
    if evidence.source:
        return f"newest hour of {evidence.source}"
    if rule.quantity == RAIN:
        return f"{rule.role} sum of the last 60 min"
    if rule.quantity == WIND_FROM_DIRECTION:
        return f"newest {rule.role} reading"
    return f"{rule.role} reading of now (median of the newest three, else the newest)"


def _shown(value: float | None) -> str:
    return "unknown" if value is None else fixed(value, 2)
