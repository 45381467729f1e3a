"""Past hours in KMA's names, and forecasts of KMA that were made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl

from demo.climate import generate
from demo.places import SEOUL
from edge_agent.contract.schema import Site

HOUR = timedelta(hours=1)
STATION = SEOUL.station
SITE = Site(SEOUL.latitude, SEOUL.longitude, SEOUL.elevation_m)
FIRST = datetime(2019, 6, 10, tzinfo=UTC)
"""First hour of the observations, in summer; of `winter` in January."""
DAYS = 28
_KOREA = 9 * HOUR


@cache
def station_hours(first: datetime = FIRST, days: int = DAYS) -> pl.DataFrame:
    """Hours of Seoul from a time on, as a file in KMA's names has them (`tm` in KST)."""
    start = first.replace(tzinfo=None) + _KOREA
    return generate([SEOUL], start, start + days * 24 * HOUR - HOUR, 5)


@cache
def village_forecasts(first: datetime = FIRST, days: int = DAYS, every: int = 3) -> pl.DataFrame:
    """Issues every three hours with a value `every` so many, 4 to 58 h ahead, a degree too warm.

    Whole degrees and fives of a percent; `r06` is given every six hours.
    """
    hours = station_hours(first, days)
    truth = dict(zip(hours["tm"], hours.select("ta", "hm").rows(), strict=True))
    rows = []
    for step in range(2, 24 * days, 3):
        issued = first + step * HOUR
        for lead in range(4, 60, every):
            valid = issued + lead * HOUR
            degrees, humidity = truth.get(valid.replace(tzinfo=None) + _KOREA, (None, None))
            if degrees is None or humidity is None:
                continue
            rain = 7.5 if valid.hour % 6 == 0 else None
            rows.append((issued, valid, float(round(degrees) + 1), 5.0 * round(humidity / 5), rain))
    names = {"issued_at": None, "valid_at": None, "tmp": pl.Float32, "reh": pl.Float32}
    return pl.DataFrame(
        rows,
        schema={**names, "r06": pl.Float32},
        orient="row",
        schema_overrides=dict.fromkeys(("issued_at", "valid_at"), pl.Datetime("us", "UTC")),
    )


def echo(matrix: np.ndarray) -> np.ndarray:
    """For a fake model: a number that depends on every input of a row."""
    return np.asarray(np.nansum(np.nan_to_num(matrix) * _WEIGHTS[: matrix.shape[1]], axis=1) % 30)


_WEIGHTS = np.random.default_rng(3).uniform(0.5, 1.5, 1000).astype(np.float32)
