"""How good the alerts of a replay were, rule by rule. Pure.

P1  At each hour a rule says yes (its alert stands) or no. The event happens when, in the
window it speaks of, `for_h` observed hours in a row meet the threshold. Hours whose window
holds a missing value and no event are not judged.
P2  POD, FAR and CSI are those of forecast verification: hits / events, false alarms / yes,
hits / (hits + misses + false alarms).
P3  Lead of an onset: hours between the raise of the alert that stood then, and the first hour
of an event that follows a day without. An onset without an alert is a miss, not lead 0.
P4  A flap is an alert that was raised and cleared within three hours.
P5  Beside it, on the same hours: single hours `AHEAD` ahead, yes where the chance of that hour
reaches the rule's limit; and bare thresholds on points, yes where the point meets it: the
release's own point, the value of a day before (persistence), and any that the caller brings.
A bare alert stands as long as its hour ahead says yes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.agronomy.derived import needed_for, target_of, values_of
from edge_agent.alerts.state_machine import Edge
from edge_agent.contract import events
from edge_agent.contract.forecast import Forecast, TargetForecast
from edge_agent.contract.hours import start_of_hour
from edge_agent.contract.schema import TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.forecast import NoForecast
    from edge_agent.core.cycle import Decision
    from edge_agent.settings import Rule

_HOUR: Final = timedelta(hours=1)
FLAP: Final = timedelta(hours=3)
_QUIET_H: Final = 24


AHEAD: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class HourScore:
    """Figures of single hours `AHEAD` ahead (P5), and of the alert that they alone would make."""

    hours: int
    event_hours: int
    pod: float | None
    far: float | None
    csi: float | None
    alerts: int
    flaps: int


@dataclass(frozen=True, slots=True)
class RuleScore:
    """Figures of one rule; None where there was nothing to divide by.

    `ahead` has one entry for the rule's chance (`chance`) and one for each bare threshold.
    """

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
    ahead: Mapping[str, HourScore]


@dataclass
class AlertScorer:
    """Takes the decisions of a replay one by one; `score` sums them up.

    Args:
        rule: A forecast rule.
        observations: Hourly rows that reach a window beyond the last decision.
        others: Point forecasts `AHEAD` ahead by other systems: name -> rows of valid hours.
    """

    rule: Rule
    observations: pl.DataFrame
    others: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    _met: dict[datetime, bool | None] = field(init=False)
    _table: Counter[tuple[bool, bool]] = field(init=False, default_factory=Counter)
    _raised: datetime | None = field(init=False, default=None)
    _hours: int = field(init=False, default=0)
    _alerts: int = field(init=False, default=0)
    _flaps: int = field(init=False, default=0)
    _quiet: int = field(init=False, default=_QUIET_H)
    _leads: list[float | None] = field(init=False, default_factory=list)
    _brought: dict[str, dict[datetime, bool | None]] = field(init=False)
    _ahead: dict[str, _Hours] = field(init=False)

    def __post_init__(self) -> None:
        self._met = _meets(self.rule, self.observations)
        self._brought = {name: _meets(self.rule, frame) for name, frame in self.others.items()}
        names = ("chance", "point", "persistence", *self.others)
        self._ahead = {name: _Hours() for name in names}

    def add(self, decision: Decision) -> None:
        """Take one hour."""
        hour = start_of_hour(decision.at)
        self._onset(hour)
        for name, edge, _ in decision.edges:
            if name == self.rule.name:
                self._edge(edge, hour)
        self._hours += 1
        happened = self._happens(hour)
        if happened is not None:
            self._table[self._raised is not None, happened] += 1
        self._hour_ahead(decision.forecast, hour)

    def score(self) -> RuleScore:
        """Figures so far."""
        hits = self._table[True, True]
        misses = self._table[False, True]
        false = self._table[True, False]
        leads = [lead for lead in self._leads if lead is not None]
        return RuleScore(
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
            ahead={name: hours.score() for name, hours in self._ahead.items()},
        )

    def _hour_ahead(self, forecast: Forecast | NoForecast, hour: datetime) -> None:
        at = hour + AHEAD
        said = {"persistence": self._met.get(hour)}
        said |= {name: met.get(at) for name, met in self._brought.items()}
        said |= self._by_forecast(forecast, at)
        truth = self._met.get(at)
        if truth is None or None in said.values():
            return
        for name, yes in said.items():
            self._ahead[name].add(bool(yes), truth, hour)

    def _by_forecast(self, forecast: Forecast | NoForecast, at: datetime) -> dict[str, bool | None]:
        unknown = dict.fromkeys(("chance", "point"))
        if not isinstance(forecast, Forecast) or at not in forecast.valid_at:
            return unknown
        row = slice(index := list(forecast.valid_at).index(at), index + 1)
        targets = {
            name: TargetForecast(t.unit, t.values[row], t.levels, t.quantiles[row])
            for name, t in forecast.targets.items()
        }
        one = target_of(replace(forecast, targets=targets), self.rule.quantity)
        if one is None:
            return unknown
        chance = float(one.probability(self.rule.operator, self.rule.threshold)[0])
        return {
            "chance": chance >= self.rule.probability,
            "point": bool(events.meets(one.values[0], self.rule.operator, self.rule.threshold)),
        }

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
        window = (self._met.get(hour + i * _HOUR) for i in range(1, self.rule.within_h + 1))
        return events.happened(window, self.rule.for_h)


@dataclass
class _Hours:
    """Yes and no, hour by hour."""

    _table: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    _since: datetime | None = None
    _alerts: int = 0
    _flaps: int = 0

    def add(self, yes: bool, truth: bool, hour: datetime) -> None:
        self._table[yes, truth] += 1
        if yes and self._since is None:
            self._since = hour
            self._alerts += 1
        elif not yes and self._since is not None:
            self._flaps += hour - self._since <= FLAP
            self._since = None

    def score(self) -> HourScore:
        hits, misses = self._table[True, True], self._table[False, True]
        false = self._table[True, False]
        return HourScore(
            hours=self._table.total(),
            event_hours=hits + misses,
            pod=_ratio(hits, hits + misses),
            far=_ratio(false, hits + false),
            csi=_ratio(hits, hits + misses + false),
            alerts=self._alerts,
            flaps=self._flaps,
        )


def _meets(rule: Rule, observations: pl.DataFrame) -> dict[datetime, bool | None]:
    names = needed_for(rule.quantity)
    known = {name: observations[name].cast(pl.Float64).to_numpy() for name in names}
    met = events.hours_met(values_of(rule.quantity, known), rule.operator, rule.threshold)
    return dict(zip(observations[TIME], met, strict=True))


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None
