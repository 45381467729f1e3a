"""A forecast that ends early goes on by normals (C1, C2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from edge_agent.contract.forecast import Source
from edge_agent.contract.schema import AIR_TEMPERATURE, LEADS, RELATIVE_HUMIDITY, WIND_SPEED, Site
from edge_agent.forecasting import forecaster
from edge_agent.forecasting.completion import completed
from tests.fakes.forecasts import NOW, forecast, target
from tests.fakes.loaded import FakeRelease

HOUR = timedelta(hours=1)
SITE = Site(37.57, 126.97, 86.0)
NORMALS = forecaster.normals(FakeRelease(), SITE, NOW)


@pytest.mark.parametrize("count", [1, 13, 47])
def test_missing_hours_at_the_end_are_normals_without_a_step(count: int) -> None:
    """C1, C2: what was forecast stays, each hour is named, and the difference fades."""
    warm = NORMALS.targets[AIR_TEMPERATURE].values[:count] + 9.0
    whole = completed(forecast(list(warm), [99.0] * count), FakeRelease(), SITE)
    assert list(whole.valid_at) == [NOW + lead * HOUR for lead in LEADS]
    for name, made_of in whole.targets.items():
        made = [Source.MODEL] * count + [Source.CLIMATOLOGY] * (48 - count)
        assert list(whole.sources_of(name)) == made
        assert (np.diff(made_of.quantiles, axis=1) >= 0).all()
    difference = whole.targets[AIR_TEMPERATURE].values - NORMALS.targets[AIR_TEMPERATURE].values
    np.testing.assert_allclose(difference[:count], 9.0)
    np.testing.assert_allclose(difference[count:], 9 * np.exp(-np.arange(1, 49 - count) / 24))
    assert whole.targets[RELATIVE_HUMIDITY].quantiles[count:].max() <= 100.0


def test_a_whole_forecast_stays() -> None:
    """C1: nothing is added, and no name."""
    made = forecast([1.0] * 48)
    assert completed(made, FakeRelease(), SITE) is made


def test_a_target_without_normals_is_not_known() -> None:
    """C2: missing is never zero."""
    made = forecast([1.0] * 40)
    windy = replace(made, targets={**made.targets, WIND_SPEED: target([3.0] * 40, "m/s")})
    wind = completed(windy, FakeRelease(), SITE).targets[WIND_SPEED]
    assert (wind.values[:40] == 3.0).all()
    assert np.isnan(wind.values[40:]).all()
    assert wind.quantiles.shape == (48, len(wind.levels))
    assert np.isnan(wind.quantiles[40:]).all()
