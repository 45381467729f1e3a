"""Expected matrices and predictions of golden windows: how they are written and compared. Pure.

Inputs are compared with a tolerance, since the last bit of a logarithm may differ between
mathematics libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.errors import BadData

if TYPE_CHECKING:
    from collections.abc import Sequence

FEATURE_TOLERANCE: Final = 1e-4
"""Largest accepted difference of an input, relative to 1 or its size if that is larger."""

PREDICTION_TOLERANCE: Final = 1e-3
"""Largest accepted difference of a prediction, in the target's unit."""

Rows = tuple[tuple[float | None, ...], ...]
"""A matrix as JSON has it, one row a lead; null = missing."""


def rows_of(matrix: np.ndarray) -> Rows:
    """A float32 matrix as it is written."""
    return tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in matrix)


def matrix_of(rows: Rows) -> np.ndarray:
    """The float32 matrix that was written; NaN = missing."""
    return np.array(rows, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of one window.

    Attributes:
        where: Name of the window in errors.
        leads: Hours ahead, one a row.
        word: What a column is called in errors: "feature" or "input".
        names: Of the columns.
    """

    where: str
    leads: tuple[int, ...]
    word: str
    names: Sequence[str]

    def inputs(self, computed: np.ndarray, expected: np.ndarray) -> None:
        """Compare matrices.

        Raises:
            BadData: They differ; the text names column and lead, and both numbers.
        """
        if computed.shape != expected.shape:
            raise BadData(f"{self.where}: {computed.shape} {self.word}s, expected {expected.shape}")
        scale = np.maximum(1.0, np.abs(np.nan_to_num(expected)))
        missing = np.isnan(computed) != np.isnan(expected)
        wrong = missing | (np.abs(np.nan_to_num(computed - expected)) > FEATURE_TOLERANCE * scale)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise BadData(
                f"{self.where}: {self.word} {self.names[column]} at lead {self.leads[row]} h is "
                f"{computed[row, column]}, expected {expected[row, column]}"
            )

    def predictions(self, target: str, predicted: np.ndarray, values: Sequence[float]) -> None:
        """Compare what a model gives for the expected inputs.

        Raises:
            BadData: It differs, or there is not one number for each lead.
        """
        if len(values) != len(self.leads):
            raise BadData(
                f"{self.where}: {len(values)} predictions of {target} at {len(self.leads)} leads"
            )
        difference = np.abs(predicted - np.array(values))
        if not (difference <= PREDICTION_TOLERANCE).all():
            row = int(np.argmax(np.nan_to_num(difference, nan=np.inf)))
            raise BadData(
                f"{self.where}: {target} at lead {self.leads[row]} h is {predicted[row]}, "
                f"expected {values[row]}"
            )
