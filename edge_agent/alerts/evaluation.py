"""One decision about one rule: its inputs, and the decision. Pure.

The cycle decides by it. The inputs of an alert are stored (`decision_record`), so that `explain`
repeats the decision with the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import structs

from edge_agent.alerts.evidence import Evidence, Measured, from_forecast, from_readings, worse
from edge_agent.alerts.quiet_hours import quiet_until
from edge_agent.alerts.state_machine import Edge, Latch, Level, lasted, step

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.contract.forecast import Forecast
    from edge_agent.settings import QuietHours, Rule


@dataclass(frozen=True, slots=True)
class Relayed:
    """What a critical rule looks at besides, so that own sensors hide nothing.

    Attributes:
        source: Relayed source.
        forecast: From it, for a forecast rule.
        readings: Its newest hours, for a live rule.
    """

    source: str
    forecast: Forecast | None = None
    readings: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """Inputs of one decision about one rule.

    Attributes:
        rule: The rule.
        latch: Its state before.
        now: UTC.
        clock: How far that time can be trusted.
        zone: Name of the farm's zone.
        daily_cap: Most alerts of the rule in a day.
        quiet_hours: From the configuration.
        forecast: For a forecast rule; None where there is none.
        readings: For a live rule, see `evidence.from_readings`.
        relayed: What the rule looks at besides, or None.
        forecast_at: When the forecast was made the newest one; None: now.
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
    relayed: Relayed | None = None
    forecast_at: datetime | None = None

    @property
    def evidence(self) -> Evidence:
        """About the rule: the worse of both where it looks at a relayed source besides (E7)."""
        own = self._evidence(self.forecast, self.readings)
        if self.relayed is None:
            return own
        other = self._evidence(self.relayed.forecast, self.relayed.readings)
        return worse(own, replace(other, source=self.relayed.source))

    def _evidence(self, forecast: Forecast | None, readings: tuple[Measured, ...]) -> Evidence:
        if self.rule.now:
            return from_readings(self.rule, readings)
        return from_forecast(self.rule, forecast, self.forecast_at or self.now)


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """One decision about one rule.

    Attributes:
        evidence: Of forecast or sensor.
        latch: Its state after.
        edge: To notify people of; None = nothing.
        lasted: How long the newest alert stood.
    """

    evidence: Evidence
    latch: Latch
    edge: Edge | None
    lasted: timedelta


def evaluate_rule(inputs: DecisionInputs) -> RuleDecision:
    """Decide by the evidence, the state machine and what holds edges back."""
    rule, now, zone = inputs.rule, inputs.now, ZoneInfo(inputs.zone)
    evidence = inputs.evidence
    latch, edge = step(
        rule,
        inputs.latch,
        evidence,
        now,
        daily_cap=inputs.daily_cap,
        zone=zone,
        quiet_until=quiet_until(inputs.quiet_hours, rule, now, zone, inputs.clock),
    )
    if inputs.clock == "untrusted":
        # A time of this clock is no beginning from which an alert's length is counted.
        begun = latch.level is Level.RAISED and inputs.latch.level is Level.CLEAR
        latch = structs.replace(latch, raised_at=None if begun else inputs.latch.raised_at)
    return RuleDecision(evidence, latch, edge, lasted(latch, now))
