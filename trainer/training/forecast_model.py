"""A candidate's models before export."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge_agent.contract.schema import QUANTITIES
from trainer.training.ridge import leads_of, reference_of

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.contract.manifest import ResidualTable
    from trainer.evaluation.baselines import DampedAnomaly
    from trainer.training.optional_fit import OptionalFit
    from trainer.training.ridge import Ridge


class Regressor(Protocol):
    """A fitted model of one number, such as `trees.Trees`."""

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 (N,) for float32 (N, F), NaN = missing."""

    def thresholds(self) -> list[tuple[int, float]]:
        """Every split as (feature, threshold); empty where the family has none."""


@dataclass(frozen=True, slots=True)
class ForecastModel:
    """One target's model; `predict` is the reference the graph is held against.

    Attributes:
        target: Quantity.
        linear: Ridge regression per lead.
        rest: Trees on what the linear part leaves over, or another family.
        change: The same on the whole change from the reference.
        weights: Float32 (48, 3): what each of the three counts at each lead.
    """

    target: str
    linear: Ridge
    rest: Regressor
    change: Regressor
    weights: np.ndarray

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 (N,) in the target's unit for float32 (N, F)."""
        weights = self.weights[leads_of(matrix) - 1].astype(np.float64)
        low, high = QUANTITIES[self.target].bounds
        value = reference_of(self.target, matrix)
        value += (weights * self.members(matrix)).sum(axis=1)
        clipped: np.ndarray = np.clip(value, low, high)
        return clipped

    def members(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 (N, 3): change from the reference by each part, unweighted."""
        linear = self.linear.predict(matrix, leads_of(matrix))
        return np.stack([linear, self.rest.predict(matrix), self.change.predict(matrix)], axis=1)

    def thresholds(self) -> list[tuple[int, float]]:
        """Every split of all trees as (feature, threshold)."""
        return self.rest.thresholds() + self.change.thresholds()


@dataclass(frozen=True, slots=True)
class UnseenForecasts:
    """Forecasts of training hours by models that never saw them.

    Attributes:
        places: `dataset.Source.number` of each pair, shape (N,).
        origins: Hours since 1970, shape (N,).
        leads: Hours ahead, shape (N,).
        values: Per target, float64 (N,), NaN = none.
    """

    places: np.ndarray
    origins: np.ndarray
    leads: np.ndarray
    values: dict[str, np.ndarray]

    @classmethod
    def none(cls, places: np.ndarray, times: pl.Series, leads: np.ndarray) -> UnseenForecasts:
        """Pairs by their target hours (UTC), before anything has forecast them."""
        hours = times.dt.epoch("s").to_numpy() // 3600
        return cls(places, hours - leads, leads, {})


@dataclass(frozen=True, slots=True)
class Fitted:
    """A candidate before export.

    Attributes:
        models: Per target.
        residuals: Of the models, per target, from cross-fitted errors.
        widening: Per target and group of inputs, factor of the spread at each knot without it.
        climatology_residuals: Of the normals, per target.
        damped: The damped-anomaly baseline, per target.
        unseen: Forecasts from the cross-fitting, which other models are compared with.
        unused: Groups of inputs without values, in which no model has a part.
        optional: Optional targets that enough hours have.
    """

    models: dict[str, ForecastModel]
    residuals: dict[str, ResidualTable]
    widening: dict[str, dict[str, tuple[float, ...]]]
    climatology_residuals: dict[str, ResidualTable]
    damped: dict[str, DampedAnomaly]
    unseen: UnseenForecasts
    unused: tuple[str, ...] = ()
    optional: dict[str, OptionalFit] = field(default_factory=dict)
