"""What a forecast must beat: persistence, climatology, damped anomaly.

All read the same matrix as the models (of an optional target the longer one), so they are scored on
identical pairs of origin and lead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.optional_targets import ADDED
from edge_agent.contract.schema import QUANTITIES
from trainer.evaluation.daily_sums import CLIMATOLOGY, DAMPED, PERSISTENCE

_POSITIONS = {
    name: column for added in ADDED.values() for column, name in enumerate((*NAMES, *added))
}

SEED_LEAD = 24
"""The seed recipe forecasts this lead only."""


def persistence(matrix: np.ndarray, target: str) -> np.ndarray:
    """Newest value at the target's hour of the day: float64 (N,), NaN where not observed."""
    return _column(matrix, f"same_hour_{QUANTITIES[target].short_name}_0d")


def climatology(matrix: np.ndarray, target: str) -> np.ndarray:
    """Normal of the target hour: float64 (N,)."""
    return _column(matrix, f"target_normal_{QUANTITIES[target].short_name}")


def references(
    matrix: np.ndarray, leads: np.ndarray, damped: DampedAnomaly
) -> dict[str, np.ndarray]:
    """What a model of `damped.target` must beat, by name: float64 (N,) each.

    Args:
        matrix: Inputs, float32 (N, F).
        leads: Hours ahead, shape (N,).
        damped: Of the target.
    """
    return {
        PERSISTENCE: persistence(matrix, damped.target),
        CLIMATOLOGY: climatology(matrix, damped.target),
        DAMPED: damped.predict(matrix, leads),
    }


@dataclass(frozen=True, slots=True)
class DampedAnomaly:
    """Normal plus shares of the present anomaly and of that at the same hour.

    Attributes:
        target: Quantity.
        shares: By lead, the two shares, fitted by least squares.
    """

    target: str
    shares: dict[int, tuple[float, float]]

    @classmethod
    def fit(
        cls, matrix: np.ndarray, leads: np.ndarray, truth: np.ndarray, target: str
    ) -> DampedAnomaly:
        """Fit on training rows; rows with anything missing are left out."""
        design = _anomalies(matrix, target)
        change = truth - climatology(matrix, target)
        known = np.isfinite(design).all(axis=1) & np.isfinite(change)
        shares = {}
        for lead in np.unique(leads):
            rows = known & (leads == lead)
            solved = np.linalg.lstsq(design[rows], change[rows], rcond=None)[0]
            shares[int(lead)] = (float(solved[0]), float(solved[1]))
        return cls(target, shares)

    def predict(self, matrix: np.ndarray, leads: np.ndarray) -> np.ndarray:
        """Float64 (N,); NaN where an anomaly is missing."""
        shares = np.array([self.shares[int(lead)] for lead in leads])
        value: np.ndarray = climatology(matrix, self.target)
        value += (_anomalies(matrix, self.target) * shares).sum(axis=1)
        return value


def _column(matrix: np.ndarray, name: str) -> np.ndarray:
    column: np.ndarray = matrix[:, _POSITIONS[name]].astype(np.float64)
    return column


def _anomalies(matrix: np.ndarray, target: str) -> np.ndarray:
    short = QUANTITIES[target].short_name
    return np.stack(
        [
            _column(matrix, f"{short}_anomaly"),
            _column(matrix, f"same_hour_{short}_anomaly_0d"),
        ],
        axis=1,
    )
