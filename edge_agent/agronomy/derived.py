"""Quantities that follow from air temperature and relative humidity, and any of a forecast. Pure.

`schema.DERIVED` follow from both in observations and forecasts. The dew point, which stations
measure, follows from both in forecasts only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.agronomy.psychrometrics import deficit_kpa, dew_point_c, wet_bulb_c
from edge_agent.contract.forecast import P10, P90, TargetForecast
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    DERIVED,
    DEW_POINT,
    FORECAST,
    QUANTITIES,
    RELATIVE_HUMIDITY,
    VPD,
    WET_BULB,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from edge_agent.agronomy.psychrometrics import Array
    from edge_agent.contract.forecast import Forecast, PointForecast

FORMULAS: Final[Mapping[str, Callable[[npt.ArrayLike, npt.ArrayLike], Array]]] = {
    VPD: deficit_kpa,
    WET_BULB: wet_bulb_c,
}
"""Derived quantity -> formula of temperature in degrees Celsius and humidity in percent."""

_IN_FORECAST: Final = {**FORMULAS, DEW_POINT: dew_point_c}

_DRIEST_PCT: Final = QUANTITIES[RELATIVE_HUMIDITY].low
"""Forecast humidity below it is taken as this much: the driest that is plausible."""


def needed_for(quantity: str) -> tuple[str, ...]:
    """Quantities that `quantity` is computed from; itself where it is not derived."""
    return (AIR_TEMPERATURE, RELATIVE_HUMIDITY) if quantity in DERIVED else (quantity,)


def inputs_of(quantity: str) -> tuple[str, ...]:
    """Targets that the forecast of `quantity` follows from; empty where it does from none."""
    return (AIR_TEMPERATURE, RELATIVE_HUMIDITY) if quantity in _IN_FORECAST else ()


def values_of(quantity: str, known: Mapping[str, npt.ArrayLike]) -> Array:
    """Values of a quantity, float64; NaN where one that it needs is NaN.

    Args:
        quantity: Measured or derived.
        known: Values of what `needed_for` names.

    Raises:
        KeyError: One of those is not in `known`.
    """
    inputs = [np.asarray(known[name], np.float64) for name in needed_for(quantity)]
    return FORMULAS[quantity](*inputs) if quantity in DERIVED else inputs[0]


def target_of(
    forecast: Forecast, quantity: str, levels: np.ndarray | None = None
) -> TargetForecast | None:
    """Forecast of `quantity`, derived where needed; None when the forecast cannot say.

    Values are those of the temperature and humidity forecast. Quantile p is made of the
    temperature's quantile p and the humidity's quantile 1 - p: warm and dry errors are taken to
    come together. By day they do (the measured correlation is negative at every hour), and it
    widens the spread of the deficit rather than hiding it.

    Args:
        forecast: Of the targets.
        quantity: A target, or what follows from them.
        levels: Probabilities of a derived quantity's quantiles; None: those of the temperature.
    """
    if quantity in forecast.targets:
        return forecast.targets[quantity]
    temperature = forecast.targets.get(AIR_TEMPERATURE)
    humidity = forecast.targets.get(RELATIVE_HUMIDITY)
    if quantity not in _IN_FORECAST or temperature is None or humidity is None:
        return None
    formula, warm = _IN_FORECAST[quantity], temperature.quantiles
    if levels is None:
        levels = temperature.levels
    else:
        warm = np.stack([temperature.quantile(float(p)) for p in levels], axis=1)
    opposite = np.stack([humidity.quantile(1.0 - float(p)) for p in levels], axis=1)
    quantiles = formula(warm, np.clip(opposite, _DRIEST_PCT, 100.0))
    return TargetForecast(
        unit=QUANTITIES[quantity].unit,
        values=formula(temperature.values, np.clip(humidity.values, _DRIEST_PCT, 100.0)),
        levels=levels,
        quantiles=np.sort(quantiles, axis=1),
    )


def forecast_of(forecast: Forecast, quantity: str) -> TargetForecast | PointForecast | None:
    """Forecast of any quantity of `schema.FORECAST`; None when the forecast cannot say.

    A distribution comes before a point.
    """
    return target_of(forecast, quantity) or forecast.points.get(quantity)


def quantities_of(forecast: Forecast) -> dict[str, TargetForecast | PointForecast]:
    """What a forecast has of `schema.FORECAST`, for messages and answers.

    Derived quantities have the quantiles of `P10` and `P90` alone.
    """
    levels = np.array([P10, P90])
    every = (
        (name, target_of(forecast, name, levels) or forecast.points.get(name)) for name in FORECAST
    )
    return {name: series for name, series in every if series is not None}
