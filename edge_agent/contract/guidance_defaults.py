"""How good KMA's forecasts are where no release says it: errors by age, weights by lead. Pure.

Measured at Busan on the village forecasts of 2018 to 2020 against ASOS 159: a forecast is the
newest one plus the newest error of it here, which fades by exp(-lead / 8 h).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY

_AGES: Final = (1, 4, 12, 24, 48, 66)
_ERRORS: Final = {
    AIR_TEMPERATURE: (1.12, 1.14, 1.18, 1.22, 1.32, 1.42),
    RELATIVE_HUMIDITY: (8.2, 8.3, 8.7, 9.1, 9.8, 10.4),
}
"""By target: root mean squared error at `_AGES`, hours from an issue's base time."""
_KNOWN_H: Final = 3.2
_KNOWN: Final = 0.62
_LEADS: Final = (1, 2, 3, 6, 12, 24, 48)
_SHARES: Final = {
    AIR_TEMPERATURE: (0.45, 0.5, 0.55, 0.7, 0.85, 0.92, 0.95),
    RELATIVE_HUMIDITY: (0.45, 0.5, 0.55, 0.7, 0.85, 0.92, 0.95),
}
"""By target: weight beside an observation model at `_LEADS`; linear between, held beyond."""


def error(target: str, ages: np.ndarray) -> np.ndarray:
    """Root mean squared error of KMA's forecast as it is, by hours from its base time."""
    errors: np.ndarray = np.interp(ages, _AGES, _ERRORS[target])
    return errors


def narrowing(leads: np.ndarray) -> np.ndarray:
    """Factor of that error where the newest error is known and taken off, by hours ahead."""
    factor: np.ndarray = 1.0 - _KNOWN * np.exp(-leads / _KNOWN_H)
    return factor


def shares(target: str, leads: np.ndarray) -> np.ndarray:
    """Weight beside an observation model, by hours ahead of its newest observation."""
    weights: np.ndarray = np.interp(leads, _LEADS, _SHARES[target])
    return weights
