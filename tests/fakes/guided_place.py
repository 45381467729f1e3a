"""A place that saw other weather than KMA said: observations for the inputs of guidance."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE, Site

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

SITE = Site(35.1, 129.03, 69.6)


def observed(
    start: datetime, hours: int, *, gaps: Iterable[range] = (), seed: int = 3
) -> pl.DataFrame:
    """Checked hours, gapless: temperature and humidity with a bias and noise.

    Args:
        start: First hour, UTC.
        hours: Number of them.
        gaps: Rows without values.
        seed: Of the noise.
    """
    dice = np.random.default_rng(seed)
    number = np.arange(hours)
    warm = 13.1 + 6.0 * np.sin(2.0 * np.pi * (start.hour + number) / 24.0)
    values = {
        AIR_TEMPERATURE: np.round(warm + dice.normal(size=hours), 1),
        RELATIVE_HUMIDITY: np.clip(np.round(75.0 - warm + 5 * dice.normal(size=hours), 1), 1, 100),
    }
    for gap in gaps:
        for column in values.values():
            column[gap.start : gap.stop] = np.nan
    times = [start + timedelta(hours=hour) for hour in range(hours)]
    frame = pl.DataFrame({TIME: times} | values, schema_overrides={TIME: TIME_DTYPE})
    return frame.fill_nan(None)
