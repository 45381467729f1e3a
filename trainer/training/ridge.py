"""Ridge regression per lead: the smooth part of the forecast, and the base the trees start from.

Solved from Gram matrices, so that leaving one part of the record out costs a solve and not a pass
over the data. Features are centred and scaled by the training rows; a missing value counts as the
mean. The penalty is `PENALTY` per row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.feature_table import NAMES, REFERENCES
from edge_agent.contract.schema import LEADS

if TYPE_CHECKING:
    from collections.abc import Sequence

PENALTY = 1e-3

LEFT_OUT = frozenset(
    {"latitude", "longitude", "elevation", "lead", "pressure", "hour", "weekday", "wind_sector"}
)
"""No straight line in them: codes, constants of a site, or the same said by another column."""

_NO_SPREAD = 1.0
"""Scale of a feature that never varies, or is never there."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """y = (fill(x) - mean) @ weights[lead] + bias[lead].

    Attributes:
        mean: Float32 (F,), also what a missing value counts as.
        weights: Float32 (48, F); zero where a feature takes no part.
        bias: Float32 (48,).
    """

    mean: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def predict(self, matrix: np.ndarray, leads: np.ndarray) -> np.ndarray:
        """Float64 (N,) for float32 (N, F) and the lead of each row."""
        filled = np.where(np.isnan(matrix), self.mean, matrix).astype(np.float64) - self.mean
        out = np.empty(len(matrix))
        for lead in np.unique(leads):
            rows = leads == lead
            out[rows] = filled[rows] @ self.weights[lead - 1].astype(np.float64)
            out[rows] += self.bias[lead - 1]
        return out


@dataclass(frozen=True, slots=True)
class Centre:
    """What features are counted from and in: float64 vectors of one number a feature in use."""

    shift: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, chosen: np.ndarray) -> Centre:
        """Mean and spread of rows, float64 (N, features in use), NaN left out."""
        count = np.maximum(np.isfinite(chosen).sum(axis=0), 1)
        shift = np.nansum(chosen, axis=0) / count
        spread = np.nansum((chosen - shift) ** 2, axis=0) / count
        return cls(shift, np.where(spread > 1e-12, np.sqrt(spread), _NO_SPREAD))

    def same(self, other: Centre) -> bool:
        """Whether all numbers are equal."""
        return np.array_equal(self.shift, other.shift) and np.array_equal(self.scale, other.scale)


class GramSums:
    """Gram matrices by part of the record and lead, for several targets at once.

    Args:
        parts: Number of parts that can be left out.
        targets: Number of targets.
        centre: Any fixed one serves that knows each feature's mean, which is what a missing value
            counts as; that of the first rows by default.
    """

    def __init__(self, parts: int, targets: int, centre: Centre | None = None) -> None:
        used = np.array([name not in LEFT_OUT for name in NAMES])
        self._used = np.flatnonzero(used)
        size = len(self._used) + 1
        self.centre = centre
        self._gram = np.zeros((parts, len(LEADS), size, size))
        self._moment = np.zeros((parts, len(LEADS), targets, size))

    def completed_centre(self, matrix: np.ndarray) -> Centre:
        """The centre, with mean and spread from `matrix` of features that it knows no spread of.

        Args:
            matrix: Rows from all places and parts, float32 (N, F).

        Raises:
            ValueError: Nothing was added.
        """
        if self.centre is None:
            raise ValueError("ridge: no rows were added")
        centre = Centre(self.centre.shift.copy(), self.centre.scale.copy())
        unknown = np.flatnonzero(centre.scale == _NO_SPREAD)
        measured = Centre.of(matrix[:, self._used[unknown]].astype(np.float64))
        varies = measured.scale != _NO_SPREAD
        centre.shift[unknown[varies]] = measured.shift[varies]
        centre.scale[unknown[varies]] = measured.scale[varies]
        return centre

    def add(self, part: int, lead: int, matrix: np.ndarray, changes: np.ndarray) -> None:
        """Add rows of one part and lead.

        Args:
            part: Part of the record.
            lead: Hours ahead.
            matrix: Float32 (N, F).
            changes: Float64 (N, targets): what is to be predicted; rows with a NaN are left out,
                so that all targets share one matrix.
        """
        if self.centre is None:
            self.centre = Centre.of(matrix[:, self._used].astype(np.float64))
        known = np.isfinite(changes).all(axis=1)
        changes = changes[known]
        design = np.ones((len(changes), len(self._used) + 1))
        scaled = design[:, :-1]
        np.subtract(matrix[known][:, self._used], self.centre.shift, out=scaled)
        scaled /= self.centre.scale
        scaled[np.isnan(scaled)] = 0.0
        self._gram[part, lead - 1] += design.T @ design
        self._moment[part, lead - 1] += changes.T @ design

    def merge(self, other: GramSums) -> None:
        """Add the rows of another one with the same centre.

        Raises:
            ValueError: The centres differ.
        """
        if not (self.centre and other.centre and self.centre.same(other.centre)):
            raise ValueError("ridge: sums of different centres cannot be added")
        self._gram += other._gram
        self._moment += other._moment

    def solve(self, parts: Sequence[int], target: int) -> Ridge:
        """Model of one target from the given parts.

        Raises:
            ValueError: Nothing was added.
        """
        if self.centre is None:
            raise ValueError("ridge: no rows were added")
        gram = self._gram[list(parts)].sum(axis=0)
        moment = self._moment[list(parts), :, target].sum(axis=0)
        size = gram.shape[-1]
        penalty = np.eye(size)
        penalty[-1, -1] = 0.0
        # A lead without rows predicts no change.
        rows = gram[:, -1, -1] = np.maximum(gram[:, -1, -1], 1.0)
        solved = np.linalg.solve(
            gram + PENALTY * rows[:, None, None] * penalty, moment[:, :, None]
        )[:, :, 0]
        mean = np.zeros(len(NAMES), np.float32)
        weights = np.zeros((len(LEADS), len(NAMES)), np.float32)
        mean[self._used] = self.centre.shift
        weights[:, self._used] = solved[:, :-1] / self.centre.scale
        return Ridge(mean, weights, solved[:, -1].astype(np.float32))


def leads_of(matrix: np.ndarray) -> np.ndarray:
    """Lead of each row, integers (N,)."""
    leads: np.ndarray = matrix[:, NAMES.index("lead")].astype(np.intp)
    return leads


def reference_of(target: str, matrix: np.ndarray) -> np.ndarray:
    """Value that changes of the target are counted from, float64 (N,)."""
    reference: np.ndarray = matrix[:, NAMES.index(REFERENCES[target])].astype(np.float64)
    return reference
