"""A Korean climate from a seed alone, as KMA would report it.

The physics is simplified. Highs and lows travel from west to east; air warms ahead of a low and
cools behind it; moisture gathers around lows and makes cloud and rain; the sun, dimmed by cloud,
drives the diurnal cycle; humidity follows from temperature and dew point. No file is read.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from demo.drivers import Synthesis
from demo.reported import report
from demo.weather import SHARED, Calendar, Systems, weather_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from demo.places import Place


def generate(stations: Sequence[Place], start: datetime, end: datetime, seed: int) -> pl.DataFrame:
    """Hourly observations of generated weather.

    A station's weather depends on seed, range and station, not on the other stations asked for.
    All stations share the same systems, so their weather is correlated as that of neighbours is.

    Args:
        stations: Where.
        start: First hour label, Korean time without a zone, on the hour.
        end: Last hour label, inclusive.
        seed: Same seed, same weather.

    Returns:
        KMA's names and units: station Int32, tm Datetime[us] (KST, no zone, end of the hour), ta,
        hm, ws, wd, ps, pa, td, pv, rn, ss, icsr, vs, ts, dc10Tca as Float64, rounded as KMA does;
        null = missing, dry (rn) or night (ss, icsr). A few hours are absent. Sorted by station, tm.
    """
    axis = pl.datetime_range(start, end, timedelta(hours=1), time_unit="us", eager=True)
    calendar = _calendar(axis)
    synthesis = Synthesis(len(axis))
    rng = np.random.default_rng([seed, 0])
    shared = {name: (synthesis.noise(rng), synthesis.noise(rng)) for name in SHARED}
    frames = []
    for place in sorted(stations, key=lambda one: one.station):
        local = np.random.default_rng([seed, 1, place.station])
        systems = Systems(place, synthesis, shared, local)
        frames.append(report(place.station, axis, weather_at(place, calendar, systems), local))
    return pl.concat(frames)


def _calendar(axis: pl.Series) -> Calendar:
    day = axis.dt.ordinal_day().to_numpy().astype(np.float64)
    hour = axis.dt.hour().to_numpy().astype(np.float64)
    return Calendar(((day - 1 + hour / 24) / 365.25) % 1, day, hour)
