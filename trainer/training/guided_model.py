"""A model that corrects a forecast which stands among its inputs, before export.

That is KMA's forecast (MOS), or a simple one of an optional target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.errors import BadData
from edge_agent.contract.guidance_features import NAMES
from edge_agent.contract.schema import QUANTITIES

if TYPE_CHECKING:
    from edge_agent.contract.manifest import ResidualTable
    from trainer.training.trees import Trees

BASE = NAMES.index("base")
NEAR: Final = 2
"""Leads on either side whose errors count for a lead."""


@dataclass(frozen=True, slots=True)
class GuidedModel:
    """One target's model: clip(base + scale(lead) * trees).

    Attributes:
        target: Quantity.
        trees: Fitted on (truth - base) / scale(lead).
        scale: Root mean squared error of the base at each lead from 1 h on, float32.
        names: Columns of the matrix, "lead" and "base" among them.
    """

    target: str
    trees: Trees
    scale: np.ndarray
    names: tuple[str, ...] = NAMES

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 (N,) in the target's unit for float32 (N, F); NaN where there is no base."""
        lead, base = (matrix[:, self.names.index(name)] for name in ("lead", "base"))
        scale = self.scale[lead.astype(np.intp) - 1].astype(np.float64)
        value = base.astype(np.float64) + scale * self.trees.predict(matrix)
        clipped: np.ndarray = np.clip(value, *QUANTITIES[self.target].bounds)
        return clipped

    def thresholds(self) -> list[tuple[int, float]]:
        """Every split of all trees as (feature, threshold)."""
        return self.trees.thresholds()


@dataclass(frozen=True, slots=True)
class GuidedFit:
    """What a release has of these models.

    Attributes:
        models: Per target.
        residuals: Per target, from cross-fitted errors, at `residuals.GUIDED_KNOTS`.
        shares: Per target, weight beside the observation models at each of `schema.LEADS`.
        places: `dataset.Source.number` of those that took part.
    """

    models: dict[str, GuidedModel]
    residuals: dict[str, ResidualTable]
    shares: dict[str, tuple[float, ...]]
    places: tuple[int, ...]


def scale_of(leads: np.ndarray, errors: np.ndarray, longest: int) -> np.ndarray:
    """Root mean square of the base's errors at each lead from 1 to `longest`, float32, smoothed.

    Args:
        leads: Hours ahead, shape (N,).
        errors: Truth minus base, shape (N,), NaN = unknown.
        longest: Longest lead.

    Raises:
        BadData: No errors at all.
    """
    known = np.isfinite(errors)
    if not known.any():
        raise BadData("no hour has both a forecast to correct and an observation")
    squares = around(np.bincount(leads[known], errors[known] ** 2, longest + 1))
    counts = around(np.bincount(leads[known], minlength=longest + 1))
    have = np.flatnonzero(counts)
    mean = np.interp(np.arange(len(counts)), have, squares[have] / counts[have])
    scale: np.ndarray = np.sqrt(np.maximum(mean, 1e-6)).astype(np.float32)
    return scale


def around(by_lead: np.ndarray) -> np.ndarray:
    """Sums over each lead and its neighbours; the first number, of lead 0, is left out."""
    window = np.ones(2 * NEAR + 1)
    summed: np.ndarray = np.convolve(by_lead[1:].astype(np.float64), window, "same")
    return summed
