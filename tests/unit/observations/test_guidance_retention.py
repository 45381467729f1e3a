"""KMA's forecasts on the device over weeks: what stays, and how much room it takes."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.guidance_course import GuidanceCourse
from edge_agent.contract.guidance_features import HISTORY_H
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY
from edge_agent.observations.retention import prune
from edge_agent.observations.store import Store
from edge_agent.system.database import connect, migrate
from tests.fakes.guidance import HOUR, forecasts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2026, 1, 1, 2, tzinfo=UTC)
DAYS = 40
GAPS = {60, 100, 101, 102, *range(150, 158), 300}
MOST_ROWS = 5_300
"""3 days of 66 hours 8 times a day, and 28 days of 15 hours 8 times a day."""
MOST_BYTES = 400_000


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A real file; no power is cut here."""
    with closing(connect(tmp_path / "agent.db")) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        yield connection


def pull_for_weeks(db: sqlite3.Connection, issues: pl.DataFrame) -> datetime:
    """Take the newest two days of issues after each one; returns the last hour."""
    store = Store(db)
    issued = START
    for number in range(DAYS * 8):
        issued = START + 3 * number * HOUR
        store.put_guidance(issues.filter(pl.col(ISSUED).is_between(issued - 48 * HOUR, issued)))
        prune(db, issued + HOUR, observations_days=30, forecasts_days=3)
    return issued + HOUR


def errors_of(issues: pl.DataFrame, hours: np.ndarray) -> np.ndarray:
    """What the newest readable issue says for each hour: temperature and humidity."""
    course = GuidanceCourse.of(issues)
    rows = course.newest(hours)
    return np.stack([course.at(name, rows, hours) for name in (AIR_TEMPERATURE, RELATIVE_HUMIDITY)])


@pytest.mark.parametrize(("every", "first_lead"), [(1, 1), (3, 4)])
def test_a_month_of_errors_stays_to_the_last_bit(
    db: sqlite3.Connection, every: int, first_lead: int
) -> None:
    """After 40 days of pulls, with issues that never came, in few rows."""
    issues = forecasts(START, DAYS, every=every, first_lead=first_lead, left_out=GAPS)
    end = pull_for_weeks(db, issues)
    kept = Store(db).guidance(START)
    now = int(end.timestamp()) // 3600
    # Interpolation looks at most half a day back.
    hours = np.arange(now - HISTORY_H + 12, now + 1)
    said = errors_of(issues, hours)
    assert np.isfinite(said[0]).mean() > 0.95
    assert np.array_equal(errors_of(kept, hours), said, equal_nan=True)
    newest = issues[ISSUED].max()
    assert isinstance(newest, datetime)
    whole = issues.filter(pl.col(ISSUED) >= newest - timedelta(days=3))
    assert kept.filter(pl.col(ISSUED) >= newest - timedelta(days=3)).equals(whole)
    assert kept[VALID].min() == end - timedelta(hours=HISTORY_H)
    assert kept.height <= MOST_ROWS
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    assert pages * size <= MOST_BYTES


def test_while_no_issue_comes_nothing_is_thinned(db: sqlite3.Connection) -> None:
    """Ten days without a link: what the last issues said stays whole, one row of it all."""
    issues = forecasts(START, 3)
    Store(db).put_guidance(issues)
    prune(db, START + timedelta(days=13), observations_days=30, forecasts_days=3)
    assert Store(db).guidance(START).equals(issues)


def test_an_issue_of_the_future_thins_nothing(db: sqlite3.Connection) -> None:
    """Whoever signs forecasts of 2099 does not take the others away."""
    issues = forecasts(START, 3)
    Store(db).put_guidance(issues)
    Store(db).put_guidance(forecasts(datetime(2099, 1, 1, 2, tzinfo=UTC), 1 / 8))
    prune(db, START + timedelta(days=3), observations_days=30, forecasts_days=3)
    assert Store(db).guidance(START).head(issues.height).equals(issues)


def test_without_a_sure_time_the_newest_rows_stay(db: sqlite3.Connection) -> None:
    """A clock that stands for years: the number of rows is bounded all the same."""
    issues = forecasts(START, 3)
    Store(db).put_guidance(issues)
    prune(db, START - timedelta(days=99), observations_days=30, forecasts_days=3, guidance_rows=600)
    kept = Store(db).guidance(START)
    assert 600 - 66 <= kept.height <= 600
    assert kept.equals(issues.tail(kept.height))


def test_a_file_of_an_earlier_agent_gets_the_new_columns(db: sqlite3.Connection) -> None:
    """Its rows stay, with null for what it did not know; it could still write the file."""
    steps = (
        """CREATE TABLE observations (source TEXT, time INTEGER, PRIMARY KEY (source, time)) STRICT;
CREATE TABLE forecasts (issued INTEGER PRIMARY KEY, origin INTEGER, source TEXT,
  release INTEGER, body BLOB NOT NULL) STRICT;
CREATE TABLE samples (sensor TEXT, minute INTEGER, at REAL, value REAL,
  PRIMARY KEY (sensor, minute)) STRICT""",
        """CREATE TABLE guidance (issued INTEGER, valid INTEGER, air_temperature_c REAL,
  relative_humidity_pct REAL, rain_mm REAL, rain_probability_pct REAL,
  PRIMARY KEY (issued, valid)) STRICT, WITHOUT ROWID""",
        "SELECT 1",
        """CREATE TABLE refusals (sensor TEXT PRIMARY KEY, count INTEGER NOT NULL, at REAL NOT NULL,
  value TEXT NOT NULL, reason TEXT NOT NULL, out_of_limits INTEGER NOT NULL,
  out_since REAL) STRICT""",
    )
    migrate(db, "store", steps)
    at = int(START.timestamp())
    write = (
        "INSERT OR REPLACE INTO guidance (issued, valid, air_temperature_c, "
        "relative_humidity_pct, rain_mm, rain_probability_pct) VALUES (?, ?, 4.0, 50.0, 0.0, 20.0)"
    )
    db.execute(write, (at, at + 3600))
    store = Store(db)
    old = store.guidance(START)
    assert old.schema == GUIDANCE
    assert old.row(0)[2:6] == (4.0, 50.0, 0.0, 20.0)
    assert set(old.row(0)[6:]) == {None}
    issues = forecasts(START, 1)
    assert store.put_guidance(issues) == issues.height
    assert store.guidance(START).equals(issues)
    migrate(db, "store", steps)
    db.execute(write, (at, at + 3600))
