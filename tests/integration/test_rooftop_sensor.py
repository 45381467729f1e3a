"""A real logger's real faults (130 C, 983 m/s) through the intake: none reaches an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from edge_agent.config_structs import Sensor
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, WIND_SPEED
from edge_agent.database import connect
from edge_agent.observations.intake import Intake
from edge_agent.observations.local import aggregate
from edge_agent.observations.store import Store

DATA = Path(__file__).parents[3] / "shared/data/farm_sensor/rooftop_aws_1min_2023_2024.parquet"
COLUMNS = {"ta": (AIR_TEMPERATURE, "C"), "hm": (RELATIVE_HUMIDITY, "%"), "ws": (WIND_SPEED, "m/s")}
SENSORS = tuple(
    Sensor(topic=name, quantity=quantity, unit=unit, max_age_s=1800)
    for name, (quantity, unit) in COLUMNS.items()
)
HOURS = timedelta(hours=3)
MOST_DAYS = 12


@pytest.mark.skipif(not DATA.is_file(), reason="the shared rooftop record is not on this machine")
def test_no_fault_of_the_logger_reaches_an_hour() -> None:
    """Around each fault every hour is the mean of what was plausible, or missing."""
    frame = pl.read_parquet(DATA, columns=["tm", *COLUMNS]).sort("tm")
    bad = frame.filter((pl.col("ta") > 45) | (pl.col("ws") > 75) | (pl.col("hm") < 1))
    moments = bad.unique(pl.col("tm").dt.date(), keep="first").sort("tm")["tm"].head(MOST_DAYS)
    assert moments.len() > 0, "the record has lost its faults"
    refused = 0
    for moment in moments:
        near = frame.filter(pl.col("tm").is_between(moment - HOURS, moment + HOURS))
        store, intake = Store(connect(Path(":memory:"))), Intake(SENSORS)
        for tm, *values in near.iter_rows():
            at = tm.replace(tzinfo=UTC)
            for name, value in zip(COLUMNS, values, strict=True):
                intake.take(name, str(value).encode(), at)
        intake.flush(store)
        start = (moment - HOURS).replace(tzinfo=UTC)
        aggregate(store, SENSORS, start, start + 2 * HOURS)
        hours = store.hourly("sensor:outdoor", start, start + 2 * HOURS)
        refused += sum(intake.refused.values())
        assert hours.height > 0
        for name, (quantity, _) in COLUMNS.items():
            _same_as_plausible(near, name, hours.select(TIME, quantity))
    assert refused >= moments.len()


def _same_as_plausible(near: pl.DataFrame, name: str, hours: pl.DataFrame) -> None:
    low, high = {"ta": (-40, 45), "hm": (1, 100), "ws": (0, 75)}[name]
    for time, value in hours.iter_rows():
        assert isinstance(time, datetime)
        end = time.replace(tzinfo=None)
        good = near.filter(
            (pl.col("tm") > end - timedelta(hours=1))
            & (pl.col("tm") <= end)
            & pl.col(name).is_between(low, high)
        )[name]
        if value is not None:
            assert value == pytest.approx(good.cast(pl.Float64).mean(), abs=1e-3)
