"""Inputs that are left out of training rows, as farms do not measure everything. Pure."""

from __future__ import annotations

import numpy as np

from edge_agent.contract import missing_inputs


def without_values(matrix: np.ndarray) -> list[int]:
    """Measured columns of a matrix (float32 (N, F)) that hold no value, or one and the same.

    Nothing can be learned from them. Radiation of a station without a pyranometer is such a column:
    it is 0 at night and missing by day, so that trees would take it for a clock, and a pyranometer
    on a farm for the night.
    """
    lowest, highest = np.fmin.reduce(matrix, axis=0), np.fmax.reduce(matrix, axis=0)
    return [
        column for column in missing_inputs.MEASURED_COLUMNS if not lowest[column] < highest[column]
    ]


def drop_inputs(matrix: np.ndarray, share: float, seed: int, bare: float = 0.0) -> np.ndarray:
    """Matrix in which each group of inputs is blanked in a random `share` of the rows.

    A farm without a barometer then meets a model that has seen such rows, and every input that
    can be missing has been missing in training, so that trees carry a branch for it. Every hourly
    value may also be missing by itself, in a tenth as many rows. The calendar, the site and the
    references are never blank.

    Args:
        matrix: Float32 (N, F).
        share: Of the rows, for each group.
        seed: Of the draw.
        bare: Share of the rows in which everything but temperature and humidity is blank: the least
            farm, which groups drawn one by one would hardly ever make.
    """
    random = np.random.default_rng(seed)
    out = matrix.copy()
    for group in missing_inputs.GROUPS:
        rows = np.flatnonzero(random.random(len(out)) < share)
        out[rows[:, None], missing_inputs.columns_of(group)] = np.nan
    rows = np.flatnonzero(random.random(len(out)) < bare)
    for group in missing_inputs.ALL_BUT_HUMIDITY:
        out[rows[:, None], missing_inputs.columns_of(group)] = np.nan
    for column in missing_inputs.MEASURED_COLUMNS:
        out[random.random(len(out)) < share / 10.0, column] = np.nan
    return out
