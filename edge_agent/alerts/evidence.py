"""Evidence of a forecast or a sensor about a rule. Pure; unknown is None, never a number.

E1  A forecast rule looks at the hours after `now`, up to `within_h` of them: see `windows`.
E2  The chance of `for_h` hours in a row is the smallest of their chances: errors of hours
    next to each other move together. The chance of the window is the largest over its runs:
    a lower bound of "some run in the window", stated as such.
E3  Hours without a number, and normals alone (climatology knows nothing of this day), are no
    evidence. Nothing is raised on them. A rule on one target is not met then. Any other rule is
    unknown until every hour that the forecast covers says that it is not met.
E4  An alert ends only on evidence about every hour of the window that the forecast covers.
E5  A live rule looks at the value now, and for `for_h` > 1 at the hourly values before
    it as well; one of them missing is no evidence.
E6  The value beside the chance is the extreme of the window, with its hour. The hour of the largest
    chance would not do: near 0 and 1 the chances of many hours are the same.
E7  Of two evidences about a critical rule the worse counts, see `worse`.
E8  An optional target (wind speed) is not joined with KMA's forecast. Where that has it too, both
    are asked: the rule is met where one of them meets it, and over where both are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.alerts.windows import Windows, on_target, windows_of
from edge_agent.contract import events
from edge_agent.contract.forecast import Source
from edge_agent.contract.numbers import rounded
from edge_agent.contract.schema import OPTIONAL_TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from edge_agent.contract.forecast import Forecast
    from edge_agent.settings import Rule

_REACH_H: Final = 42


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence about one rule at one moment.

    Attributes:
        met: The rule's condition holds; None = unknown.
        over: The clear level is no longer met, so a raised alert may end; None = unknown.
        probability: Chance of the event, 0..1; None = unknown, also of forecasts without a spread.
            1.0 for a met live rule.
        value: Lowest (for < and <=) or highest number of the window that the rule compares, rounded
            as in the forecast's message; for a live rule the reading; None = unknown.
        value_at: Hour of `value`, the first of several; the time of the reading. With `aggregate`
            the first of the hours that the number is of.
        hour: First hour of the first run that meets the rule; None = no run does. For a live rule
            the time of the reading.
        source: The relayed source that it is from; empty where it is the cycle's own.
    """

    met: bool | None = None
    over: bool | None = None
    probability: float | None = None
    value: float | None = None
    value_at: datetime | None = None
    hour: datetime | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """A live value: `value` is None where there is none; `at` is the time it was measured."""

    at: datetime
    value: float | None


def from_forecast(rule: Rule, forecast: Forecast | None, now: datetime) -> Evidence:
    """Evidence of a forecast about a rule (E1 to E4, E8)."""
    if forecast is None:
        return Evidence()
    own = _from_one(rule, forecast, now)
    twice = forecast.targets.keys() & forecast.points.keys() & set(OPTIONAL_TARGETS)
    if twice.isdisjoint(condition.quantity for condition in rule.conditions):
        return own
    targets = {name: t for name, t in forecast.targets.items() if name not in twice}
    return _either(own, _from_one(rule, replace(forecast, targets=targets), now))


def _either(own: Evidence, other: Evidence) -> Evidence:
    """Of what is known of both (E8)."""
    if other.met is None:
        return own
    if own.met is None:
        return other
    return replace(own if own.met or not other.met else other, over=_over_in_both(own, other))


def _over_in_both(own: Evidence, other: Evidence) -> bool | None:
    """Whether an alert may end by both; None where one of them is unknown and the other says so."""
    if False in {own.over, other.over}:
        return False
    return None if None in {own.over, other.over} else True


def _from_one(rule: Rule, forecast: Forecast, now: datetime) -> Evidence:
    if forecast.source is Source.CLIMATOLOGY:
        return Evidence()
    windows = windows_of(rule, forecast, now)
    if windows is None:
        return Evidence()
    runs = _runs(windows, windows.chances, rule.for_h)
    if not runs:
        return Evidence()
    best = max(chance for _, chance in runs)
    first = next((start for start, chance in runs if chance >= rule.probability), None)
    complete = _are_complete(windows.chances, windows.lag, rule)
    if first is None and not complete and not on_target(rule):
        return Evidence()
    over: bool | None = None
    if complete and _are_complete(windows.held, windows.lag, rule):
        held = _runs(windows, windows.held, rule.for_h)
        over = max(chance for _, chance in held) < rule.probability if held else None
    value, value_at = extreme(windows.times, windows.values, lowest=rule.operator in {"<", "<="})
    return Evidence(
        met=first is not None,
        over=over,
        probability=None if windows.certain else best,
        value=value,
        value_at=value_at,
        hour=None if first is None else windows.times[first],
    )


def extreme(
    times: Iterable[datetime], values: Iterable[float], *, lowest: bool
) -> tuple[float, datetime] | tuple[None, None]:
    """Lowest or highest value as it is published, with its hour, the first of several.

    Args:
        times: Hour of each value.
        values: Point forecasts; one that is not finite is left out.
        lowest: Look for the lowest.
    """
    published = ((rounded(value), at) for value, at in zip(values, times, strict=True))
    finite = [(value, at) for value, at in published if value is not None]
    pick = min if lowest else max
    return pick(finite, key=lambda pair: pair[0], default=(None, None))


def from_readings(rule: Rule, readings: Sequence[Measured]) -> Evidence:
    """Evidence of readings about a live rule (E5).

    Args:
        rule: A rule with `now`.
        readings: The `for_h` newest values, oldest first: hourly values, then the value now.
    """
    newest = readings[-rule.for_h :]
    values = [r.value for r in newest if r.value is not None and np.isfinite(r.value)]
    if len(values) < rule.for_h:
        return Evidence()
    level = rule.threshold if rule.clear is None else rule.clear
    met = bool(events.meets(values, rule.operator, rule.threshold).all())
    return Evidence(
        met=met,
        over=not events.meets(values[-1], rule.operator, level),
        probability=1.0 if met else 0.0,
        value=rounded(values[-1]),
        value_at=newest[-1].at,
        hour=newest[-1].at,
    )


def worse(own: Evidence, other: Evidence) -> Evidence:
    """The worse of two evidences about a rule (E7).

    It is met where one of them is, and over where both are. Where the own one is unknown, the other
    may raise an alert, and ends none.
    """
    if other.met is None or (own.met is None and not other.met):
        return own
    if own.met is None or own.probability is None or other.probability is None:
        return replace(other, over=None)
    # A live rule has no chance between 0 and 1: what keeps it raised is then the worse.
    first = (own.probability, own.over is False) >= (other.probability, other.over is False)
    return replace(own if first else other, over=_over_in_both(own, other))


def _are_complete(chances: np.ndarray, lag: int, rule: Rule) -> bool:
    """Whether every window that the forecast covers is known (E4)."""
    known_windows = int(np.isfinite(chances).sum())
    return known_windows >= max(min(rule.within_h, _REACH_H) - lag, rule.for_h)


def _runs(windows: Windows, chances: np.ndarray, length: int) -> list[tuple[int, float]]:
    """First index and chance of every run of `length` known windows in a row."""
    if length == 1:
        starts = np.flatnonzero(np.isfinite(chances))
        return list(zip(starts.tolist(), chances[starts].tolist(), strict=True))
    hours_in_a_row = events.runs(windows.times, np.isfinite(chances), length)
    return [(run.start, float(chances[run].min())) for run in hours_in_a_row]
