"""KMA's forecasts for a made-up place, in the columns that the depot relays."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.contract.bundles import GUIDANCE, HIGHEST, ISSUED, LOWEST, VALID
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    NEW_SNOW,
    PRECIPITATION,
    RAIN,
    RAIN_CHANCE,
    RELATIVE_HUMIDITY,
    SKY,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

HOUR = timedelta(hours=1)


def forecasts(
    start: datetime,
    days: float,
    *,
    every: int = 1,
    first_lead: int = 1,
    left_out: Collection[int] = (),
    seed: int = 7,
) -> pl.DataFrame:
    """An issue each three hours, as KMA has them: whole degrees, humidity in steps of five.

    Args:
        start: Base time of the first issue, UTC.
        days: How long.
        every: Hours between the values of an issue: 1, or 3 as until 2021.
        first_lead: Hours from an issue to its first value.
        left_out: Numbers of issues that are missing.
        seed: Of the errors.

    Returns:
        `contract.bundles.GUIDANCE`, ascending; 66 hours ahead.
    """
    dice = np.random.default_rng(seed)
    frames = []
    for number in range(int(days * 8)):
        issued = start + 3 * number * HOUR
        leads = np.arange(first_lead, 67, every)
        error = dice.normal(size=(len(leads), 6))
        if number not in left_out:
            frames.append(_issue(issued, leads, error))
    return pl.concat([GUIDANCE.to_frame(), *frames])


def _issue(issued: datetime, leads: np.ndarray, error: np.ndarray) -> pl.DataFrame:
    valid = [issued + int(lead) * HOUR for lead in leads]
    hours = np.array([at.hour for at in valid])
    warm = 12.0 + 6.0 * np.sin(2.0 * np.pi * (hours - 0.0) / 24.0)
    rain = np.clip(40.0 + 30.0 * error[:, 2], 0.0, 100.0)
    columns = {
        ISSUED: [issued] * len(valid),
        VALID: valid,
        AIR_TEMPERATURE: np.round(warm + error[:, 0]),
        RELATIVE_HUMIDITY: np.clip(np.round((70.0 - warm + 6.0 * error[:, 1]) / 5.0) * 5.0, 5, 100),
        RAIN: np.where(rain > 60.0, 1.5, 0.0),
        RAIN_CHANCE: np.round(rain / 10.0) * 10.0,
        WIND_SPEED: np.round(np.abs(2.0 + error[:, 3]), 1),
        WIND_FROM_DIRECTION: np.round((180.0 + 90.0 * error[:, 4]) % 360.0),
        SKY: np.clip(np.round(3.0 + error[:, 5]), 1.0, 4.0),
        PRECIPITATION: np.where(rain > 60.0, 1.0, 0.0),
        NEW_SNOW: np.zeros(len(valid)),
        LOWEST: [10.0 if hour == 21 else None for hour in hours],
        HIGHEST: [18.0 if hour == 6 else None for hour in hours],
    }
    return pl.DataFrame(columns, schema_overrides=GUIDANCE)
