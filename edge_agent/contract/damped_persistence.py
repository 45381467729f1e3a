"""Persistence blended with climatology: the normal plus shares of the newest anomalies.

    x(t + l) = n(t + l) + a_l (x(t) - n(t)) + b_l (x(s) - n(s)),

s = newest hour, not after t, with the target's hour of the day. Its error is climatology's times
f_l. Shares and factors are least squares on Seoul (ASOS 108) of 2013-2016, hourly. On 2017-2018
they leave errors of 2.47 C and 14.6 % at 12 h, 2.86 C and 16.1 % at 24 h; climatology's 80 %
interval times f_l covers 0.77 to 0.80 of temperature and 0.75 to 0.85 of humidity. Wind speed has
errors of 1.07 m/s at 12 h and 1.13 m/s at 24 h, its normals 1.20 m/s.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, WIND_SPEED

_LEADS: Final = (1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48, 60, 72)
_SHARES: Final = {
    AIR_TEMPERATURE: (
        (0.99, 0.96, 0.93, 0.89, 0.80, 0.67, 0.58, 0.52, 0.28, 0.34, 0.14, 0.17, 0.07),
        (0.00, 0.00, 0.01, 0.02, 0.06, 0.13, 0.16, 0.13, 0.28, 0.04, 0.14, 0.03, 0.07),
        (0.16, 0.28, 0.36, 0.44, 0.55, 0.66, 0.71, 0.78, 0.83, 0.93, 0.96, 0.98, 0.99),
    ),
    RELATIVE_HUMIDITY: (
        (0.97, 0.92, 0.86, 0.81, 0.70, 0.56, 0.46, 0.34, 0.14, 0.12, 0.04, 0.05, 0.03),
        (0.00, 0.00, 0.00, 0.01, 0.03, 0.05, 0.06, 0.04, 0.14, 0.03, 0.04, 0.04, 0.03),
        (0.27, 0.40, 0.51, 0.59, 0.71, 0.81, 0.87, 0.93, 0.96, 0.99, 1.00, 1.00, 1.00),
    ),
    WIND_SPEED: (
        (0.73, 0.63, 0.55, 0.48, 0.37, 0.27, 0.20, 0.13, 0.08, 0.02, 0.02, 0.02, 0.02),
        (0.03, 0.05, 0.06, 0.07, 0.09, 0.11, 0.11, 0.11, 0.08, 0.04, 0.02, 0.03, 0.02),
        (0.68, 0.77, 0.83, 0.87, 0.92, 0.95, 0.97, 0.98, 0.99, 1.00, 1.00, 1.00, 1.00),
    ),
}
"""By target: a, b and f at `_LEADS`; linear between them, held beyond the last."""


def shares(target: str, leads: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a, b and f of a target.

    Args:
        target: Quantity.
        leads: Hours ahead, shape (N,).
    """
    now, same, error = (np.interp(leads, _LEADS, row) for row in _SHARES[target])
    return now, same, error
