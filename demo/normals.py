"""Monthly figures of a Korean inland city, to which the generated climate is tuned.

The tables hold rounded climatological figures of the Seoul region; `at` turns a table into a
smooth curve through the year by its first three harmonics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

TEMPERATURE_C: Final = (-2.3, 0.2, 6.3, 12.9, 18.6, 23.2, 26.2, 26.8, 22.0, 15.3, 7.5, -0.3)
LATITUDE_TREND_C: Final = (-1.9, -1.6, -1.0, -0.6, -0.4, -0.4, -0.5, -0.5, -0.7, -1.0, -1.3, -1.8)
"""Change of the mean temperature for each degree towards the north."""
SYNOPTIC_C: Final = (4.1, 3.9, 3.7, 3.4, 2.9, 2.2, 2.1, 2.1, 2.3, 3.2, 4.0, 4.2)
"""Standard deviation of the temperature that weather systems bring."""
DEPRESSION_C: Final = (8.6, 9.2, 10.2, 10.4, 10.2, 8.5, 5.4, 6.4, 8.0, 8.4, 7.9, 8.2)
DEPRESSION_SPREAD_C: Final = (3.9, 4.3, 4.7, 5.0, 4.4, 3.3, 2.3, 2.6, 3.2, 3.6, 4.2, 4.0)
SEA_PRESSURE_HPA: Final = (
    *(1024.8, 1023.4, 1019.5, 1014.2, 1010.6, 1007.0),
    *(1006.7, 1006.8, 1013.2, 1019.0, 1021.9, 1024.7),
)
PRESSURE_SPREAD_HPA: Final = (4.9, 5.1, 5.1, 5.2, 4.8, 3.7, 3.7, 3.7, 4.2, 4.6, 4.8, 5.3)
WET_SHARE: Final = (0.032, 0.045, 0.045, 0.08, 0.075, 0.07, 0.17, 0.1, 0.06, 0.055, 0.07, 0.05)
"""Share of hours with rain."""
RAIN_MM_PER_WET_HOUR: Final = (0.8, 1.3, 1.2, 2.2, 3.2, 3.6, 7.0, 5.2, 3.6, 3.2, 2.0, 1.3)
CLOUD_SHIFT: Final = (-0.45, -0.45, -0.4, -0.15, -0.2, 0.1, 0.65, 0.3, -0.1, -0.45, -0.2, -0.4)
HEATING: Final = (1.3, 1.2, 1.1, 1.08, 1.06, 0.96, 0.8, 0.84, 1.02, 1.38, 1.45, 1.48)
"""Degrees of diurnal swing for each MJ/m2 that the air remembers, times a constant."""
WIND_MS: Final = (2.5, 2.7, 2.9, 3.1, 3.0, 2.8, 2.8, 2.7, 2.3, 2.4, 2.4, 2.4)


def at(table: tuple[float, ...], year_share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A monthly table as a smooth curve.

    Args:
        table: 12 values, the middle of January first.
        year_share: Position in the year, 0 to 1.
    """
    if len(table) != 12:
        raise ValueError(f"a monthly table has 12 values, not {len(table)}")
    months = 2 * np.pi * (np.arange(12) + 0.5) / 12
    values = np.asarray(table)
    curve = np.full(year_share.shape, values.mean())
    for harmonic in (1, 2, 3):
        angle = harmonic * 2 * np.pi * year_share
        curve += values @ np.cos(harmonic * months) / 6 * np.cos(angle)
        curve += values @ np.sin(harmonic * months) / 6 * np.sin(angle)
    return curve
