"""An invented record of one station in KMA's names, as short as training takes.

Two years must lie between the first hour and the newest. Before `DENSE_FROM` only six days of
each 32 are there, which makes training faster. Waves of pressure of known length come before warm
and cold air, so that a small training is better than the references and the gate lets it pass.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

STATION: Final = 108
FIRST: Final = datetime(2023, 12, 28)  # noqa: DTZ001 - KMA's naive Korean time
DENSE_FROM: Final = datetime(2025, 6, 10)  # noqa: DTZ001 - KMA's naive Korean time
TRAINED_TO: Final = "2026-01-05"
WINTER_TO: Final = datetime(2026, 1, 20)  # noqa: DTZ001 - KMA's naive Korean time
SUMMER: Final = (datetime(2026, 7, 1), datetime(2026, 7, 21))  # noqa: DTZ001 - KMA's naive Korean time
SEED: Final = 20260105


def record() -> pl.DataFrame:
    """Hourly rows in KMA's names and units; null = dry (`rn`) or night (`icsr`)."""
    axis = pl.datetime_range(FIRST, SUMMER[1], timedelta(hours=1), time_unit="us", eager=True)
    hours = np.arange(len(axis), dtype=np.float64)
    rng = np.random.default_rng(SEED)
    slow = _noise(rng, len(axis), 0.995)
    fast = _noise(rng, len(axis), 0.6)
    wave = np.sin(2 * np.pi * hours / 110 + 0.4 * slow)
    ahead = np.cos(2 * np.pi * hours / 110 + 0.4 * slow)
    year = np.cos(2 * np.pi * (hours / 24 + 345 - 15) / 365.25)
    sun = np.clip(np.sin(2 * np.pi * (hours % 24 - 6) / 24), 0.0, None)
    air = 12.0 - 14.0 * year + 5.0 * (sun - 0.3) + 6.0 * wave + 2.6 * fast
    humidity = np.clip(
        52.0 - 8.0 * year - 12.0 * (sun - 0.3) + 20.0 * ahead + 14.5 * fast, 8.0, 100.0
    )
    pressure = 1016.0 + 6.0 * year + 7.0 * ahead + 0.3 * slow
    rain = np.where(humidity > 78.0, np.round((humidity - 78.0) / 4.0, 1), np.nan)
    solar = np.where(sun > 0.02, 2.6 * sun * (1.0 - 0.3 * year) * (1.1 - humidity / 200.0), np.nan)
    frame = pl.DataFrame(
        {
            "station": np.full(len(axis), STATION, np.int32),
            "tm": axis,
            "ta": np.round(air, 1),
            "hm": np.round(humidity),
            "ws": np.round(2.2 + 1.2 * sun + 0.5 * np.abs(slow), 1),
            "wd": np.round((220.0 + 80.0 * wave) / 20.0) * 20.0,
            "ps": np.round(pressure, 1),
            "pa": np.round(pressure - 10.5, 1),
            "rn": rain,
            "icsr": np.round(solar, 2),
        }
    )
    days = (pl.col("tm") - FIRST).dt.total_days()
    here = (pl.col("tm") >= DENSE_FROM) | (days % 32 < 6)
    later = (pl.col("tm") <= WINTER_TO) | pl.col("tm").is_between(*SUMMER)
    return frame.filter(here & later).with_columns(pl.col("rn", "icsr").fill_nan(None))


def write(path: Path) -> None:
    """The record as CSV."""
    record().write_csv(path, datetime_format="%Y-%m-%d %H:%M")


def _noise(rng: np.random.Generator, count: int, keep: float) -> np.ndarray:
    """Autoregressive noise of unit variance, shape (count,)."""
    shocks = rng.standard_normal(count) * np.sqrt(1.0 - keep**2)
    values = np.zeros(count)
    for index in range(1, count):
        values[index] = keep * values[index - 1] + shocks[index]
    return values
