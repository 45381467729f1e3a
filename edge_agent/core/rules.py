"""Evaluates every rule of the configuration in one cycle, and collects what each one yields."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import msgspec

from edge_agent.alerts import decision_record, default_rules, orders
from edge_agent.alerts import messages as alert_messages
from edge_agent.alerts.evaluation import DecisionInputs, evaluate_rule
from edge_agent.alerts.state_machine import Edge, Latch, meaning_changed, retire
from edge_agent.alerts.windows import is_scored
from edge_agent.contract.forecast import Forecast
from edge_agent.core import cross_check
from edge_agent.forecasting import verification
from edge_agent.messages.payloads import Input

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edge_agent.alerts.evaluation import RuleDecision
    from edge_agent.alerts.evidence import Evidence
    from edge_agent.contract.forecast import NoForecast
    from edge_agent.core.cross_check import CrossCheck
    from edge_agent.core.cycle_context import CycleContext
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.message import Message
    from edge_agent.settings import Config, Rule


Kind = Literal["live", "forecast"]


def rules_of(config: Config) -> tuple[Rule, ...]:
    """The rules in force."""
    return default_rules.in_force(config)


def watched(context: CycleContext, now: datetime) -> Sequence[Rule]:
    """Those in force, without built-in ones on what only KMA's forecast has where none ever came.

    Raises:
        StorageError: The disk refused.
    """
    every, config = rules_of(context.config), context.config
    if context.guidance.came(now):
        return every
    return [rule for rule in every if not default_rules.needs_guidance(config, rule)]


@dataclass(slots=True)
class RuleResults:
    """What all rules yield together.

    Attributes:
        edges: Rule, edge and message of every alert edge.
        records: Inputs of each edge by its message id, see `alerts.decision_record`.
        chances: Event probability by `verification.meaning` of the rule.
        latches: Latches of all rules.
        changed: Those that changed.
        orders: Starts sent anew, since nobody heard the first one with its action.
        withdrawn: Ids of the events that these replace.
        moved: Rules whose state is news: level, known or not, what holds an edge back.
        unknown: Rules without enough data.
        states: State messages.
    """

    edges: list[tuple[str, Edge, Message]] = field(default_factory=list)
    records: dict[str, bytes] = field(default_factory=dict)
    chances: dict[str, float] = field(default_factory=dict)
    latches: list[Latch] = field(default_factory=list)
    changed: list[Latch] = field(default_factory=list)
    orders: list[Message] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    states: list[Message] = field(default_factory=list)

    def add(
        self,
        before: Latch,
        case: DecisionInputs,
        verdict: RuleDecision,
        message_context: MessageContext,
        heard: Callable[[str], bool],
    ) -> None:
        """Add the verdict on one rule whose stored latch is `before`, and its messages.

        Args:
            before: As it is stored.
            case: What the verdict was made from.
            verdict: The verdict.
            message_context: Of the rule's messages.
            heard: Whether a subscriber has got the event of an id.
        """
        rule, evidence = case.rule, verdict.evidence
        latch = self._with_order(case, verdict, message_context, heard)
        self.latches.append(latch)
        if latch != before:
            self.changed.append(latch)
        if latch.changed_at != before.changed_at:
            self.moved.add(rule.name)
        if evidence.probability is not None and is_scored(rule):
            self.chances[verification.meaning(rule)] = evidence.probability
        if evidence.met is None:
            self.unknown.append(rule.name)
        self.states.append(alert_messages.state_message(message_context, rule, latch, evidence))

    def _with_order(
        self,
        case: DecisionInputs,
        verdict: RuleDecision,
        message_context: MessageContext,
        heard: Callable[[str], bool],
    ) -> Latch:
        """Add the event of the verdict, or of an order that is due; the latch with its order."""
        rule, latch = case.rule, verdict.latch
        event: Message | None = None
        if verdict.edge is not None:
            event = alert_messages.event_message(message_context, rule, verdict)
            self.edges.append((rule.name, verdict.edge, event))
            self.records[event.id] = decision_record.to_bytes(case)
        if verdict.edge is not Edge.RAISED:
            event = None
            if latch.order_id and heard(latch.order_id):
                return msgspec.structs.replace(latch, order_id="", ordered_at=None)
            if latch.order_id and orders.is_due(rule, latch, verdict.evidence, case.now):
                again = replace(verdict, edge=Edge.RAISED)
                event = alert_messages.event_message(message_context, rule, again)
                self.orders.append(event)
                self.withdrawn.append(latch.order_id)
        if event is None or rule.action is None:
            return latch
        return msgspec.structs.replace(latch, order_id=event.id, ordered_at=case.now)

    def end_changed(self, latch: Latch, message_context: MessageContext) -> Latch:
        """End the alert of a rule whose meaning changed; the latch that the new one begins with."""
        begun, edge = retire(latch, message_context.now)
        if edge is not None:
            event = alert_messages.changed_message(message_context, latch)
            self.edges.append((latch.rule, edge, event))
        return begun


def evaluate(
    context: CycleContext,
    message_context: MessageContext,
    forecast: Forecast | NoForecast,
    check: CrossCheck,
    *,
    forecast_at: datetime | None = None,
    only: Kind | None = None,
) -> RuleResults:
    """Evaluate the rules; nothing is written.

    Args:
        context: What the cycle works with.
        message_context: Of the cycle; messages of live rules name their sensors instead.
        forecast: What forecast rules look at.
        check: What critical rules look at besides.
        forecast_at: Time of the cycle that made it the newest one; None: now.
        only: Leave the rules of the other kind out.
    """
    latches = context.latches.all()
    results = RuleResults()
    for rule in watched(context, message_context.now):
        if only is not None and rule.now != (only == "live"):
            continue
        before = latches.get(rule.name, Latch(rule=rule.name))
        changed = meaning_changed(rule, before)
        case = replace(
            inputs_of(context, rule, forecast, check, message_context.now),
            latch=results.end_changed(before, message_context) if changed else before,
            clock=message_context.clock,
            forecast_at=None if rule.now else forecast_at,
        )
        verdict = evaluate_rule(case)
        rule_context = _context_of(message_context, case, verdict.evidence)
        results.add(before, case, verdict, rule_context, context.queue.heard)
    return results


def inputs_of(
    context: CycleContext,
    rule: Rule,
    forecast: Forecast | NoForecast | None,
    check: CrossCheck,
    now: datetime,
) -> DecisionInputs:
    """What a decision about a rule is made from, for a clear latch and a clock that is trusted.

    Args:
        context: What the cycle works with.
        rule: The rule.
        forecast: What forecast rules look at.
        check: What critical rules look at besides.
        now: UTC.
    """
    config = context.config
    return DecisionInputs(
        rule=rule,
        latch=Latch(rule=rule.name),
        now=now,
        clock="trusted",
        zone=config.device.timezone,
        daily_cap=config.limits.alerts_per_day,
        quiet_hours=config.quiet_hours,
        forecast=forecast if isinstance(forecast, Forecast) and not rule.now else None,
        readings=tuple(context.readings(rule, now)) if rule.now else (),
        relayed=cross_check.relayed_of(context, rule, check, now),
    )


def input_of(name: str, at: datetime, now: datetime) -> Input:
    """An input of a decision, with its age."""
    return Input(name=name, at=at, age_s=max(int((now - at).total_seconds()), 0))


def _context_of(
    message_context: MessageContext, case: DecisionInputs, evidence: Evidence
) -> MessageContext:
    """Context of the messages of a rule: they name what its evidence is from."""
    rule, now, relayed = case.rule, message_context.now, case.relayed
    if rule.now:
        inputs: tuple[Input, ...] = ()
        if evidence.hour is not None:
            name = evidence.source or f"sensor:{rule.role}"
            inputs = (input_of(name, evidence.hour, now),)
        return replace(message_context, source="sensor", release=None, inputs=inputs)
    if not evidence.source or relayed is None or relayed.forecast is None:
        return message_context
    return replace(
        message_context,
        source=relayed.forecast.source.value,
        inputs=(input_of(relayed.source, relayed.forecast.origin, now), *message_context.inputs),
    )
