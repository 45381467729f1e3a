"""A device's database over months: the store's own cycles, hour by hour, on a moved clock."""

from __future__ import annotations

import math
import random
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent import config
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RAIN,
    RAIN_CHANCE,
    RELATIVE_HUMIDITY,
    TIME,
    TIME_DTYPE,
)
from edge_agent.core.runtime import DATABASE, Runtime
from tests.fakes.clock import FakeClock
from tests.fakes.days import SENSORS
from tests.fakes.farm import install_release, write_config

if TYPE_CHECKING:
    from pathlib import Path


HOUR: Final = timedelta(hours=1)
START: Final = datetime(2026, 6, 2, 0, 2, tzinfo=UTC)
"""After the release of `tests.fakes.farm` was signed."""
_STATION: Final = "station:108"
_READINGS: Final = 6
"""Of each sensor, an hour."""


@dataclass
class Growth:
    """The database after each day.

    Attributes:
        cycle_s: Seconds of each cycle, oldest first.
        file_bytes: Of the database.
        wal_bytes: Largest write-ahead log of the day.
        rows: Rows of each table.
        free_share: Share of the pages that hold nothing, in the end.
    """

    cycle_s: list[float] = field(default_factory=list)
    file_bytes: list[int] = field(default_factory=list)
    wal_bytes: list[int] = field(default_factory=list)
    rows: list[dict[str, int]] = field(default_factory=list)
    free_share: float = 0.0


def live_on(
    folder: Path, days: int, *, storage: str = "", before_days: int = 21, pause_days: int = 0
) -> Growth:
    """Work every hour of so many days; the broker takes all, and is away on each tenth day.

    Args:
        folder: For the device's files.
        days: How long.
        storage: More lines of `[storage]`.
        before_days: Station hours that are there in the beginning.
        pause_days: How long nothing is worked after the first day.
    """
    path = write_config(folder, 1, f'[irrigation]\ncrop = "tomato"\n{SENSORS}')
    text = path.read_text("utf-8")
    path.write_text(text.replace("[storage]", f"[storage]\nreserve_bytes = 0\n{storage}"), "utf-8")
    state, clock, growth = folder / "state", FakeClock(START), Growth()
    install_release(state)
    runtime = Runtime(config.load(path, {}), state, clock, lambda: True)
    with closing(runtime):
        # No power is cut here, and flushes depend on what else the machine does.
        runtime.db.execute("PRAGMA synchronous = OFF")
        first = START.replace(minute=0)
        runtime.store.put_hourly(
            _STATION, _hours(first - before_days * 24 * HOUR, before_days * 24)
        )
        dice, wal = random.Random(7), state / f"{DATABASE}-wal"
        for day in range(days):
            largest = 0
            for _ in range(24):
                _hear(runtime, clock, dice)
                began = time.perf_counter()
                runtime.run_cycle()
                growth.cycle_s.append(time.perf_counter() - began)
                if day % 10 != 9:
                    _deliver(runtime)
                largest = max(largest, wal.stat().st_size)
                clock.advance(3600)
            clock.advance(0 if day else pause_days * 86_400)
            growth.wal_bytes.append(largest)
            growth.file_bytes.append((state / DATABASE).stat().st_size)
            growth.rows.append(_rows(runtime))
        (pages,) = runtime.db.execute("PRAGMA page_count").fetchone()
        (free,) = runtime.db.execute("PRAGMA freelist_count").fetchone()
        growth.free_share = free / pages
    return growth


def _hear(runtime: Runtime, clock: FakeClock, dice: random.Random) -> None:
    now = clock.now()
    hour = now.replace(minute=0)
    runtime.store.put_hourly(_STATION, _hours(hour, 1))
    if hour.hour % 3 == 2:
        rows = [
            {ISSUED: hour, VALID: hour + lead * HOUR, RAIN_CHANCE: 20.0, RAIN: 0.0}
            for lead in range(1, 73)
        ]
        runtime.store.put_guidance(pl.DataFrame(rows, schema=GUIDANCE))
    for back in range(_READINGS):
        at = now - timedelta(minutes=10 * back)
        degrees = 30 + 7 * math.sin(at.hour / 12 * math.pi) + 0.3 * dice.random()
        runtime.intake.take("g/t", f"{degrees:.2f}".encode(), at)
        runtime.intake.take("g/h", f"{50 + dice.random():.2f}".encode(), at)
    runtime.run_watch()


def _deliver(runtime: Runtime) -> None:
    now = runtime.known_time()
    while waiting := runtime.outbox.due(now, limit=100):
        runtime.outbox.delivered([entry.message.id for entry in waiting])


def _hours(first: datetime, count: int) -> pl.DataFrame:
    times = [first + number * HOUR for number in range(count)]
    season = [math.cos((at.timetuple().tm_yday - 200) / 365 * 2 * math.pi) for at in times]
    wave = [math.cos((at.hour - 6) / 24 * 2 * math.pi) for at in times]
    values = {
        AIR_TEMPERATURE: [
            round(12 + 14 * s + 5 * w + math.sin(i), 1)
            for i, (s, w) in enumerate(zip(season, wave, strict=True))
        ],
        RELATIVE_HUMIDITY: [round(65 - 20 * w, 1) for w in wave],
        RAIN: [0.0] * count,
    }
    return pl.DataFrame({TIME: times} | values, schema_overrides={TIME: TIME_DTYPE})


def _rows(runtime: Runtime) -> dict[str, int]:
    tables = [
        name
        for (name,) in runtime.db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
    ]
    return {
        name: runtime.db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables
    }
