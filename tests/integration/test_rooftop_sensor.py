"""A real logger's real faults (130 C, 983 m/s) through the intake: none reaches an hour."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, WIND_SPEED
from edge_agent.observations.intake import Intake
from edge_agent.observations.source_choice import aggregate
from edge_agent.observations.store import Store
from edge_agent.settings import Sensor
from edge_agent.system.database import connect

DATA = Path(__file__).parents[3] / "shared/data/farm_sensor/rooftop_aws_1min_2023_2024.parquet"
COLUMNS = {"ta": (AIR_TEMPERATURE, "C"), "hm": (RELATIVE_HUMIDITY, "%"), "ws": (WIND_SPEED, "m/s")}
SENSORS = tuple(
    Sensor(topic=name, quantity=quantity, unit=unit, max_age_s=1800)
    for name, (quantity, unit) in COLUMNS.items()
)
NEAR = timedelta(hours=3)
MOST_DAYS = 12
MOVED = {"ta": 0.2, "hm": 1.0, "ws": 0.5}
"""Most that a fault may move an hour by: what leaving out any one good minute does as well."""


@pytest.mark.skipif(not DATA.is_file(), reason="the shared rooftop record is not on this machine")
def test_no_fault_of_the_logger_reaches_an_hour() -> None:
    """With each fault moved into the minutes that an hour is made of, the hour stays as it was."""
    frame = pl.read_parquet(DATA, columns=["tm", *COLUMNS]).sort("tm")
    bad = frame.filter((pl.col("ta") > 45) | (pl.col("ws") > 75) | (pl.col("hm") < 1))
    moments = bad.unique(pl.col("tm").dt.date(), keep="first").sort("tm")["tm"].head(MOST_DAYS)
    assert moments.len() > 0, "the record has lost its faults"
    for moment in moments:
        late = timedelta(minutes=55 - moment.minute)
        near = frame.filter(pl.col("tm").is_between(moment - NEAR, moment + NEAR)).with_columns(
            pl.col("tm") + late
        )
        faulty, refused = hours(near)
        sound, none = hours(near.filter(pl.col("tm") != moment + late))
        assert refused > none == 0
        assert faulty[TIME].to_list() == sound[TIME].to_list()
        for name, (quantity, _) in COLUMNS.items():
            moved = (faulty[quantity] - sound[quantity]).abs()
            assert (moved <= MOVED[name]).all(), quantity


def hours(minutes: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """What the agent makes of minutes, and how many messages it refused."""
    with closing(connect(Path(":memory:"))) as db:
        store, intake = Store(db), Intake(SENSORS)
        for tm, *values in minutes.iter_rows():
            at = tm.replace(tzinfo=UTC)
            for name, value in zip(COLUMNS, values, strict=True):
                intake.take(name, str(value).encode(), at)
        intake.flush(store)
        start: datetime = minutes["tm"][0].replace(tzinfo=UTC)
        aggregate(store, SENSORS, start, start + 2 * NEAR)
        found = store.hourly("sensor:outdoor", start, start + 2 * NEAR)
        assert found.height >= 5
        return found, sum(intake.refused.values())
