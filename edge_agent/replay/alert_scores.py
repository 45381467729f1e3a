"""Scores of the alerts of a replay, rule by rule. Pure.

P1  At each hour a rule says yes (its alert stands) or no. The event happens when, in the window
    of the rule, `for_h` observed hours in a row meet the threshold. An hour whose window holds a
    missing value and no event is not scored.
P2  POD, FAR and CSI as in forecast verification: hits / events, false alarms / yes,
    hits / (hits + misses + false alarms).
P3  The lead time of an onset is the time from the raise of the alert that stands then to the first
    hour of an event that follows a day without. An onset without an alert is a miss, not lead 0.
P4  A flap is an alert that was raised and cleared within three hours.
P5  On the same hours, single hours `AHEAD` ahead are scored too. `chance` says yes where the
    chance of that hour reaches the rule's limit. A bare threshold says yes where a point meets it:
    the release's own point, the value of a day before (persistence), and points of the caller.
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
from edge_agent.contract.forecast import Forecast
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
    """Scores of single hours `AHEAD` ahead (P5), and of the alert that they alone would make."""

    hours: int
    event_hours: int
    pod: float | None
    far: float | None
    csi: float | None
    alerts: int
    flaps: int


@dataclass(frozen=True, slots=True)
class RuleScore:
    """Scores of one rule; None where there was nothing to divide by.

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
    _met_by_others: dict[str, dict[datetime, bool | None]] = field(init=False)
    _hours: int = field(init=False, default=0)
    _alert: _ScoredAlert = field(init=False)
    _ahead: dict[str, _ScoredAlert] = field(init=False)
    _quiet_h: int = field(init=False, default=_QUIET_H)
    _leads: list[float | None] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._met = _meets(self.rule, self.observations)
        others = self.others.items()
        self._met_by_others = {name: _meets(self.rule, frame) for name, frame in others}
        self._alert = _ScoredAlert()
        names = ("chance", "point", "persistence", *self.others)
        self._ahead = {name: _ScoredAlert() for name in names}

    def add(self, decision: Decision) -> None:
        """Take one hour."""
        hour = start_of_hour(decision.at)
        self._add_onset(hour)
        for name, edge, _ in decision.edges:
            if name == self.rule.name and edge is Edge.RAISED:
                self._alert.begin(hour)
            elif name == self.rule.name and edge is Edge.CLEARED:
                self._alert.end(hour)
        self._hours += 1
        window = (self._met.get(hour + i * _HOUR) for i in range(1, self.rule.within_h + 1))
        happened = events.happened(window, self.rule.for_h)
        if happened is not None:
            self._alert.table[self._alert.since is not None, happened] += 1
        self._add_hour_ahead(decision.forecast, hour)

    def score(self) -> RuleScore:
        """Scores so far."""
        leads = [lead for lead in self._leads if lead is not None]
        scores = self._alert.score()
        return RuleScore(
            rule=self.rule.name,
            hours=self._hours,
            event_hours=scores.event_hours,
            pod=scores.pod,
            far=scores.far,
            csi=scores.csi,
            onsets=len(self._leads),
            onsets_warned=len(leads),
            median_lead_h=median(leads) if leads else None,
            alerts=scores.alerts,
            alerts_per_week=_ratio(scores.alerts * 168, self._hours),
            flaps=scores.flaps,
            ahead={name: alert.score() for name, alert in self._ahead.items()},
        )

    def _add_hour_ahead(self, forecast: Forecast | NoForecast, hour: datetime) -> None:
        at = hour + AHEAD
        warnings = {"persistence": self._met.get(hour)}
        warnings |= {name: met.get(at) for name, met in self._met_by_others.items()}
        warnings |= self._by_forecast(forecast, at)
        truth = self._met.get(at)
        if truth is None or None in warnings.values():
            return
        for name, yes in warnings.items():
            self._ahead[name].add(bool(yes), truth, hour)

    def _by_forecast(self, forecast: Forecast | NoForecast, at: datetime) -> dict[str, bool | None]:
        unknown = dict.fromkeys(("chance", "point"))
        if not isinstance(forecast, Forecast) or at not in forecast.valid_at:
            return unknown
        row = list(forecast.valid_at).index(at)
        targets = {name: target.at_rows([row]) for name, target in forecast.targets.items()}
        target = target_of(replace(forecast, targets=targets), self.rule.quantity)
        if target is None:
            return unknown
        chance = float(target.probability(self.rule.operator, self.rule.threshold)[0])
        return {
            "chance": chance >= self.rule.probability,
            "point": bool(events.meets(target.values[0], self.rule.operator, self.rule.threshold)),
        }

    def _add_onset(self, hour: datetime) -> None:
        met = self._met.get(hour)
        if met and self._quiet_h >= _QUIET_H:
            since = self._alert.since
            self._leads.append(None if since is None else (hour - since) / _HOUR)
        self._quiet_h = 0 if met else self._quiet_h + 1


@dataclass
class _ScoredAlert:
    """One alert over the hours of a replay, against what happened.

    Attributes:
        table: Contingency table: hours by (the alert stands, the event happens).
        since: When the alert that stands was raised, or None.
        alerts: Number of alerts.
        flaps: How many of them were flaps (P4).
    """

    table: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    since: datetime | None = None
    alerts: int = 0
    flaps: int = 0

    def begin(self, hour: datetime) -> None:
        self.alerts += 1
        self.since = hour

    def end(self, hour: datetime) -> None:
        if self.since is not None:
            self.flaps += hour - self.since <= FLAP
            self.since = None

    def add(self, yes: bool, truth: bool, hour: datetime) -> None:
        """Take an hour in which the alert stands or not."""
        self.table[yes, truth] += 1
        if not yes:
            self.end(hour)
        elif self.since is None:
            self.begin(hour)

    def score(self) -> HourScore:
        hits, misses = self.table[True, True], self.table[False, True]
        false_alarms = self.table[True, False]
        return HourScore(
            hours=self.table.total(),
            event_hours=hits + misses,
            pod=_ratio(hits, hits + misses),
            far=_ratio(false_alarms, hits + false_alarms),
            csi=_ratio(hits, hits + misses + false_alarms),
            alerts=self.alerts,
            flaps=self.flaps,
        )


def _meets(rule: Rule, observations: pl.DataFrame) -> dict[datetime, bool | None]:
    names = needed_for(rule.quantity)
    known = {name: observations[name].cast(pl.Float64).to_numpy() for name in names}
    met = events.hours_met(values_of(rule.quantity, known), rule.operator, rule.threshold)
    return dict(zip(observations[TIME], met, strict=True))


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None
