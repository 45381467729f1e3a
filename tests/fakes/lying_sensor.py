"""A farm whose own outdoor sensor errs, with models that repeat the newest hour."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from edge_agent import config
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.core.runtime import Runtime
from tests.fakes.clock import FakeClock
from tests.fakes.loaded import FakeRelease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    import numpy as np

OWN, STATION = "sensor:outdoor", "station:108"
HISTORY_H = 200


def release() -> FakeRelease:
    """Models that say what the newest hour had."""
    models = FakeRelease()
    for target, column in (
        (AIR_TEMPERATURE, "temperature"),
        (RELATIVE_HUMIDITY, "humidity"),
    ):
        models.predictors[target].value = _column(column)
    return models


def _column(name: str) -> Callable[[np.ndarray], np.ndarray]:
    position = NAMES.index(name)
    return lambda rows: rows[:, position]


def hours(
    temperatures: Mapping[datetime, float], humidities: Mapping[datetime, float] | None = None
) -> pl.DataFrame:
    """Hours of a source; humidity is 70 % where it is not given."""
    times = sorted(temperatures)
    damp = humidities or dict.fromkeys(times, 70.0)
    return pl.DataFrame(
        {
            TIME: times,
            AIR_TEMPERATURE: [round(temperatures[at], 1) for at in times],
            RELATIVE_HUMIDITY: [round(damp[at]) + (at.hour % 2) for at in times],
        },
        schema={TIME: TIME_DTYPE, AIR_TEMPERATURE: pl.Float64, RELATIVE_HUMIDITY: pl.Float64},
    )


def shifted(truth: Mapping[datetime, float], by: float) -> dict[datetime, float]:
    """A sensor that is off by the same amount at each of the last `HISTORY_H` hours."""
    since = max(truth) - HISTORY_H * timedelta(hours=1)
    return {at: value + by * (at > since) for at, value in truth.items()}


def stuck(truth: Mapping[datetime, float], value: float, for_h: int) -> dict[datetime, float]:
    """A sensor that has said one value for the last hours."""
    since = max(truth) - for_h * timedelta(hours=1)
    return {at: value if at > since else true for at, true in truth.items()}


@contextmanager
def farm(
    folder: Path, sources: Mapping[str, pl.DataFrame], text: str = ""
) -> Iterator[tuple[Runtime, FakeClock]]:
    """A runtime two minutes after the newest of those hours."""
    newest: datetime = max(frame[TIME][-1] for frame in sources.values())
    clock, models = FakeClock(newest + timedelta(minutes=2)), release()
    runtime = Runtime(config.decode(text.encode(), "c.toml"), folder, clock, lambda: True)
    runtime.release = lambda: models  # type: ignore[method-assign,assignment,return-value]
    try:
        for source, frame in sources.items():
            runtime.store.put_hourly(source, frame)
        yield runtime, clock
    finally:
        runtime.close()
