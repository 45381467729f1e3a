"""Alert states, edges and watering advice -> messages for the outbox. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.alerts import texts
from edge_agent.alerts.state_machine import Edge
from edge_agent.messages import envelope
from edge_agent.messages.message import Kind
from edge_agent.messages.payloads import ActionOrder, AdvicePayload, AlertEvent, AlertState
from edge_agent.messages.status import rounded

if TYPE_CHECKING:
    from edge_agent.agronomy.irrigation import Advice
    from edge_agent.alerts.evaluation import RuleDecision
    from edge_agent.alerts.evidence import Evidence
    from edge_agent.alerts.state_machine import Latch
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message
    from edge_agent.settings import Rule

_SECOND: Final = timedelta(seconds=1)
DRILL_VALID: Final = timedelta(minutes=15)
"""A drill that comes late proves nothing."""
EVENT_VALID: Final = timedelta(hours=24)
"""How long the news of an edge is worth sending when no forecast window says otherwise."""


def state_message(context: MessageContext, rule: Rule, latch: Latch, evidence: Evidence) -> Message:
    """Level of a rule now, retained; newest wins."""
    payload = AlertState(
        **envelope.base(context, "alert-state", f"alert/{rule.name}/state"),
        rule=rule.name,
        level=latch.level.value,
        severity=rule.severity,
        since=latch.since,
        quantity=rule.quantity,
        unit=texts.unit_of(rule.quantity),
        operator=rule.operator,
        threshold=rule.threshold,
        value=rounded(evidence.value),
        probability=rounded(evidence.probability, 3),
        first_hour=evidence.hour,
    )
    return envelope.state(context.topics.alert_state(rule.name), payload, Kind.STATE)


def event_message(
    context: MessageContext, rule: Rule, verdict: RuleDecision, *, drill: bool = False
) -> Message:
    """An edge of a rule, never retained.

    Args:
        context: Who speaks.
        rule: The rule.
        verdict: What was decided, with an edge.
        drill: Only to try the chain: marked as such, and without an action.
    """
    edge, evidence, lasted = verdict.edge, verdict.evidence, verdict.lasted
    assert edge is not None, "no edge, no event"
    ends = edge is Edge.CLEARED
    valid = EVENT_VALID if rule.now or ends else timedelta(hours=rule.within_h)
    key = f"alert/{rule.name}/{edge}"
    if drill:
        valid, key = DRILL_VALID, f"alert/{rule.name}/drill"
    action = None
    if rule.action is not None and edge is Edge.RAISED and not drill:
        action = ActionOrder(
            command=rule.action.command,
            value=rule.action.value,
            expires_at=context.now.replace(microsecond=0)
            + timedelta(seconds=rule.action.expires_s),
            max_run_s=rule.action.max_run_s,
        )
    text = texts.alert_text(context.locale, rule, edge, evidence, now=context.now, lasted=lasted)
    if drill:
        text = texts.drill_text(context.locale, text)
    payload = AlertEvent(
        **envelope.base(context, "alert-event", key, valid=valid, every=_SECOND),
        event_type=edge.value,
        rule=rule.name,
        severity=rule.severity,
        text=text,
        reason=_reason(rule, edge, evidence),
        quantity=rule.quantity,
        unit=texts.unit_of(rule.quantity),
        operator=rule.operator,
        threshold=rule.threshold,
        value=rounded(evidence.value),
        probability=rounded(evidence.probability, 3),
        first_hour=evidence.hour,
        lasted_s=int(lasted.total_seconds()) if ends else None,
        inputs=context.inputs,
        action=action,
        drill=drill,
    )
    made = envelope.passing(context.topics.alert_event(rule.name), payload, Kind.ALERT)
    # Starts are told each; of what followed while nobody could be reached, the last will do.
    return made if drill or edge is Edge.RAISED else replace(made, collapse=f"{made.topic}/news")


def retired_messages(context: MessageContext, latch: Latch) -> tuple[Message, Message]:
    """End of a raised alert whose rule is gone: its last edge, and its retained state taken back.

    Args:
        context: Who speaks.
        latch: As it stood raised.
    """
    rule = latch.last_rule
    assert rule is not None, "a raised latch remembers its rule"
    lasted = context.now - latch.since if latch.since is not None else timedelta(0)
    payload = AlertEvent(
        **envelope.base(context, "alert-event", f"alert/{latch.rule}/cleared", every=_SECOND),
        event_type="cleared",
        rule=latch.rule,
        severity=rule.severity,
        text=texts.retired_text(context.locale, latch.rule),
        reason="the rule was taken out of the configuration",
        quantity=rule.quantity,
        unit=texts.unit_of(rule.quantity),
        operator=rule.operator,
        threshold=rule.threshold,
        value=None,
        probability=None,
        first_hour=None,
        lasted_s=int(lasted.total_seconds()),
        inputs=(),
        action=None,
        drill=False,
    )
    topic = context.topics.alert_state(latch.rule)
    return (
        envelope.passing(context.topics.alert_event(latch.rule), payload, Kind.ALERT),
        envelope.forget(topic, f"{payload.id}/forget"),
    )


def advice_message(context: MessageContext, crop: str, advice: Advice) -> Message:
    """Watering advice, retained with expiry."""
    payload = AdvicePayload(
        **envelope.base(context, "advice", "advice/irrigation"),
        crop=crop,
        need_mm=round(advice.need_mm, 1),
        volume_l=None if advice.volume_l is None else round(advice.volume_l, 0),
        start=advice.start,
        end=advice.end,
        depletion_mm=round(advice.depletion_mm, 1),
        readily_mm=round(advice.readily_mm, 1),
        demand_mm=round(advice.demand_mm, 1),
        rain_mm=rounded(advice.rain_mm, 1),
        measured=advice.measured,
        text=texts.advice_text(context.locale, advice, context.now),
        inputs=context.inputs,
    )
    return envelope.state(context.topics.irrigation, payload, Kind.STATE)


def _reason(rule: Rule, edge: Edge, evidence: Evidence) -> str:
    what = f"{rule.quantity} {rule.operator} {rule.threshold:g}"
    if rule.now:
        return f"{what}: newest {rule.role} reading is {_shown(evidence.value)}"
    run = f", {rule.for_h} h in a row" if rule.for_h > 1 else ""
    chance = (
        f"P({what}{run}) within {rule.within_h} h is {_shown(evidence.probability)}, "
        f"limit {rule.probability:g}"
    )
    if edge is Edge.CLEARED and rule.clear is not None:
        return f"{chance}; chance of the clear level {rule.clear:g} fell below the limit too"
    return f"{chance}; first at {evidence.hour:%Y-%m-%dT%H:%MZ}" if evidence.hour else chance


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
