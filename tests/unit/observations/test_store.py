"""The store of observations, forecasts and samples."""

from __future__ import annotations

import zlib
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract.bundles import GUIDANCE, GUIDED
from edge_agent.contract.errors import BadData
from edge_agent.contract.forecast import Source
from edge_agent.contract.forecast_json import from_bytes, packed, to_bytes
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME, TIME_DTYPE
from edge_agent.observations import retention
from edge_agent.observations.retention import prune
from edge_agent.observations.sensors import Sample
from edge_agent.observations.store import Store
from edge_agent.system.database import connect
from tests.fakes.forecasts import NOW, forecast

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

HOUR = timedelta(hours=1)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A real file."""
    with closing(connect(tmp_path / "agent.db")) as connection:
        yield connection


@pytest.fixture
def store(db: sqlite3.Connection) -> Store:
    """An empty store."""
    return Store(db)


def frame(*values: float | None, start: datetime = NOW) -> pl.DataFrame:
    """Hourly temperatures."""
    times = [start + i * HOUR for i in range(len(values))]
    return pl.DataFrame(
        {TIME: times, "air_temperature_c": list(values)},
        schema={TIME: TIME_DTYPE, "air_temperature_c": pl.Float64},
    )


def test_hours_come_back_as_they_went_in(store: Store) -> None:
    """Values, nulls and UTC times survive the disk."""
    assert store.put_hourly("station:108", frame(20.5, None, -3.25)) == 2
    back = store.hourly("station:108", NOW, NOW + 9 * HOUR)
    assert back[TIME].to_list() == [NOW, NOW + 2 * HOUR]
    assert back["air_temperature_c"].to_list() == [20.5, -3.25]
    assert back["rain_mm"].to_list() == [None, None], "missing is not zero"
    assert back.schema[TIME] == TIME_DTYPE


def test_a_file_of_an_agent_with_fewer_quantities_gains_their_columns(tmp_path: Path) -> None:
    """What it held stays; the new quantity is missing there, and can be stored."""
    with closing(connect(tmp_path / "agent.db")) as db:
        Store(db).put_hourly("sensor:soil", frame(20.5))
        db.execute("ALTER TABLE observations DROP COLUMN soil_moisture_pct")
        store = Store(db)
        assert store.hourly("sensor:soil", NOW, NOW)["soil_moisture_pct"].to_list() == [None]
        store.put_hourly("sensor:soil", frame(20.5).with_columns(soil_moisture_pct=31.0))
        (row,) = store.hourly("sensor:soil", NOW, NOW).to_dicts()
    assert (row["air_temperature_c"], row["soil_moisture_pct"]) == (20.5, 31.0)


def test_sources_do_not_mix(store: Store) -> None:
    """A station's hours are not the farm's."""
    store.put_hourly("station:108", frame(20.0))
    store.put_hourly("sensor:outdoor", frame(25.0))
    assert store.hourly("station:108", NOW, NOW)["air_temperature_c"].to_list() == [20.0]
    assert store.sources() == ("sensor:outdoor", "station:108")
    assert store.newest("station:108") == NOW
    assert store.newest("station:252") is None


def test_later_answers_fill_and_correct_but_never_forget(store: Store) -> None:
    """A null does not overwrite a value; a new value does; the same again changes nothing."""
    store.put_hourly("s", frame(20.0, 21.0))
    assert store.put_hourly("s", frame(None, 22.0)) == 1
    assert store.put_hourly("s", frame(20.0, 22.0)) == 0
    assert store.hourly("s", NOW, NOW + HOUR)["air_temperature_c"].to_list() == [20.0, 22.0]


def test_forecast_comes_back_whole(store: Store) -> None:
    """Numbers, missing hours and what moved them survive; one forecast an hour is kept."""
    made = replace(forecast([20.0, None, 22.0]), notes=("late",), adjusted=("tuning", "bias"))
    store.put_forecast(forecast([1.0]))
    store.put_forecast(made)
    (back,) = store.forecasts(NOW, NOW + HOUR)
    assert list(back.valid_at) == list(made.valid_at)
    assert (back.source, back.release, back.origin) == (made.source, 7, NOW)
    assert (back.notes, back.adjusted) == (("late",), ("tuning", "bias"))
    for name, target in made.targets.items():
        np.testing.assert_allclose(back.targets[name].quantiles, target.quantiles, atol=5e-4)
        np.testing.assert_allclose(back.targets[name].values, target.values, atol=5e-4)


def test_a_forecast_of_an_older_agent_is_read() -> None:
    """It says nothing of what moved it."""
    content = to_bytes(replace(forecast([20.0]), adjusted=("bias",)))
    old = content.replace(b',"adjusted":["bias"]', b"")
    assert old != content
    assert from_bytes(old).adjusted == ()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"issue\x9c\xa0":1}', b'{"origin":"x"}'])
def test_a_damaged_forecast_is_bad_data(content: bytes) -> None:
    """Whatever the bytes, one documented error."""
    with pytest.raises(BadData, match="kept forecast"):
        from_bytes(content)


def said(*values: float | None, issued: datetime = NOW) -> pl.DataFrame:
    """An issue that speaks of temperature; humidity is not given."""
    valid = [issued + (i + 1) * HOUR for i in range(len(values))]
    return pl.DataFrame(
        {
            "issued": [issued] * len(values),
            "valid": valid,
            "air_temperature_c": list(values),
            "relative_humidity_pct": [None] * len(values),
            **{name: [2.0] * len(values) for name in GUIDED[2:]},
        },
        schema=GUIDANCE,
    )


def test_guidance_comes_back_as_it_went_in(store: Store) -> None:
    """Issues side by side, ascending; what is not given is null; a repetition changes nothing."""
    late = NOW + 3 * HOUR
    assert store.guidance(NOW).equals(pl.DataFrame(schema=GUIDANCE))
    assert store.put_guidance(said(7.0, issued=late)) == 1
    assert store.put_guidance(said(5.0, None, -3.0)) == 3
    assert store.put_guidance(said(5.0, None, -3.0)) == 0
    assert store.guidance(NOW).equals(pl.concat([said(5.0, None, -3.0), said(7.0, issued=late)]))
    assert store.guidance(NOW + HOUR).equals(said(7.0, issued=late))
    assert store.put_guidance(said(5.5, None, -3.0)) == 1
    assert store.guidance(NOW)["air_temperature_c"][0] == 5.5


def test_samples_ignore_order_and_repetition(store: Store) -> None:
    """One sample a minute, the latest of it, however they come."""
    samples = [Sample(NOW + timedelta(seconds=s), v) for s, v in ((5, 1.0), (50, 2.0), (70, 3.0))]
    for _ in range(2):
        for sample in reversed(samples):
            store.put_samples([("t|f|q", sample)])
    assert store.samples("t|f|q", NOW, NOW + HOUR) == samples[1:]


def test_prune_keeps_what_is_young(store: Store, db: sqlite3.Connection) -> None:
    """Old rows go, others stay, and nothing else is touched."""
    old = NOW - timedelta(days=40)
    store.put_hourly("s", frame(1.0, start=old))
    store.put_hourly("s", frame(2.0))
    store.put_forecast(forecast([1.0], now=old))
    store.put_forecast(forecast([1.0]))
    store.put_guidance(pl.concat([said(1.0, issued=old), said(2.0)]))
    store.put_samples([("k", Sample(old, 1.0)), ("k", Sample(NOW, 2.0))])
    prune(db, NOW, observations_days=30, forecasts_days=30)
    assert store.hourly("s", old, NOW)["air_temperature_c"].to_list() == [2.0]
    assert len(store.forecasts(old, NOW)) == 1
    assert store.guidance(old).equals(said(2.0))
    assert [s.value for s in store.samples("k", old, NOW)] == [2.0]


def test_a_device_without_a_sure_time_does_not_fill_its_disk(
    store: Store, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest samples and forecasts stay, however long ago the last sure time was."""
    monkeypatch.setattr(retention, "SAMPLES_MOST", 10)
    times = [NOW + minute * timedelta(minutes=1) for minute in range(30)]
    for at in times:
        store.put_samples([("k", Sample(at, 1.0))])
    hours = [NOW + hour * HOUR for hour in range(60)]
    for at in hours:
        store.put_forecast(forecast([1.0], now=at))
    prune(db, NOW - 400 * 24 * HOUR, observations_days=30, forecasts_days=1)
    assert [sample.at for sample in store.samples("k", NOW, times[-1])] == times[-10:]
    assert len(store.forecasts(NOW, hours[-1])) == 48


def test_what_a_wrong_clock_dated_is_no_newest_hour_and_can_be_dropped(
    store: Store, db: sqlite3.Connection
) -> None:
    """Hours, forecasts and samples of the future."""
    later = NOW + 400 * 24 * HOUR
    for at in (NOW, later):
        store.put_hourly("sensor:indoor", frame(1.0, start=at))
        store.put_hourly("station:108", frame(1.0, start=at))
        store.put_forecast(forecast([1.0], now=at))
        store.put_samples([("k", Sample(at, 1.0))])
    assert store.newest("sensor:indoor") == later
    assert store.newest("sensor:indoor", NOW + HOUR) == NOW
    assert retention.drop_after(db, NOW + HOUR) == 3
    assert store.newest("sensor:indoor") == NOW
    assert store.newest("station:108") == later, "relayed hours bring their own times"
    assert len(store.forecasts(NOW, later)) == len(store.samples("k", NOW, later)) == 1


def test_hours_can_be_filled_without_replacing_any(store: Store) -> None:
    """Only what is missing comes in."""
    store.put_hourly("s", frame(1.0, None))
    assert store.put_hourly("s", frame(5.0, 6.0, 7.0), replace=False) == 2
    found = store.hourly("s", NOW, NOW + 2 * HOUR)
    assert found["air_temperature_c"].to_list() == [1.0, 6.0, 7.0]


def test_times_are_utc_whatever_the_zone_of_the_caller(store: Store) -> None:
    """A range given in another zone finds the same hours."""
    store.put_hourly("s", frame(20.0))
    seoul = NOW.astimezone(tz=None)
    assert store.hourly("s", seoul, seoul)[TIME].to_list() == [NOW]
    assert NOW.tzinfo is UTC


def test_an_earlier_agent_reads_a_guided_forecast(store: Store) -> None:
    """It knows neither the rung of an hour nor the word; this one does."""
    made = forecast([20.0] * 48, source=Source.GUIDED)
    made = replace(made, sources={AIR_TEMPERATURE: (Source.GUIDED,) * 48})
    store.put_forecast(made)
    (found,) = store.forecasts(NOW, NOW)
    assert found.source is Source.GUIDED
    plain = msgspec.json.decode(zlib.decompress(packed(made)))
    assert plain["source"] == "model_relayed_station"
    assert "sources" not in plain
