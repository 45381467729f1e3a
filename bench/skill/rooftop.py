"""A farm's own two sensors under a model of another place: forecasts, and what the device learns.

    python -m bench.skill.rooftop WORKSPACE FILE.parquet [--days N]

FILE holds a weather station's minutes (tm in KST, ta, hm): they go through the agent's own intake
and become hours, as over MQTT. The newest run of WORKSPACE then forecasts every hour on temperature
and humidity alone, by the real cycle, once as the models say and once with what the device learns.
Printed, by lead: RMSE beside persistence (same hour of the newest day), and the change by season.
"""

from __future__ import annotations

import argparse
import itertools
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bench.skill.alerts import newest
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, TIME
from edge_agent.forecasting.verification import PARTS
from edge_agent.observations.intake import Intake
from edge_agent.observations.retention import prune
from edge_agent.observations.source_choice import aggregate, names
from edge_agent.observations.store import Store
from edge_agent.replay import replay
from edge_agent.settings import Config, Device, Sensor
from edge_agent.system.database import connect
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from edge_agent.core.cycle import Decision

KST = timedelta(hours=9)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROOF = Device(latitude=35.82, longitude=127.15, elevation_m=60.0, station=146)
SENSORS = (
    Sensor(topic="ta", quantity=AIR_TEMPERATURE, unit="C", max_age_s=1800),
    Sensor(topic="hm", quantity=RELATIVE_HUMIDITY, unit="%", max_age_s=1800),
)
LEADS = (1, 6, 12, 24, 48)
SEASONS = ("DJF", "MAM", "JJA", "SON")


def hours_of(path: Path, days: int | None) -> pl.DataFrame:
    """The record's hours as the agent works them out from its minutes."""
    columns = [sensor.topic for sensor in SENSORS]
    minutes = pl.read_parquet(path, columns=["tm", *columns]).sort("tm")
    with closing(connect(Path(":memory:"))) as db:
        store, intake = Store(db), Intake(SENSORS)
        by_day = minutes.group_by(pl.col("tm").dt.truncate("1d"), maintain_order=True)
        for (day,), part in itertools.islice(by_day, days):
            assert isinstance(day, datetime)
            for tm, *values in part.iter_rows():
                at = tm.replace(tzinfo=UTC) - KST
                for name, value in zip(columns, values, strict=True):
                    intake.take(name, str(value).encode(), at)
            intake.flush(store)
            start = day.replace(tzinfo=UTC) - KST - HOUR
            aggregate(store, SENSORS, start, start + DAY + HOUR)
            prune(db, start + DAY, observations_days=36_500, forecasts_days=3)
        own = names(ROOF)[0]
        return store.hourly(own, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def errors(
    decision: Decision, observed: dict[datetime, tuple[float | None, ...]]
) -> list[list[float]]:
    """Rows of target, lead, season, error of models, of what was said, of persistence, covered."""
    if decision.past_forecast is None:
        return []
    rows = []
    for lead in LEADS:
        at = decision.past_forecast.origin + lead * HOUR
        before = at - 24 * ((lead + 23) // 24) * HOUR
        for index in range(len(TARGETS)):
            value, same = (
                observed.get(at, (None, None))[index],
                observed.get(before, (None, None))[index],
            )
            if value is None or same is None:
                continue
            parts = dict(
                zip(PARTS, decision.past_forecast.values[index, lead - 1].tolist(), strict=True)
            )
            inside = parts["low"] <= value <= parts["high"]
            season = at.month % 12 // 3
            off = (value - parts["model"], value - parts["said"], value - same)
            rows.append([index, lead, season, *off, float(inside)])
    return rows


def rmse(values: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(values**2)))


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--days", type=int, help="only the first days of the record")
    chosen = parser.parse_args()
    release = newest(Workspace.open(chosen.workspace))
    hours = hours_of(chosen.file, chosen.days)
    observed = {at: tuple(both) for at, *both in hours.select(TIME, *TARGETS).iter_rows()}
    start, end = hours[TIME][0] + 10 * DAY, hours[TIME][-1] - 2 * DAY
    print(f"{hours.height} hours; forecasts from {start:%Y-%m-%d} to {end:%Y-%m-%d}")
    began, rows = time.process_time(), []
    for decision in replay.run(Config(device=ROOF), release, {names(ROOF)[0]: hours}, start, end):
        rows += errors(decision, observed)
    print(f"{time.process_time() - began:.0f} s of CPU")
    table = np.array([row for row in rows if np.isfinite(row).all()])
    for index, target in enumerate(TARGETS):
        for lead in LEADS:
            scored = table[(table[:, 0] == index) & (table[:, 1] == lead)]
            model, published, same = (rmse(scored[:, column]) for column in (3, 4, 5))
            by_season = (
                f"{name} {rmse(part[:, 4]) / rmse(part[:, 3]) - 1:+.1%}"
                for number, name in enumerate(SEASONS)
                if len(part := scored[scored[:, 2] == number])
            )
            print(
                f"{target} {lead:2} h: persistence {same:.3f}, models {model:.3f} "
                f"({model / same - 1:+.1%}), said {published:.3f} "
                f"({published / same - 1:+.1%}), 80 % covers {scored[:, 6].mean():.3f}; "
                f"by learning {', '.join(by_season)} ({len(scored)} hours)"
            )


if __name__ == "__main__":
    main()
