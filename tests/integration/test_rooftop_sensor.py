"""A real logger's real faults (130 C, 983 m/s) through the intake: none reaches an hour."""

from __future__ import annotations

import statistics
from collections import deque
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from edge_agent.alerts.evidence import from_readings
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, WIND_SPEED
from edge_agent.core.live_readings import LiveReadings
from edge_agent.observations.intake import Intake
from edge_agent.observations.retention import prune
from edge_agent.observations.source_choice import aggregate
from edge_agent.observations.store import Store
from edge_agent.settings import Rule, Sensor
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


LIMITS = {"ta": 38.0, "hm": 99.0, "ws": 15.0}
"""Of a live rule each. All three are reached in the record, and by its fault."""


@pytest.mark.skipif(not DATA.is_file(), reason="the shared rooftop record is not on this machine")
@pytest.mark.parametrize(
    "days", [1, pytest.param(None, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_no_fault_of_the_logger_moves_a_live_rule(days: int | None) -> None:
    """Each minute: as the median of the last three sound readings says, or unknown by the fault."""
    frame = pl.read_parquet(DATA, columns=["tm", *COLUMNS]).sort("tm")
    faults = frame.filter((pl.col("ta") > 45) | (pl.col("ws") > 75))
    assert faults.height > 0, "the record has lost its faults"
    if days is not None:
        around = timedelta(days=days / 2)
        fault = faults["tm"][0]
        frame = frame.filter(pl.col("tm").is_between(fault - around, fault + around))
    rules = {
        name: Rule(name=name, quantity=quantity, operator=">=", threshold=LIMITS[name], now=True)
        for name, (quantity, _) in COLUMNS.items()
    }
    sound: dict[str, deque[tuple[datetime, float]]] = {name: deque(maxlen=3) for name in COLUMNS}
    met = unknown = 0
    with closing(connect(Path(":memory:"))) as db:
        store, intake = Store(db), Intake(SENSORS)
        live = LiveReadings(SENSORS, intake, store)
        for count, (tm, *values) in enumerate(frame.iter_rows()):
            at = tm.replace(tzinfo=UTC)
            for name, value in zip(COLUMNS, values, strict=True):
                intake.take(name, str(value).encode(), at)
                fault = (name == "ta" and value > 45) or (name == "ws" and value > 75)
                if not fault:
                    sound[name].append((at, value))
                evidence = from_readings(rules[name], live.readings(rules[name], at))
                recent = [v for when, v in sound[name] if when > at - timedelta(minutes=5)]
                wanted = None if fault else statistics.median(recent) >= LIMITS[name]
                assert evidence.met is wanted, (tm, name, value)
                met += evidence.met is True
                unknown += evidence.met is None
            if count % 1440 == 0:
                intake.flush(store)
                prune(db, at, observations_days=1, forecasts_days=1)
    assert unknown == 2 * frame.filter(pl.col("ta") > 45).height
    assert days is not None or met > 1000


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
