"""Dew point and vapour pressure deficit of a forecast agree with its temperature and humidity."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.agronomy.derived import DERIVED, needed_for, target_of
from edge_agent.agronomy.psychrometrics import VPD, saturation_kpa
from edge_agent.contract.forecast import Forecast, Source, TargetForecast, hours_after
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    DEW_POINT,
    RELATIVE_HUMIDITY,
    TARGETS,
    WIND_SPEED,
)

NOW = datetime(2026, 7, 1, tzinfo=UTC)
LEVELS = np.array([0.1, 0.5, 0.9])


def _forecast(temperature: float, humidity: float, spread: float = 0.0) -> Forecast:
    """One hour; `spread` to either side, humidity bounded."""
    steps = spread * np.array([[-1.0, 0.0, 1.0]])
    targets = {
        AIR_TEMPERATURE: TargetForecast("°C", np.array([temperature]), LEVELS, temperature + steps),
        RELATIVE_HUMIDITY: TargetForecast(
            "%", np.array([humidity]), LEVELS, np.clip(humidity + 3 * steps, 0.0, 100.0)
        ),
    }
    return Forecast(NOW, NOW, hours_after(NOW, 1), targets, Source.MODEL, 1)


def _of(forecast: Forecast, quantity: str) -> TargetForecast:
    found = target_of(forecast, quantity)
    assert found is not None
    return found


@given(
    temperature=st.floats(-25.0, 42.0), humidity=st.floats(0.0, 100.0), spread=st.floats(0.0, 12.0)
)
def test_the_four_never_contradict_each_other(
    temperature: float, humidity: float, spread: float
) -> None:
    """Dew point <= temperature, deficit >= 0, and the deficit is what the dew point leaves."""
    forecast = _forecast(temperature, humidity, spread)
    warm, dew, deficit = (_of(forecast, q) for q in (AIR_TEMPERATURE, DEW_POINT, VPD))
    assert (dew.values <= warm.values + 1e-9).all()
    assert (dew.quantiles <= warm.quantiles + 1e-9).all()
    assert (deficit.values >= 0.0).all()
    assert (deficit.quantiles >= 0.0).all()
    for one in (dew, deficit):
        assert (np.diff(one.quantiles, axis=1) >= -1e-9).all()
    # Two sets of constants for saturation: below 1 % of it between -25 and 42 C.
    left = saturation_kpa(warm.values) - saturation_kpa(dew.values)
    assert deficit.values == pytest.approx(left, abs=0.01 * float(saturation_kpa(temperature)))


def test_at_saturation_there_is_no_deficit() -> None:
    """At 100 % the dew point is the temperature; above it nothing can be said."""
    forecast = _forecast(20.0, 100.0)
    assert _of(forecast, DEW_POINT).values == pytest.approx([20.0])
    assert _of(forecast, VPD).values == pytest.approx([0.0])


def test_known_values() -> None:
    """20 C and 50 %: 9.255 C (WMO) and 1.1691 kPa (FAO-56)."""
    forecast = _forecast(20.0, 50.0)
    assert _of(forecast, DEW_POINT).values == pytest.approx([9.255], abs=1e-3)
    assert _of(forecast, VPD).values == pytest.approx([1.1691], abs=1e-4)
    assert [_of(forecast, q).unit for q in (DEW_POINT, VPD)] == ["°C", "kPa"]


def test_what_cannot_be_derived_is_not() -> None:
    """Without humidity neither; a quantity that is no forecast is none."""
    forecast = _forecast(20.0, 50.0)
    assert target_of(forecast, WIND_SPEED) is None
    assert {needed_for(quantity) for quantity in DERIVED} == {TARGETS}
    assert needed_for(AIR_TEMPERATURE) == (AIR_TEMPERATURE,)
    alone = Forecast(
        NOW,
        NOW,
        forecast.valid_at,
        {AIR_TEMPERATURE: forecast.targets[AIR_TEMPERATURE]},
        Source.MODEL,
        1,
    )
    assert [target_of(alone, quantity) for quantity in DERIVED] == [None, None]
