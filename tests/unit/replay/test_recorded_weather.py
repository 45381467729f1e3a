"""A replay reads recorded hours as a device reads its store."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract.forecast import GUIDED_SOURCES, Forecast, NoForecast, Source
from edge_agent.contract.schema import OBSERVED, STATION_PRESSURE, TIME
from edge_agent.core.stored_weather import StoredWeather
from edge_agent.observations import source_choice
from edge_agent.observations.store import Store
from edge_agent.replay.recorded_weather import BLOCK, RecordedWeather
from edge_agent.settings import Device
from edge_agent.system.database import connect
from tests.fakes.loaded import FakeRelease, Says
from tests.fakes.weather import record, values_only

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE = Device()
OWN, STATION, CELL = source_choice.names(DEVICE)
HOUR = timedelta(hours=1)
_BLOCKS = datetime(1970, 1, 1, tzinfo=UTC)
RECORD = values_only(record()).select(TIME, *OBSERVED)
EDGE: datetime = _BLOCKS + BLOCK * ((RECORD[TIME][4000] - _BLOCKS) // BLOCK)
"""Where one block of the replay ends and the next begins."""


def _farm() -> dict[str, pl.DataFrame]:
    """A station with a day of silence, and own sensors without pressure that begin at `EDGE`.

    They are broken in two hours.
    """
    station = RECORD.filter(~pl.col(TIME).is_between(EDGE - 60 * HOUR, EDGE - 36 * HOUR))
    own = RECORD.filter(pl.col(TIME) >= EDGE).with_columns(
        pl.lit(None, pl.Float64).alias(STATION_PRESSURE),
        pl.when(pl.col(TIME).is_between(EDGE + 23 * HOUR, EDGE + 24 * HOUR))
        .then(-40.0)
        .otherwise(pl.col("air_temperature_c") + 1.5)
        .alias("air_temperature_c"),
    )
    return {OWN: own, STATION: station, CELL: RECORD.clear()}


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    with closing(connect(Path(":memory:"))) as db:
        yield Store(db)


def test_recorded_hours_forecast_as_stored_ones_do(store: Store) -> None:
    """Through gaps, a change of source and the edge of a block: the same forecast, bit for bit."""
    frames = _farm()
    for source, frame in frames.items():
        store.put_hourly(source, frame)
    echo = {t: Says(lambda m: np.nansum(m, axis=1) % 30) for t in FakeRelease().predictors}
    release = FakeRelease(predictors=echo)
    device = msgspec.structs.replace(DEVICE, elevation_m=400.0)
    stored, recorded = StoredWeather(store, device), RecordedWeather(frames, device)
    rungs = set()
    for step in range(-70, 40, 3):
        now = EDGE + step * HOUR + timedelta(minutes=2)
        _assert_same(recorded.forecast(release, now), stored.forecast(release, now))
        _assert_same(recorded.relayed(release, now), stored.relayed(release, now))
        assert recorded.checked(now, 100).equals(stored.checked(now, 100))
        truth = recorded.truth(now, 100)
        assert truth.equals(stored.truth(now, 100))
        assert -40.0 not in truth["air_temperature_c"]
        made, _ = recorded.forecast(release, now)
        assert isinstance(made, Forecast)
        rungs.add(made.source)
    assert rungs == set(Source) - {Source.CACHED, *GUIDED_SOURCES}


def _assert_same(
    recorded: tuple[Forecast | NoForecast, str], stored: tuple[Forecast | NoForecast, str]
) -> None:
    (made, source), (expected, stored_source) = recorded, stored
    assert source == stored_source
    assert isinstance(made, Forecast)
    assert isinstance(expected, Forecast)
    assert (made.origin, made.source, made.notes) == (
        expected.origin,
        expected.source,
        expected.notes,
    )
    assert made.valid_at == expected.valid_at
    for name, target in made.targets.items():
        assert np.array_equal(target.values, expected.targets[name].values)
        assert np.array_equal(target.quantiles, expected.targets[name].quantiles)
