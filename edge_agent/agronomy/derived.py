"""Forecasts of quantities that follow from the forecast ones. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_agent.agronomy.psychrometrics import VPD, deficit_kpa
from edge_agent.contract import schema
from edge_agent.contract.forecast import TargetForecast

if TYPE_CHECKING:
    from edge_agent.contract.forecast import Forecast


def needed_for(quantity: str) -> tuple[str, ...]:
    """Forecast quantities that `quantity` is made of; itself where it is one."""
    return (schema.AIR_TEMPERATURE, schema.RELATIVE_HUMIDITY) if quantity == VPD else (quantity,)


def target_of(forecast: Forecast, quantity: str) -> TargetForecast | None:
    """Forecast of `quantity`, derived where needed; None when the forecast cannot say.

    The deficit's quantile p is made of the temperature's quantile p and the humidity's quantile
    1 - p: warm and dry errors are taken to come together, which is how they come by day (measured
    correlation is negative at every hour) and widens the spread rather than hiding it.
    """
    if quantity in forecast.targets:
        return forecast.targets[quantity]
    temperature = forecast.targets.get(schema.AIR_TEMPERATURE)
    humidity = forecast.targets.get(schema.RELATIVE_HUMIDITY)
    if quantity != VPD or temperature is None or humidity is None:
        return None
    levels = temperature.levels
    opposite = np.stack([humidity.quantile(1.0 - float(p)) for p in levels], axis=1)
    return TargetForecast(
        unit="kPa",
        values=deficit_kpa(temperature.values, np.clip(humidity.values, 0.0, 100.0)),
        levels=levels,
        quantiles=deficit_kpa(temperature.quantiles, np.clip(opposite, 0.0, 100.0)),
    )
