"""Joins KMA's corrected forecast with that of observations, hour by hour and by quantity. Pure.

J1  Where both are there and the other is of observation models, the value is share * guided +
    (1 - share) * models. The share is the release's, at the lead of the observation models.
J2  Where the other is a lower rung (an earlier forecast, persistence, normals), guided stands
    alone.
J3  Where one of them ends, the other is moved to the joined value of the last common hour, by a
    difference that fades by exp(-distance / `HAND_OVER_H`). So no hour differs from its neighbour
    by the change alone. Between two common hours the difference runs from one to the other. Where
    one ends and the other begins in the next hour, the first goes on for that hour by the mean of
    its last change and the first change of the other, so that it is common.
J4  Distances of the quantiles from the value are weighted as the values are, so their order stays;
    in a hand-over they become those of the other within `WIDENING_H`. Values and quantiles end at
    the quantity's bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.forecast import Forecast, NoForecast, Source, TargetForecast
from edge_agent.contract.hours import hour_of, time_of
from edge_agent.contract.schema import LEADS, QUANTITIES
from edge_agent.forecasting import fallback
from edge_agent.forecasting.optional_models import with_others
from edge_agent.forecasting.trusted_issues import set_aside_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from edge_agent.forecasting.guided import GuidedForecast

HAND_OVER_H: Final = 24.0
"""Hours in which the difference at the end of guidance fades to 37 %.

Issues of Busan that end at 24 h, with the models behind them: at 36 h errors of 3.2, 3.0, 2.8 C and
15.4, 13.6, 11.9 % with 6, 12, 24 h in September 2019.
"""
WIDENING_H: Final = 6.0
"""Hours in which the interval becomes that of the other: the error grows faster than it turns."""
GUIDANCE: Final = "guidance"
"""Name in `Forecast.adjusted`."""
OLD_H: Final = 12
"""Age in hours from which an issue is told as old."""
_EVEN: Final = 0.5


_Sides = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Joined:
    """A forecast, and by target the mean weight of guidance in it, 0 to 1."""

    forecast: Forecast
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Course:
    """Values and distances of quantiles from them, one row an hour; NaN = none."""

    values: np.ndarray
    around: np.ndarray

    @classmethod
    def of(cls, target: TargetForecast) -> Course:
        """Of a forecast."""
        return cls(target.values, target.quantiles - target.values[:, None])

    def moved(self, difference: np.ndarray, around: np.ndarray, distance: np.ndarray) -> Course:
        """Behind another forecast that ended (J3, J4).

        Args:
            difference: Of the other's value there, which fades.
            around: Distances of the other's quantiles there, which become these.
            distance: Hours since then.
        """
        near, narrow = np.exp(-distance / HAND_OVER_H), np.exp(-distance / WIDENING_H)[:, None]
        return Course(
            self.values + near * difference, (1.0 - narrow) * self.around + narrow * around
        )


def join(guided: GuidedForecast, other: Forecast | NoForecast, now: datetime) -> Joined | None:
    """Forecast of every hour that either has.

    Args:
        guided: KMA's, corrected.
        other: Of observation models, or of a lower rung; the hours after `now`.
        now: Time of the decision, UTC.

    Returns:
        None where guidance has no hour of use.
    """
    below = other if isinstance(other, Forecast) else None
    models = below is not None and below.source in fallback.MODELS
    reach = len(guided.raw[next(iter(guided.raw))])
    rows = _rows(guided, below)
    count = max([reach, *(rows + 1)])
    targets, sources, weights, there = {}, {}, {}, np.ones(count, bool)
    for name, target in guided.targets.items():
        ahead = _course(target, np.arange(reach), count)
        beside = _course(at_levels_of(target, below.targets[name]), rows, count) if below else None
        share = np.ones(count)
        if models:
            assert below is not None
            leads = guided.hour + 1 + np.arange(count) - hour_of(below.origin)
            share = np.interp(leads, LEADS, guided.shares[name])
        course, weight = _joined(ahead, beside, share)
        known = np.isfinite(course.values)
        there &= known
        mine = np.isfinite(ahead.values) & (weight >= _EVEN)
        last = Source.CLIMATOLOGY if below is None else below.source
        sources[name] = np.where(mine, guided.made[name], last)
        weights[name] = weight
        targets[name] = (target, course)
    if not there.any() or not any(weight.any() for weight in weights.values()):
        return None
    valid = [time_of(guided.hour + 1 + int(row)) for row in there.nonzero()[0]]
    joined = Forecast(
        issued_at=now,
        origin=below.origin if models and below else time_of(guided.hour),
        valid_at=valid,
        targets={
            name: distribution(name, target, course, there)
            for name, (target, course) in targets.items()
        },
        source=below.source if models and below else guided.source,
        release=below.release if below else guided.release,
        notes=_notes(guided, other),
        adjusted=(*(below.adjusted if models and below else ()), GUIDANCE),
        sources={name: tuple(map(Source, made[there])) for name, made in sources.items()},
    )
    return Joined(
        with_others(joined, below),
        {name: round(float(weight[there].mean()), 3) for name, weight in weights.items()},
    )


def _rows(guided: GuidedForecast, other: Forecast | None) -> np.ndarray:
    """Row of each hour of the other forecast, counted from the first after the decision."""
    if other is None:
        return np.zeros(0, np.intp)
    return np.array([hour_of(at) for at in other.valid_at], np.intp) - guided.hour - 1


def _course(target: TargetForecast, rows: np.ndarray, count: int) -> Course:
    values = np.full(count, np.nan)
    around = np.full((count, len(target.levels)), np.nan)
    inside = rows >= 0
    given = Course.of(target)
    values[rows[inside]], around[rows[inside]] = given.values[inside], given.around[inside]
    return Course(values, around)


def at_levels_of(model: TargetForecast, other: TargetForecast) -> TargetForecast:
    """The other distribution at the levels of the first."""
    if np.array_equal(model.levels, other.levels):
        return other
    quantiles = np.stack([other.quantile(float(level)) for level in model.levels], axis=1)
    return TargetForecast(other.unit, other.values, model.levels, np.sort(quantiles, axis=1))


def _joined(guided: Course, other: Course | None, share: np.ndarray) -> tuple[Course, np.ndarray]:
    """Rules J1 to J4 for one target; with the weight of guidance at each hour."""
    if other is None:
        return guided, np.isfinite(guided.values).astype(np.float64)
    guided, other = _until_the_next_begins(guided, other), _until_the_next_begins(other, guided)
    known, beside = np.isfinite(guided.values), np.isfinite(other.values)
    weight = np.where(known, np.where(beside, share, 1.0), 0.0)
    mixed = _mix(guided, other, weight)
    both = known & beside
    if not both.any():
        return mixed, weight
    sides = _sides(both)
    ended = beside & ~known
    handed = _handed_over(mixed, other, weight, sides)
    begun = known & ~beside
    taken = _handed_over(mixed, guided, 1.0 - weight, sides)
    values = np.where(ended, handed[0].values, np.where(begun, taken[0].values, mixed.values))
    around = np.where(ended[:, None], handed[0].around, mixed.around)
    around = np.where(begun[:, None], taken[0].around, around)
    weight = np.where(ended, handed[1], np.where(begun, 1.0 - taken[1], weight))
    return Course(values, around), weight


def _until_the_next_begins(ending: Course, next_one: Course) -> Course:
    """A forecast, one hour longer where it ends and the other begins in the hour after (J3)."""
    here, there = np.isfinite(ending.values), np.isfinite(next_one.values)
    last = (here[:-1] & ~here[1:] & ~there[:-1] & there[1:]).nonzero()[0]
    values, around = ending.values.copy(), ending.around.copy()
    changes = np.stack([_change(ending, last), _change(next_one, last + 2)])
    known = np.isfinite(changes)
    mean = np.where(known, changes, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    values[last + 1] = values[last] + mean
    around[last + 1] = around[last]
    return Course(values, around)


def _change(course: Course, rows: np.ndarray) -> np.ndarray:
    """Change from the hour before to each hour; NaN = one of both is not there."""
    padded: np.ndarray = np.pad(np.diff(course.values), 1, constant_values=np.nan)
    return np.asarray(padded[np.minimum(rows, len(padded) - 1)])


def _handed_over(
    mixed: Course, alone: Course, weight: np.ndarray, sides: _Sides
) -> tuple[Course, np.ndarray]:
    """Hours that one forecast has alone (J3), and the weight that the other still has in them.

    Args:
        mixed: The joined forecast, where both are.
        alone: The one that goes on.
        weight: Of the other, where both are.
        sides: See `_sides`.
    """
    left, right, distance, far = sides

    def between(rows: np.ndarray) -> np.ndarray:
        share = far.reshape(-1, *(1,) * (rows.ndim - 1))
        return np.asarray((1.0 - share) * rows[left] + share * rows[right])

    moved = alone.moved(between(mixed.values - alone.values), between(mixed.around), distance)
    return moved, np.exp(-distance / HAND_OVER_H) * between(weight)


def _mix(guided: Course, other: Course, weight: np.ndarray) -> Course:
    first = np.where(weight > 0, guided.values, 0.0) * weight
    second = np.where(weight < 1, other.values, 0.0) * (1.0 - weight)
    wide = weight[:, None]
    around = np.where(wide > 0, guided.around, 0.0) * wide
    around += np.where(wide < 1, other.around, 0.0) * (1.0 - wide)
    return Course(first + second, around)


def _sides(known: np.ndarray) -> _Sides:
    """Of each hour: known hours before and after, hours to the nearer, share of the one after."""
    hours = np.arange(len(known))
    left = np.maximum.accumulate(np.where(known, hours, -1))
    right = np.minimum.accumulate(np.where(known, hours, len(known))[::-1])[::-1]
    before, after = left >= 0, right < len(known)
    since = np.where(before, hours - left, np.inf)
    until = np.where(after, right - hours, np.inf)
    width = np.where(before & after, np.maximum(right - left, 1), 1)
    far = np.where(before & after, (hours - left) / width, np.where(before, 0.0, 1.0))
    return np.where(before, left, 0), np.where(after, right, 0), np.minimum(since, until), far


def distribution(
    name: str, target: TargetForecast, course: Course, rows: np.ndarray | slice
) -> TargetForecast:
    """Rows of a course as a forecast with the unit and levels of another, within its bounds."""
    low, high = QUANTITIES[name].bounds
    values = course.values[rows]
    return TargetForecast(
        unit=target.unit,
        values=np.clip(values, low, high),
        levels=target.levels,
        quantiles=np.clip(values[:, None] + course.around[rows], low, high),
    )


def _notes(guided: GuidedForecast, other: Forecast | NoForecast) -> Sequence[str]:
    notes = list(other.notes) if isinstance(other, Forecast) else [other.reason]
    age = guided.hour - hour_of(guided.issued)
    if age >= OLD_H:
        notes.append(f"KMA's newest forecast is {age} h old")
    if guided.set_aside:
        notes.append(set_aside_text(guided.set_aside))
    return notes
