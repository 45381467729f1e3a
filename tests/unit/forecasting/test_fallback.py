"""Which forecast is said (rules L1 to L3)."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from edge_agent.contract.forecast import Forecast, NoForecast, Source
from edge_agent.forecasting import fallback
from tests.fakes.forecasts import NOW, forecast

HOUR = timedelta(hours=1)
KEPT = forecast([float(h) for h in range(48)], now=NOW - 20 * HOUR)


def test_current_models_come_first() -> None:
    """A kept forecast never replaces a current one (L1)."""
    made = forecast([20.0] * 48)
    assert fallback.choose(made, [KEPT], NOW) is made


def test_kept_forecast_beats_normals_and_nothing() -> None:
    """The kept one goes on, hours past cut off, and says why (L2)."""
    normals = forecast([12.0] * 48, source=Source.CLIMATOLOGY)
    notes: list[str] = []
    for made in (normals, NoForecast(NOW, "no observation")):
        chosen = fallback.choose(made, [KEPT], NOW)
        assert isinstance(chosen, Forecast)
        assert chosen.source is Source.CACHED
        assert chosen.valid_at[0] == NOW + HOUR
        assert len(chosen.valid_at) == 28
        np.testing.assert_array_equal(
            chosen.targets["air_temperature_c"].values, np.arange(20.0, 48.0)
        )
        notes = list(chosen.notes)
    assert notes == ["no observation", "forecast of 2026-06-30T09:00Z goes on"]


def test_newest_kept_forecast_of_the_models_is_taken() -> None:
    """Order in the store decides, and other rungs are passed over (L2)."""
    newer = forecast([1.0] * 48, now=NOW - 5 * HOUR)
    poor = forecast([2.0] * 48, now=NOW - 2 * HOUR, source=Source.CLIMATOLOGY)
    chosen = fallback.choose(NoForecast(NOW, "x"), [KEPT, newer, poor], NOW)
    assert isinstance(chosen, Forecast)
    assert chosen.origin == newer.origin


def test_too_old_or_from_the_future_is_not_said() -> None:
    """What is 37 hours old, ends soon, or was made by a clock ahead is left (L2, L3)."""
    none = NoForecast(NOW, "x")
    old = forecast([1.0] * 60, now=NOW - 37 * HOUR)
    short = forecast([1.0] * 31, now=NOW - 20 * HOUR)
    ahead = forecast([1.0] * 48, now=NOW + HOUR)
    assert fallback.choose(none, [old, short, ahead], NOW) is none
