"""Events that farms are warned of, and how often they are normal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.events import meets
from edge_agent.contract.hours import korean_clock
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.contract.forecast import Operator


@dataclass(frozen=True, slots=True)
class Event:
    """An hour's yes or no.

    Attributes:
        name: Short name.
        target: Quantity.
        operator: `>=` or `<=`.
        threshold: In the quantity's unit.
        served: Probability from which the built-in rules warn.
    """

    name: str
    target: str
    operator: Operator
    threshold: float
    served: float

    def happened(self, truth: np.ndarray) -> np.ndarray:
        """Boolean (N,)."""
        return meets(truth, self.operator, self.threshold)


EVENTS: Final = (
    Event("heat", AIR_TEMPERATURE, ">=", 30.0, 0.2),
    Event("frost", AIR_TEMPERATURE, "<=", 0.0, 0.4),
    Event("dryness", RELATIVE_HUMIDITY, "<=", 30.0, 0.25),
    Event("damp", RELATIVE_HUMIDITY, ">=", 90.0, 0.2),
)


def normal_counts(event: Event, times: pl.Series, truth: np.ndarray) -> np.ndarray:
    """Hours and events by month and hour of the Korean day: float64 (2, 288); they may be summed.

    Args:
        event: Which.
        times: Hours of the training record, UTC.
        truth: Observed values, NaN = none.
    """
    known = np.isfinite(truth)
    month, hour = _month_and_hour(times)
    cell = (month * 24 + hour)[known]
    seen = event.happened(truth[known])
    return np.stack([np.bincount(cell, weights, 288) for weights in (np.ones(len(cell)), seen)])


def normal_rates(counts: np.ndarray) -> np.ndarray:
    """How often an event happens by month and hour of the Korean day: shape (12, 24).

    Args:
        counts: Output of `normal_counts`; a cell without hours takes the record's mean rate.
    """
    hours, seen = counts
    mean = float(seen.sum() / hours.sum()) if hours.any() else 0.0
    return np.where(hours > 0, seen / np.maximum(hours, 1), mean).reshape(12, 24)


def normal_probability(rates: np.ndarray, times: pl.Series) -> np.ndarray:
    """The normal rate at each hour, shape (N,)."""
    probability: np.ndarray = rates[_month_and_hour(times)]
    return probability


def _month_and_hour(times: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    local = korean_clock(times)
    return (
        local.dt.month().to_numpy().astype(np.intp) - 1,
        local.dt.hour().to_numpy().astype(np.intp),
    )
