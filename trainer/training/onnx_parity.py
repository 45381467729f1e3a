"""The exported graph against the model it came from, by the agent's own runtime.

Rows are of four kinds: those given, the same with inputs blanked at random, rows whose values lie
exactly on tree thresholds, and rows one float32 beside them: there a comparison done in another
precision would take the other branch. No row is made of a threshold beyond float32: LightGBM parts
missing values from all others by an infinite one, and no input lies there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge_agent.contract import feature_table, guidance_features
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import LEADS
from edge_agent.forecasting.inference import OnnxPredictor
from trainer.training import guided_dropout
from trainer.training.input_dropout import drop_inputs

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE = 1e-3
"""Largest accepted difference, in the target's unit."""

THRESHOLD_ROWS = 4000
CHUNK = 20_000
ZERO = np.float32(1e-35)
LARGEST = float(np.finfo(np.float32).max)


class _Exported(Protocol):
    """A model and its graph's reference."""

    @property
    def target(self) -> str:
        """Quantity."""

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Float64 (N,) for float32 (N, F)."""

    def thresholds(self) -> list[tuple[int, float]]:
        """Every split of all trees as (feature, threshold)."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a model's matrix is.

    Attributes:
        lead: Column of the lead.
        leads: Hours ahead that there are.
        dropped: Gives the matrix with inputs blanked at random, by a seed.
    """

    lead: int
    leads: tuple[int, ...]
    dropped: Callable[[np.ndarray, int], np.ndarray]


OBSERVED = Inputs(
    feature_table.NAMES.index("lead"), LEADS, lambda matrix, seed: drop_inputs(matrix, 0.5, seed)
)
"""Of `contract.features`."""
GUIDED = Inputs(
    guidance_features.NAMES.index("lead"), guidance_features.GUIDED_LEADS, guided_dropout.drop
)
"""Of `contract.guidance_features`."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Worst absolute difference by kind of row, and how many rows were compared."""

    worst: dict[str, float]
    rows: int

    @property
    def maximum(self) -> float:
        """Worst of all kinds."""
        return max(self.worst.values())


def check(
    model: _Exported, content: bytes, matrix: np.ndarray, seed: int, inputs: Inputs = OBSERVED
) -> Parity:
    """Compare graph and model on `matrix` (float32 (N, F)) and on rows made from it.

    Raises:
        BadData: A difference above `TOLERANCE`.
    """
    predictor = OnnxPredictor(content, matrix.shape[1], model.target)
    kinds = {
        "holdout": matrix,
        "nulls": inputs.dropped(matrix[:: max(1, len(matrix) // CHUNK)], seed),
        **_on_thresholds(model, matrix, seed, inputs),
    }
    worst = {name: _worst(model, predictor, rows) for name, rows in kinds.items()}
    parity = Parity(worst, sum(len(rows) for rows in kinds.values()))
    if not parity.maximum <= TOLERANCE:
        raise BadData(
            f"{model.target}: ONNX and LightGBM differ by {parity.maximum:.2e} "
            f"(limit {TOLERANCE:.0e}): {worst}"
        )
    return parity


def _on_thresholds(
    model: _Exported, matrix: np.ndarray, seed: int, inputs: Inputs
) -> dict[str, np.ndarray]:
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
    lead = inputs.lead
    rows[:, lead] = np.clip(np.round(rows[:, lead]), inputs.leads[0], inputs.leads[-1])
    # LightGBM reads anything up to its zero threshold as 0; no feature lies between, as inputs
    # come in steps of 2^-10.
    rows[np.abs(rows) <= ZERO] = 0.0
    above = np.nextafter(rows, np.float32(np.inf))
    above[np.abs(above) <= ZERO] = 0.0
    above[:, lead] = rows[:, lead]
    return {"on thresholds": rows, "above thresholds": above}


def _worst(model: _Exported, predictor: OnnxPredictor, matrix: np.ndarray) -> float:
    worst = 0.0
    for start in range(0, len(matrix), CHUNK):
        rows = matrix[start : start + CHUNK]
        difference = np.abs(predictor.predict(rows) - model.predict(rows))
        # NaN on either side is a difference without bound.
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0)))
    return worst
