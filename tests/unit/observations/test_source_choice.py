"""Which observations a forecast rests on."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from edge_agent.contract.forecast import Source
from edge_agent.contract.schema import TIME, TIME_DTYPE
from edge_agent.observations import bundles
from edge_agent.observations.source_choice import MAX_SILENCE, MIN_HOURS, observe
from edge_agent.observations.store import Store
from edge_agent.settings import Device
from edge_agent.system.database import connect
from tests.fakes.forecasts import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = timedelta(hours=1)
SEOUL = Device()
OWN, STATION, CELL = "sensor:outdoor", "station:108", "cell:60-127"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with closing(connect(tmp_path / "agent.db")) as db:
        yield Store(db)


def fill(
    store: Store, source: str, warm: float, *, hours: int = 48, age: int = 0, **also: float
) -> None:
    """Hours of a temperature that moves by 0.25, up to `age` hours ago, and other quantities."""
    ages = range(age, age + hours)
    frame = pl.DataFrame(
        {
            TIME: [NOW - back * HOUR for back in ages],
            "air_temperature_c": [warm + back % 2 / 4 for back in ages],
            "relative_humidity_pct": [50.0 + back % 2 for back in ages],
        },
        schema_overrides={TIME: TIME_DTYPE},
    )
    store.put_hourly(source, frame.with_columns(pl.lit(v).alias(n) for n, v in also.items()))


def seen(store: Store, device: Device = SEOUL) -> tuple[pl.DataFrame, Source, str]:
    """Observed now."""
    return observe(store, device, NOW, 72)


def test_own_sensors_before_the_station_before_the_cell(store: Store) -> None:
    """O1: each steady source gives way to the better one, whole series at a time."""
    fill(store, CELL, 1.0)
    assert seen(store)[1:] == (Source.MODEL_RELAYED, CELL)
    fill(store, STATION, 2.0)
    assert seen(store)[1:] == (Source.MODEL_RELAYED, STATION)
    fill(store, OWN, 3.0)
    frame, rung, name = seen(store)
    assert (rung, name) == (Source.MODEL, OWN)
    assert set(frame["air_temperature_c"]) == {3.0, 3.25}


def test_a_station_that_falls_silent_gives_way_to_the_cell(store: Store) -> None:
    """O1: three hours of silence are borne, four are not."""
    limit = MAX_SILENCE // HOUR
    fill(store, CELL, 1.0)
    fill(store, STATION, 2.0, age=limit)
    assert seen(store)[2] == STATION
    assert observe(store, SEOUL, NOW + HOUR, 72)[2] == CELL


def test_too_few_hours_are_not_steady(store: Store) -> None:
    """O1: a source counts from its eighteenth hour of the last day on."""
    fill(store, CELL, 1.0)
    fill(store, OWN, 3.0, hours=MIN_HOURS - 1)
    assert seen(store)[2] == CELL
    fill(store, OWN, 3.0, hours=MIN_HOURS)
    assert seen(store)[2] == OWN


def test_hours_before_the_last_day_make_no_source_steady(store: Store) -> None:
    """O1: seventeen hours of today and all of yesterday are too few; one more of today is not."""
    fill(store, CELL, 1.0)
    fill(store, OWN, 3.0, hours=MIN_HOURS - 1)
    fill(store, OWN, 3.0, hours=24, age=24)
    assert seen(store)[2] == CELL
    fill(store, OWN, 3.0, hours=1, age=23)
    assert seen(store)[2] == OWN


def test_where_none_is_steady_the_newest_hour_counts(store: Store) -> None:
    """O2: an old station is better than an older cell, and the other way round."""
    assert seen(store)[2] == STATION
    fill(store, CELL, 1.0, age=8)
    assert seen(store)[2] == CELL
    fill(store, STATION, 2.0, age=6)
    assert seen(store)[2] == STATION


def test_unknown_quantities_come_from_the_best_relayed_source(store: Store) -> None:
    """O3: wind from the station, rain from the cell; the own gap in temperature stays a gap."""
    fill(store, CELL, 1.0, rain_mm=4.0, wind_speed_ms=9.0)
    fill(store, STATION, 2.0, wind_speed_ms=5.0)
    fill(store, OWN, 3.0, hours=20)
    fill(store, OWN, 3.0, hours=20, age=24)
    frame, _, _ = seen(store)
    assert set(frame["wind_speed_ms"]) == {5.0}
    assert set(frame["rain_mm"]) == {4.0}
    assert set(frame["air_temperature_c"]) == {3.0, 3.25}
    assert frame["solar_mj_m2"].null_count() == frame.height == 40


def test_sources_of_a_farm() -> None:
    """Station and cell; the cell alone with station 0; the station alone outside Korea."""
    assert list(bundles.sources(SEOUL)) == [STATION, CELL]
    alone = msgspec.structs.replace(SEOUL, station=0)
    assert list(bundles.sources(alone)) == [CELL]
    abroad = msgspec.structs.replace(SEOUL, latitude=52.0, longitude=5.0)
    assert list(bundles.sources(abroad)) == [STATION]
    assert bundles.cell(abroad) is None


def test_own_temperature_that_is_stuck_leaves_the_forecast_to_the_station(store: Store) -> None:
    """O1: values that quality control refuses are not known, though humidity goes on."""
    varied = 10.0 + pl.Series([(back % 5) / 2 for back in range(72)])
    times = [NOW - back * HOUR for back in range(72)]
    for source, stuck_h in ((STATION, 0), (OWN, 15)):
        temperature = [8.0 if back < stuck_h else v for back, v in enumerate(varied)]
        columns = {TIME: times, "air_temperature_c": temperature, "relative_humidity_pct": varied}
        store.put_hourly(source, pl.DataFrame(columns, schema_overrides={TIME: TIME_DTYPE}))
    # Stuck from its twelfth equal hour on: three hours of silence are borne, the fourth is not.
    assert observe(store, SEOUL, NOW - HOUR, 72)[2] == OWN
    frame, rung, source = observe(store, SEOUL, NOW, 72)
    assert (rung, source) == (Source.MODEL_RELAYED, STATION)
    assert 8.0 not in frame["air_temperature_c"]
