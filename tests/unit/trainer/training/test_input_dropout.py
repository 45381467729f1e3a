"""Inputs left out at random: about as many as asked, and never the calendar."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.contract.feature_table import NAMES
from trainer.training.input_dropout import drop_inputs

CALENDAR = {
    name
    for name in NAMES
    if name.startswith(("hour", "weekday", "target_", "normal_change", "reference", "lead"))
    or name in {"latitude", "longitude", "elevation"}
}


def test_drop_inputs_blanks_at_random_and_leaves_the_rest() -> None:
    """About `share` of the rows lose each group; kept values, calendar and argument stay."""
    matrix = np.arange(6000 * len(NAMES), dtype=np.float32).reshape(6000, len(NAMES)) + 1
    before = matrix.copy()
    out = drop_inputs(matrix, 0.2, seed=3)
    assert (matrix == before).all()
    kept = np.isfinite(out)
    assert (out[kept] == matrix[kept]).all()
    for column, name in enumerate(NAMES):
        share = 1.0 - kept[:, column].mean()
        if name in CALENDAR:
            assert share == 0.0, name
        elif "temperature" in name:
            # By itself only: a tenth of the share; 4 standard errors are 0.007.
            assert share == pytest.approx(0.02, abs=0.008), name
        else:
            assert share == pytest.approx(0.2 + 0.8 * 0.02, abs=0.025), name
    assert np.array_equal(out, drop_inputs(matrix, 0.2, seed=3), equal_nan=True)
