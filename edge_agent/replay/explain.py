"""Evaluates an alert again from its recorded inputs, hour by hour. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.agronomy.derived import target_of
from edge_agent.alerts import decision_record
from edge_agent.alerts.evaluation import evaluate_rule
from edge_agent.alerts.messages import rule_facts
from edge_agent.alerts.windows import on_target, windows_of
from edge_agent.contract.errors import BadData
from edge_agent.contract.forecast import P10, P90
from edge_agent.contract.numbers import rounded, shown_chance

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.alerts.evaluation import DecisionInputs, RuleDecision
    from edge_agent.alerts.evidence import Evidence
    from edge_agent.alerts.log import RecordedAlert
    from edge_agent.alerts.windows import Windows
    from edge_agent.messages.payloads import AlertEvent


@dataclass(frozen=True, slots=True)
class ExplainedStep:
    """One hour or reading of the rule's window; None = not known, or not a forecast."""

    at: datetime
    value: float | None
    p10: float | None
    p90: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an alert was sent.

    Attributes:
        event: As it was sent.
        case: Its inputs.
        verdict: The result of these inputs now.
        steps: Hours of the window, or readings.
        differences: Keys in which the result differs from what was sent; empty = the same.
    """

    event: AlertEvent
    case: DecisionInputs
    verdict: RuleDecision
    steps: tuple[ExplainedStep, ...]
    differences: tuple[str, ...]


def explain(alert: RecordedAlert) -> Explanation:
    """Evaluate an alert again.

    Raises:
        BadData: Its rule was taken out of the configuration, or its inputs are damaged.
    """
    event = alert.event
    if alert.inputs is None:
        raise BadData(f"{event.id}: nothing was worked out: {event.reason}")
    case = decision_record.from_bytes(alert.inputs)
    verdict = evaluate_rule(case)
    facts = rule_facts(case.rule, verdict.latch, verdict.evidence)
    lasted = int(verdict.lasted.total_seconds()) if event.event_type == "cleared" else None
    again = {
        "event_type": verdict.edge.value if verdict.edge else None,
        **{key: facts[key] for key in ("value", "value_at", "probability", "first_hour")},
        "lasted_s": lasted,
    }
    differences = tuple(
        f"{key}: {getattr(event, key)} was said, {value} comes out"
        for key, value in again.items()
        if getattr(event, key) != value
    )
    return Explanation(event, case, verdict, _steps(case, verdict.evidence), differences)


def _steps(case: DecisionInputs, evidence: Evidence) -> tuple[ExplainedStep, ...]:
    """Of what the evidence is from."""
    basis = case.relayed if case.relayed is not None and evidence.source else case
    if case.rule.now:
        return tuple(
            ExplainedStep(reading.at, rounded(reading.value), None, None, None)
            for reading in basis.readings
        )
    forecast, rule = basis.forecast, case.rule
    if forecast is not None and not on_target(rule):
        windows = windows_of(rule, forecast, case.forecast_at or case.now)
        return () if windows is None else _of_windows(windows)
    target = None if forecast is None else target_of(forecast, rule.quantity)
    if forecast is None or target is None:
        return ()
    chance = target.probability(rule.operator, rule.threshold)
    columns = (target.values, target.quantile(P10), target.quantile(P90), chance)
    return tuple(
        ExplainedStep(at, rounded(value), rounded(low), rounded(high), shown_chance(p))
        for at, value, low, high, p in zip(forecast.valid_at, *columns, strict=True)
    )


def _of_windows(windows: Windows) -> tuple[ExplainedStep, ...]:
    columns = zip(windows.times, windows.values, windows.chances, strict=True)
    return tuple(
        ExplainedStep(
            at,
            rounded(float(value)),
            None,
            None,
            None if windows.certain else shown_chance(rounded(float(chance))),
        )
        for at, value, chance in columns
    )
