"""The references that a model must beat, on numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY
from trainer.evaluation import baselines
from trainer.evaluation.baselines import DampedAnomaly

COUNT = 400


def matrix() -> np.ndarray:
    """Random rows."""
    return np.random.default_rng(2).normal(0, 3, (COUNT, len(NAMES))).astype(np.float32)


@pytest.mark.parametrize(
    ("target", "short"), [(AIR_TEMPERATURE, "temperature"), (RELATIVE_HUMIDITY, "humidity")]
)
def test_columns(target: str, short: str) -> None:
    """Persistence is the newest same hour, climatology the target hour's normal."""
    rows = matrix()
    same, normal = (
        rows[:, NAMES.index(name)] for name in (f"same_hour_{short}_0d", f"target_normal_{short}")
    )
    assert (baselines.persistence(rows, target) == same).all()
    assert (baselines.climatology(rows, target) == normal).all()


def test_damped_anomaly_finds_its_shares_by_lead() -> None:
    """Exact shares come back for each lead; rows with anything missing are left out."""
    rows, leads = matrix(), np.repeat([6, 24], COUNT // 2)
    now, same = (
        rows[:, NAMES.index(name)].astype(np.float64)
        for name in ("temperature_anomaly", "same_hour_temperature_anomaly_0d")
    )
    normal = baselines.climatology(rows, AIR_TEMPERATURE)
    truth = normal + np.where(leads == 6, 0.7 * now + 0.1 * same, 0.2 * now + 0.4 * same)
    truth[::9] = np.nan
    rows[5, NAMES.index("temperature_anomaly")] = np.nan
    found = DampedAnomaly.fit(rows, leads, truth, AIR_TEMPERATURE)
    assert found.shares[6] == pytest.approx((0.7, 0.1), abs=1e-6)
    assert found.shares[24] == pytest.approx((0.2, 0.4), abs=1e-6)
    predicted = found.predict(rows, leads)
    assert np.isnan(predicted[5])
    known = np.isfinite(truth) & np.isfinite(predicted)
    assert np.abs(predicted - truth)[known].max() < 1e-5
