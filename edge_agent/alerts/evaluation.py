"""All that one decision about one rule rests on, and the decision. Pure.

The cycle decides by it, and what it decided on is kept as bytes (`frozen`): so an alert can be
worked out again by the very same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edge_agent.alerts.evidence import Evidence, Measured, from_forecast, from_readings
from edge_agent.alerts.quiet_hours import quiet, tell
from edge_agent.alerts.state_machine import Edge, Latch, Level, step

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.contract.forecast import Forecast
    from edge_agent.settings import QuietHours, Rule


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """One rule at one moment.

    Attributes:
        rule: The rule.
        latch: What was remembered of it.
        now: Aware UTC time.
        clock: How far that can be trusted.
        zone: Name of the farm's zone.
        daily_cap: Most alerts of the rule in a day.
        quiet_hours: From the configuration.
        forecast: For a forecast rule; None where there is none.
        readings: For a live rule, see `evidence.from_readings`.
    """

    rule: Rule
    latch: Latch
    now: datetime
    clock: ClockState
    zone: str
    daily_cap: int
    quiet_hours: QuietHours
    forecast: Forecast | None = None
    readings: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """What was decided.

    Attributes:
        evidence: What is known.
        latch: What to remember.
        edge: What to tell people; None = nothing.
        lasted: For an end, how long the alert stood.
    """

    evidence: Evidence
    latch: Latch
    edge: Edge | None
    lasted: timedelta


def judge(case: DecisionInputs) -> RuleDecision:
    """Evidence, state machine and quiet hours, one after the other."""
    rule, now, zone = case.rule, case.now, ZoneInfo(case.zone)
    evidence = (
        from_readings(rule, case.readings) if rule.now else from_forecast(rule, case.forecast, now)
    )
    after, edge = step(rule, case.latch, evidence, now, daily_cap=case.daily_cap, zone=zone)
    wait = quiet(case.quiet_hours, rule, now, zone, case.clock)
    latch, told = tell(case.latch, after, edge, evidence, wait=wait)
    return RuleDecision(evidence, latch, told, _lasted(latch))


def _lasted(latch: Latch) -> timedelta:
    """How long the newest alert stood, once it has ended."""
    if latch.level is Level.RAISED or latch.since is None or latch.raised_at is None:
        return timedelta(0)
    return latch.since - latch.raised_at
