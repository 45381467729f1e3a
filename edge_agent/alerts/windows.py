"""What a forecast says about the conditions of a rule, window by window. Pure.

W1  A condition compares the value of each hour, or with `aggregate` one number of the `over_h`
    hours up to it: their sum, highest, lowest or mean, or by how much it has risen or fallen since
    the hour `over_h` before. Without `over_h` all hours of the rule's window are one.
W2  A distribution stays one under sum, extreme and mean: errors of hours next to each other are
    taken to move together, so its quantiles are those of the hours, put together. A rise or a fall
    is of the point forecasts alone.
W3  Of a window in which hours are unknown, what is known counts only where it meets the condition
    already and the rest cannot undo it: a sum of amounts or a highest above, a lowest below.
    Otherwise the window is unknown.
W4  Conditions of `all` hold in the same hour, at the end of their windows. The chance of all is the
    smallest of theirs: errors are taken to come together. One that fails decides, whatever of the
    others is unknown.
W5  Hours without a number are unknown, and so are targets of normals alone (climatology knows
    nothing of this day).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edge_agent.agronomy.derived import forecast_of, inputs_of, needed_for
from edge_agent.contract import events
from edge_agent.contract.forecast import TargetForecast
from edge_agent.contract.schema import QUANTITIES, TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from edge_agent.contract.forecast import Forecast, PointForecast
    from edge_agent.settings import Condition, Rule

CHANGES: Final = ("rise", "fall")
_REDUCE: Final[Mapping[str, Callable[..., np.ndarray]]] = {
    "sum": np.sum,
    "max": np.max,
    "min": np.min,
    "mean": np.mean,
}
_NEUTRAL: Final = {"sum": 0.0, "max": -np.inf, "min": np.inf}
"""What an unknown hour counts as where it cannot undo what is known (W3)."""
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of a rule, in order of time.

    Attributes:
        times: First hour of each window of the rule's own condition; without `aggregate` the hour.
        chances: That all conditions are met, 0 to 1, shape (W,); NaN = unknown.
        held: The same with the rule's clear level in place of its threshold.
        values: Of the rule's own condition, shape (W,); NaN = unknown.
        certain: No condition has a spread: chances are 0 or 1, and nobody says how sure.
        lag: Hours of the rule's window before the last hour of its first window.
    """

    times: Sequence[datetime]
    chances: np.ndarray
    held: np.ndarray
    values: np.ndarray
    certain: bool
    lag: int


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Numbers that a condition compares, NaN = unknown: values (N,), quantiles (N, Q) or None.

    The first is that of hour `lag` of the rule's window. `partly` tells those with an unknown hour.
    """

    values: np.ndarray
    quantiles: np.ndarray | None
    levels: np.ndarray
    lag: int = 0
    partly: np.ndarray | None = None

    def of(self, change: Callable[[np.ndarray], np.ndarray]) -> _Numbers:
        """The same change of values and quantiles, along the hours."""
        quantiles = None if self.quantiles is None else change(self.quantiles)
        return replace(self, values=change(self.values), quantiles=quantiles)

    def ending_from(self, hour: int) -> _Numbers:
        """Those of windows that end at this hour of the rule's window or later."""
        later = self.of(lambda rows: rows[hour - self.lag :])
        return replace(
            later, partly=None if self.partly is None else self.partly[hour - self.lag :]
        )

    def masked(self, unknown: np.ndarray) -> _Numbers:
        """Without the numbers that are unknown."""
        return self.of(
            lambda rows: np.where(unknown.reshape(-1, *(1,) * (rows.ndim - 1)), np.nan, rows)
        )


def on_target(rule: Rule) -> bool:
    """Whether it is a forecast rule on single hours of one target, or of what follows from them."""
    targets = rule.quantity in TARGETS or bool(inputs_of(rule.quantity))
    return targets and not (rule.now or rule.aggregate or rule.all)


def is_scored(rule: Rule) -> bool:
    """Whether its chances are compared with what the farm then saw."""
    return on_target(rule) and set(needed_for(rule.quantity)) <= set(TARGETS)


def windows_of(rule: Rule, forecast: Forecast, now: datetime) -> Windows | None:
    """Windows of a rule in the hours after `now`; None where a quantity is not forecast.

    Args:
        rule: A forecast rule.
        forecast: What it looks at.
        now: Time of the decision.
    """
    hours, courses = _hours(forecast, now, rule.within_h), []
    for condition in rule.conditions:
        series = forecast_of(forecast, condition.quantity)
        if series is None:
            return None
        courses.append(_compared(condition, _on(hours, forecast, series)))
    lag = max(course.lag for course in courses)
    if lag >= len(hours):
        return None
    own, *others = (course.ending_from(lag) for course in courses)
    beside = [
        _chances(condition, course, condition.threshold, rule.probability)
        for condition, course in zip(rule.all, others, strict=True)
    ]
    chances = _chances(rule, own, rule.threshold, rule.probability)
    level = rule.threshold if rule.clear is None else rule.clear
    held = chances if level == rule.threshold else _chances(rule, own, level, rule.probability)
    return Windows(
        times=hours[lag - own.lag : len(hours) - own.lag],
        chances=_of_all([chances, *beside], rule.probability),
        held=_of_all([held, *beside], rule.probability),
        values=own.values,
        certain=all(course.quantiles is None for course in courses),
        lag=lag,
    )


def _of_all(chances: Sequence[np.ndarray], limit: float) -> np.ndarray:
    """Chance that all conditions are met (W4)."""
    each = np.stack(chances)
    known = np.isfinite(each)
    lowest = np.where(known, each, 1.0).min(axis=0)
    return np.where(known.all(axis=0) | (lowest < limit), lowest, np.nan)


def _hours(forecast: Forecast, now: datetime, count: int) -> list[datetime]:
    """The hours after `now`, also those that are not forecast."""
    if not forecast.valid_at:
        return []
    at = forecast.valid_at[0]
    first = at + ((now - at) // _HOUR + 1) * _HOUR
    return [first + i * _HOUR for i in range(count)]


def _on(
    hours: Sequence[datetime], forecast: Forecast, series: TargetForecast | PointForecast
) -> _Numbers:
    """A forecast at these hours (W5)."""
    row_of = {at: row for row, at in enumerate(forecast.valid_at)}
    rows = np.array([row_of.get(at, -1) for at in hours], np.intp)
    unknown = rows < 0
    if not isinstance(series, TargetForecast):
        return _Numbers(series.values[rows], None, np.zeros(0)).masked(unknown)
    unknown |= forecast.only_normal()[rows]
    quantiles = series.quantiles[rows]
    unknown |= ~(np.isfinite(series.values[rows]) & np.isfinite(quantiles).all(axis=1))
    return _Numbers(series.values[rows], quantiles, series.levels).masked(unknown)


def _compared(condition: Condition, hours: _Numbers) -> _Numbers:
    """What a condition compares, from the hours (W1 to W3)."""
    kind, count = condition.aggregate, len(hours.values)
    if not kind:
        return hours
    if kind in CHANGES:
        over = min(condition.over_h, count)
        change = hours.values[over:] - hours.values[: count - over]
        return _Numbers(change if kind == "rise" else -change, None, hours.levels, over)
    over = min(condition.over_h or count, count)
    if over == 0:
        return hours
    unknown = sliding_window_view(np.isnan(hours.values), over)
    partly = np.asarray(unknown.any(axis=1))
    whole, gone = hours, partly
    if _stands(condition):
        whole = hours.of(lambda rows: np.where(np.isnan(rows), _NEUTRAL[kind], rows))
        gone = np.asarray(unknown.all(axis=1))
    reduced = whole.of(lambda rows: _REDUCE[kind](sliding_window_view(rows, over, axis=0), axis=-1))
    return replace(reduced.masked(gone), lag=over - 1, partly=partly)


def _stands(condition: Condition) -> bool:
    """Whether an unknown hour cannot undo that a window meets the condition (W3)."""
    if condition.operator in {"<", "<="}:
        return condition.aggregate == "min"
    amount = condition.aggregate == "sum" and QUANTITIES[condition.quantity].low >= 0
    return amount or condition.aggregate == "max"


def _chances(condition: Condition, course: _Numbers, threshold: float, limit: float) -> np.ndarray:
    """Chance of each number; NaN where it is unknown, or partly known and below the limit (W3)."""
    if course.quantiles is None:
        met = events.meets(course.values, condition.operator, threshold)
        chances = np.where(met, 1.0, 0.0)
    else:
        spread = TargetForecast("", course.values, course.levels, course.quantiles)
        chances = spread.probability(condition.operator, threshold)
    unknown = np.isnan(course.values)
    if course.partly is not None:
        unknown |= course.partly & (chances < limit)
    return np.where(unknown, np.nan, chances)
