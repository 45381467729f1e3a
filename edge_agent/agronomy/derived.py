"""Forecasts of quantities that follow from the forecast ones. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.agronomy.psychrometrics import VPD, deficit_kpa, dew_point_c
from edge_agent.contract import schema
from edge_agent.contract.forecast import TargetForecast

if TYPE_CHECKING:
    from edge_agent.contract.forecast import Forecast


DRIEST_PCT: Final = schema.QUANTITIES[schema.RELATIVE_HUMIDITY].low
"""Air of 0 % has no dew point; the driest that is believed stands for it."""

DERIVED: Final = (schema.DEW_POINT, VPD)
"""What follows from temperature and humidity of the same forecast, so that all four agree."""


def needed_for(quantity: str) -> tuple[str, ...]:
    """Forecast quantities that `quantity` is made of; itself where it is one."""
    return schema.TARGETS if quantity in DERIVED else (quantity,)


def target_of(forecast: Forecast, quantity: str) -> TargetForecast | None:
    """Forecast of `quantity`, derived where needed; None when the forecast cannot say.

    Values are those of the temperature and humidity forecast. The deficit's quantile p is made of
    the temperature's quantile p and the humidity's quantile 1 - p: warm and dry errors are taken to
    come together, which is how they come by day (measured correlation is negative at every hour)
    and widens the spread rather than hiding it. The dew point's is made of both quantiles p, which
    is the widest it can be, and never above the temperature's.
    """
    if quantity in forecast.targets:
        return forecast.targets[quantity]
    temperature = forecast.targets.get(schema.AIR_TEMPERATURE)
    humidity = forecast.targets.get(schema.RELATIVE_HUMIDITY)
    if quantity not in DERIVED or temperature is None or humidity is None:
        return None
    levels = temperature.levels
    dew = quantity == schema.DEW_POINT
    beside = np.stack([humidity.quantile(float(p if dew else 1.0 - p)) for p in levels], axis=1)
    formula, unit = (dew_point_c, "°C") if dew else (deficit_kpa, "kPa")
    return TargetForecast(
        unit=unit,
        values=formula(temperature.values, np.clip(humidity.values, DRIEST_PCT, 100.0)),
        levels=levels,
        quantiles=formula(temperature.quantiles, np.clip(beside, DRIEST_PCT, 100.0)),
    )
