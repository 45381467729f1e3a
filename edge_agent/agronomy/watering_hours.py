"""When to water, and how much rain to count on, in the next 24 hours. Pure.

The best hours are the first three in a row without frost and without likely rain (then or in the
six hours that follow), not hotter than 28 C and with the sun below 30 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.agronomy import radiation
from edge_agent.contract.schema import AIR_TEMPERATURE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edge_agent.contract.forecast import Forecast
    from edge_agent.contract.schema import Site

MIN_KNOWN: Final = 0.75
"""Share of hours that must be known to say anything about all of them."""
HOT_C: Final = 28.0
FREEZING_C: Final = 2.0
FREEZING_CHANCE: Final = 0.2
HIGH_SUN_DEG: Final = 30.0
LIKELY_RAIN_PCT: Final = 60.0
"""KMA's forecasters call an hour rainy from here on."""
_HOUR: Final = timedelta(hours=1)
_DAY: Final = 24
_RUN: Final = 3
_AFTER: Final = 6
DURATION: Final = _RUN * _HOUR
"""Length of the best hours."""


@dataclass(frozen=True, slots=True)
class Shower:
    """KMA's forecast of rain in one hour; None = not given."""

    chance_pct: float | None
    amount_mm: float | None

    @property
    def likely(self) -> bool:
        """Whether the advice counts on it."""
        return self.chance_pct is not None and self.chance_pct >= LIKELY_RAIN_PCT


def rain_ahead(showers: Mapping[datetime, Shower], now: datetime) -> float | None:
    """Likely rain of the next 24 hours in mm; None where a quarter of them or more is not known."""
    day = [shower for at, shower in showers.items() if now < at <= now + _DAY * _HOUR]
    if sum(shower.chance_pct is not None for shower in day) <= MIN_KNOWN * _DAY:
        return None
    return sum(shower.amount_mm or 0.0 for shower in day if shower.likely)


def best_hours(
    forecast: Forecast, site: Site, now: datetime, showers: Mapping[datetime, Shower]
) -> datetime | None:
    """Start of the best hours within the next 24; None where there are none.

    Args:
        forecast: With air temperature.
        site: Where.
        now: UTC.
        showers: Forecast of rain by hour; empty under a roof.
    """
    wet = {at for at, shower in showers.items() if shower.likely}
    target = forecast.targets[AIR_TEMPERATURE]
    freezing = target.probability("<=", FREEZING_C) >= FREEZING_CHANCE
    rows = [i for i, at in enumerate(forecast.valid_at) if at > now][:_DAY]
    good = []
    for i in rows:
        # An hour of rain is named by its start or by its end: neither is dry for certain.
        soon = (forecast.valid_at[i] - _HOUR, *forecast.valid_at[i : i + _AFTER + 1])
        harm = bool(freezing[i : i + _AFTER + 1].any()) or bool(target.values[i] > HOT_C)
        harm = harm or any(at in wet for at in soon)
        good.append(not harm and _sun_deg(forecast.valid_at[i] - _HOUR / 2, site) < HIGH_SUN_DEG)
    for first in range(len(rows) - _RUN + 1):
        if all(good[first : first + _RUN]):
            return forecast.valid_at[rows[first]] - _HOUR
    return None


def _sun_deg(at: datetime, site: Site) -> float:
    day = at.timetuple().tm_yday
    return float(
        radiation.elevation_deg(site.latitude, site.longitude, day, at.hour + at.minute / 60)
    )
