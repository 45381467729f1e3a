"""Position of the sun: tables by day of year and hour, so that every caller reads equal bits.

Declination, equation of time and hour angle follow FAO Irrigation and Drainage Paper 56 (Allen et
al. 1998), equations 24 and 31 to 33.
"""

from __future__ import annotations

import numpy as np

DAYS = 366
HOURS = 24


def cos_zenith_table(latitude: float, longitude: float) -> np.ndarray:
    """Cosine of the solar zenith angle at the middle of each hour; 0 while the sun is down.

    Args:
        latitude: Degrees north.
        longitude: Degrees east.

    Returns:
        Float64, shape (366, 24): row = day of year - 1 (UTC), column = UTC hour that *ends* the
        hour described (the label of an hourly observation).
    """
    day = np.arange(1.0, DAYS + 1.0)[:, None]
    hour = np.arange(HOURS)[None, :] - 0.5
    declination = 0.409 * np.sin(2.0 * np.pi * day / 365.0 - 1.39)
    b = 2.0 * np.pi * (day - 81.0) / 364.0
    equation_of_time = 0.1645 * np.sin(2.0 * b) - 0.1255 * np.cos(b) - 0.025 * np.sin(b)
    angle = np.pi / 12.0 * (hour + longitude / 15.0 + equation_of_time - 12.0)
    phi = np.radians(latitude)
    cosine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)
    table: np.ndarray = np.maximum(cosine, 0.0)
    return table
