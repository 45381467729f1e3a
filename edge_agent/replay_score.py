"""How good the alerts of a replay were, rule by rule. Pure.

P1  At each hour a rule says yes (its alert stands) or no. The event happens when, in the
window it speaks of, `for_h` observed hours in a row meet the threshold. Hours whose window
holds a missing value and no event are not judged.
P2  POD, FAR and CSI are those of forecast verification: hits / events, false alarms / yes,
hits / (hits + misses + false alarms).
P3  Lead of an onset: hours between the raise of the alert that stood then, and the first hour
of an event that follows a day without. An onset without an alert is a miss, not lead 0.
P4  A flap is an alert that was raised and cleared within three hours.
"""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.agronomy.psychrometrics import VPD, deficit_kpa
from edge_agent.alerts.rules import Edge
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME

if TYPE_CHECKING:
    from edge_agent.config_structs import Rule
    from edge_agent.cycle import Decision

_MEETS: Final = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
_HOUR: Final = timedelta(hours=1)
FLAP: Final = timedelta(hours=3)
_QUIET_H: Final = 24


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of one rule; None where there was nothing to divide by."""

    rule: str
    hours: int
    event_hours: int
    pod: float | None
    far: float | None
    csi: float | None
    onsets: int
    onsets_warned: int
    median_lead_h: float | None
    alerts: int
    alerts_per_week: float | None
    flaps: int


@dataclass
class Scorer:
    """Takes the decisions of a replay one by one; `score` sums them up.

    Args:
        rule: A forecast rule.
        observations: Hourly rows that reach a window beyond the last decision.
    """

    rule: Rule
    observations: pl.DataFrame
    _met: dict[datetime, bool | None] = field(init=False)
    _table: Counter[tuple[bool, bool]] = field(init=False, default_factory=Counter)
    _raised: datetime | None = field(init=False, default=None)
    _hours: int = field(init=False, default=0)
    _alerts: int = field(init=False, default=0)
    _flaps: int = field(init=False, default=0)
    _quiet: int = field(init=False, default=_QUIET_H)
    _leads: list[float | None] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._met = _meets(self.rule, self.observations)

    def add(self, decision: Decision) -> None:
        """Take one hour."""
        hour = decision.at.replace(minute=0, second=0, microsecond=0)
        self._onset(hour)
        for name, edge, _ in decision.edges:
            if name == self.rule.name:
                self._edge(edge, hour)
        self._hours += 1
        happened = self._happens(hour)
        if happened is not None:
            self._table[self._raised is not None, happened] += 1

    def score(self) -> Score:
        """Figures so far."""
        hits = self._table[True, True]
        misses = self._table[False, True]
        false = self._table[True, False]
        leads = [lead for lead in self._leads if lead is not None]
        return Score(
            rule=self.rule.name,
            hours=self._hours,
            event_hours=hits + misses,
            pod=_ratio(hits, hits + misses),
            far=_ratio(false, hits + false),
            csi=_ratio(hits, hits + misses + false),
            onsets=len(self._leads),
            onsets_warned=len(leads),
            median_lead_h=median(leads) if leads else None,
            alerts=self._alerts,
            alerts_per_week=_ratio(self._alerts * 168, self._hours),
            flaps=self._flaps,
        )

    def _edge(self, edge: Edge, hour: datetime) -> None:
        if edge is Edge.RAISED:
            self._alerts += 1
            self._raised = hour
        elif edge is Edge.CLEARED and self._raised is not None:
            self._flaps += hour - self._raised <= FLAP
            self._raised = None

    def _onset(self, hour: datetime) -> None:
        met = self._met.get(hour)
        if met and self._quiet >= _QUIET_H:
            lead = None if self._raised is None else (hour - self._raised) / _HOUR
            self._leads.append(lead)
        self._quiet = 0 if met else self._quiet + 1

    def _happens(self, hour: datetime) -> bool | None:
        window = [self._met.get(hour + i * _HOUR) for i in range(1, self.rule.within_h + 1)]
        run = 0
        for met in window:
            run = run + 1 if met else 0
            if run >= self.rule.for_h:
                return True
        return None if None in window else False


def _meets(rule: Rule, observations: pl.DataFrame) -> dict[datetime, bool | None]:
    if rule.quantity == VPD:
        both = observations.select(AIR_TEMPERATURE, RELATIVE_HUMIDITY)
        values = pl.Series(deficit_kpa(*both.to_numpy().T)).fill_nan(None)
    else:
        values = observations[rule.quantity]
    compare = _MEETS[rule.operator]
    return {
        at: None if value is None else compare(value, rule.threshold)
        for at, value in zip(observations[TIME], values, strict=True)
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None
