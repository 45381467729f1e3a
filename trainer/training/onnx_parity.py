"""The exported graph against the model it came from, by the agent's own runtime.

Rows are of four kinds: those given, the same with inputs blanked at random, rows whose values lie
exactly on tree thresholds, and rows one float32 beside them: there a comparison done in another
precision would take the other branch. No row is made of a threshold beyond float32: LightGBM parts
missing values from all others by an infinite one, and no input lies there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import NAMES
from edge_agent.forecasting.inference import OnnxPredictor
from trainer.training.input_dropout import drop_inputs

if TYPE_CHECKING:
    from trainer.training.forecast_model import ForecastModel

TOLERANCE = 1e-3
"""Largest accepted difference, in the target's unit."""

THRESHOLD_ROWS = 4000
CHUNK = 20_000
ZERO = np.float32(1e-35)
LARGEST = float(np.finfo(np.float32).max)
_LEAD = NAMES.index("lead")


@dataclass(frozen=True, slots=True)
class Parity:
    """Worst absolute difference by kind of row, and how many rows were compared."""

    worst: dict[str, float]
    rows: int

    @property
    def maximum(self) -> float:
        """Worst of all kinds."""
        return max(self.worst.values())


def check(model: ForecastModel, content: bytes, matrix: np.ndarray, seed: int) -> Parity:
    """Compare graph and model on `matrix` (float32 (N, F)) and on rows made from it.

    Raises:
        BadData: A difference above `TOLERANCE`.
    """
    predictor = OnnxPredictor(content, matrix.shape[1], model.target)
    kinds = {
        "holdout": matrix,
        "nulls": drop_inputs(matrix[:: max(1, len(matrix) // CHUNK)], 0.5, seed),
        **_on_thresholds(model, matrix, seed),
    }
    worst = {name: _worst(model, predictor, rows) for name, rows in kinds.items()}
    parity = Parity(worst, sum(len(rows) for rows in kinds.values()))
    if not parity.maximum <= TOLERANCE:
        raise BadData(
            f"{model.target}: ONNX and LightGBM differ by {parity.maximum:.2e} "
            f"(limit {TOLERANCE:.0e}): {worst}"
        )
    return parity


def _on_thresholds(model: ForecastModel, matrix: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    splits = model.thresholds()
    rows = matrix[random.integers(0, len(matrix), THRESHOLD_ROWS)].copy()
    if not splits:
        return {"on thresholds": rows}
    # A tenth of a row's features each sit on some threshold of theirs.
    by_feature: dict[int, list[float]] = {}
    for feature, threshold in splits:
        if abs(threshold) < LARGEST:
            by_feature.setdefault(feature, []).append(threshold)
    for feature, values in by_feature.items():
        chosen = random.random(len(rows)) < 0.1
        rows[chosen, feature] = random.choice(np.array(values, np.float32), int(chosen.sum()))
    # The lead is a number of the graph's own table and stays a whole hour.
    rows[:, _LEAD] = np.clip(np.round(rows[:, _LEAD]), 1, 48)
    # LightGBM reads anything up to its zero threshold as 0; no feature lies between, as inputs
    # come in steps of 2^-10.
    rows[np.abs(rows) <= ZERO] = 0.0
    above = np.nextafter(rows, np.float32(np.inf))
    above[np.abs(above) <= ZERO] = 0.0
    above[:, _LEAD] = rows[:, _LEAD]
    return {"on thresholds": rows, "above thresholds": above}


def _worst(model: ForecastModel, predictor: OnnxPredictor, matrix: np.ndarray) -> float:
    worst = 0.0
    for start in range(0, len(matrix), CHUNK):
        rows = matrix[start : start + CHUNK]
        difference = np.abs(predictor.predict(rows) - model.predict(rows))
        # NaN on either side is a difference without bound.
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0)))
    return worst
