"""Forecasts of every pair of the training span by models that never saw its part of the span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract import missing_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PROBED: Final = 10
"""Every so many pairs are also forecast without each group of inputs, to see what that costs."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Forecasts of N pairs.

    Attributes:
        values: Of every pair, shape (N, ...).
        lacking: Per group of `missing_inputs`, those of every `PROBED`th pair without the group.
    """

    values: np.ndarray
    lacking: Mapping[str, np.ndarray]


def forecast_unseen(
    inputs: np.ndarray,
    block: np.ndarray,
    models: Iterable[Callable[[np.ndarray], np.ndarray]],
    shape: tuple[int, ...] = (),
) -> Unseen:
    """Forecast each part of the span by its model.

    Args:
        inputs: Float32 (N, F).
        block: Part of each pair, shape (N,).
        models: For one part after the other, the forecasts of a model that never saw the part.
        shape: Of what a model gives for one pair.
    """
    probed = np.arange(0, len(block), PROBED)
    values = np.full((len(block), *shape), np.nan)
    lacking = {group: np.full((len(probed), *shape), np.nan) for group in missing_inputs.GROUPS}
    for part, predict in enumerate(models):
        rows, here = block == part, block[probed] == part
        values[rows] = predict(inputs[rows])
        some = inputs[probed[here]]
        for group, without in lacking.items():
            without[here] = predict(missing_inputs.blanked(some, [group]))
    return Unseen(values, lacking)
