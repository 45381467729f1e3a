"""What is derived from temperature and humidity agrees with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.agronomy.derived import (
    FORMULAS,
    forecast_of,
    inputs_of,
    needed_for,
    target_of,
    values_of,
)
from edge_agent.agronomy.psychrometrics import saturation_kpa
from edge_agent.contract.forecast import Forecast, PointForecast, Source, TargetForecast
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    DERIVED,
    DEW_POINT,
    RAIN,
    RELATIVE_HUMIDITY,
    VPD,
    WET_BULB,
    WIND_SPEED,
)
from tests.fakes.forecasts import hours_after

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
def test_the_deficit_never_contradicts_temperature_and_humidity(
    temperature: float, humidity: float, spread: float
) -> None:
    """Between 0 and saturation, with quantiles in order."""
    forecast = _forecast(temperature, humidity, spread)
    warm, deficit = (_of(forecast, q) for q in (AIR_TEMPERATURE, VPD))
    for vapour, air in ((deficit.values, warm.values), (deficit.quantiles, warm.quantiles)):
        assert (vapour >= 0.0).all()
        assert (vapour <= saturation_kpa(air)).all()
    assert (np.diff(deficit.quantiles, axis=1) >= 0.0).all()


def test_at_saturation_there_is_no_deficit() -> None:
    """At 100 % the air takes up no more."""
    assert _of(_forecast(20.0, 100.0), VPD).values == pytest.approx([0.0])


def test_known_values() -> None:
    """20 C and 50 %: 1.1691 kPa (FAO-56), forecast or measured."""
    deficit = _of(_forecast(20.0, 50.0), VPD)
    assert deficit.values == pytest.approx([1.1691], abs=1e-4)
    assert deficit.unit == "kPa"
    known = {AIR_TEMPERATURE: [20.0, np.nan], RELATIVE_HUMIDITY: [50.0, 50.0]}
    assert values_of(VPD, known) == pytest.approx([1.1691, np.nan], abs=1e-4, nan_ok=True)
    assert values_of(AIR_TEMPERATURE, known)[0] == 20.0


def test_dew_point_and_wet_bulb_of_a_forecast() -> None:
    """20 C and 50 %: 9.3 C and 13.7 C by tables; both are the temperature of saturated air."""
    assert _of(_forecast(20.0, 50.0), DEW_POINT).values == pytest.approx([9.27], abs=0.01)
    assert _of(_forecast(20.0, 50.0), WET_BULB).values == pytest.approx([13.7], abs=0.15)
    for quantity in (DEW_POINT, WET_BULB):
        assert _of(_forecast(3.0, 100.0), quantity).values == pytest.approx([3.0], abs=1e-6)
    assert needed_for(DEW_POINT) == (DEW_POINT,), "stations measure it"
    assert inputs_of(DEW_POINT) == inputs_of(WET_BULB) == (AIR_TEMPERATURE, RELATIVE_HUMIDITY)


def test_any_quantity_of_a_forecast() -> None:
    """A distribution where there is one, else the single values."""
    point = PointForecast("m/s", np.array([3.0]), Source.GUIDANCE)
    known = replace(_forecast(20.0, 50.0), points={WIND_SPEED: point, AIR_TEMPERATURE: point})
    assert forecast_of(known, WIND_SPEED) is point
    assert forecast_of(known, AIR_TEMPERATURE) is known.targets[AIR_TEMPERATURE]
    assert forecast_of(known, RAIN) is None


def test_what_cannot_be_derived_is_not() -> None:
    """Without humidity neither; a quantity that is no forecast is none."""
    forecast = _forecast(20.0, 50.0)
    assert target_of(forecast, WIND_SPEED) is None
    assert FORMULAS.keys() == DERIVED.keys()
    assert needed_for(VPD) == (AIR_TEMPERATURE, RELATIVE_HUMIDITY)
    assert needed_for(AIR_TEMPERATURE) == (AIR_TEMPERATURE,)
    alone = Forecast(
        NOW,
        NOW,
        forecast.valid_at,
        {AIR_TEMPERATURE: forecast.targets[AIR_TEMPERATURE]},
        Source.MODEL,
        1,
    )
    assert all(target_of(alone, quantity) is None for quantity in DERIVED)
