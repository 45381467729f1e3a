"""One full cycle, observations in SQLite to alerts in the outbox: how long, and where it goes.

    python -m bench.speed.cycle [FARM] [--hours 300]

FARM is a device's folder with a release and observations (state/), such as the demo leaves; it is
copied. Every cycle works another hour. Polars' fixed cost is what a cycle's calls into it would
take on no data: the time of the smallest query.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

import numpy as np
import polars as pl
from msgspec.structs import replace

from edge_agent.contract.schema import AIR_TEMPERATURE
from edge_agent.core.runtime import DATABASE, Runtime
from edge_agent.core.stored_weather import site_of
from edge_agent.forecasting import forecaster
from edge_agent.observations import source_choice
from edge_agent.settings import Config
from edge_agent.system.clock import SystemClock

ROOT = Path(__file__).parents[2]
WARM_UP = 20
SHOWN = (
    ("run_cycle", "the cycle"),
    ("observe", "observations from SQLite, merged"),
    ("clean", "quality"),
    ("compute", "features"),
    ("predict", "inference, 2 models x 48 leads"),
    ("make", "forecast, all of it"),
    ("of_cycle", "own sensors against other sources"),
    ("_rules", "rules"),
    ("commit", "commit to SQLite, flushed"),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("farm", type=Path, nargs="?", default=ROOT / "demo-output/farm")
    parser.add_argument("--hours", type=int, default=300)
    chosen = parser.parse_args()
    if not chosen.farm.exists():
        print(f"left out: it needs {chosen.farm} (make demo leaves one)")
        return
    advised = replace(Config(), irrigation=replace(Config().irrigation, crop="tomato"))
    for about, config, own in (
        ("no crop", Config(), None),
        ("watering advice for a crop", advised, None),
        ("own sensors that agree with the station", Config(), 0.0),
        ("own sensors 12 C above the station", Config(), 12.0),
    ):
        print(about)
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder) / "state"
            shutil.copytree(chosen.farm / "state", state)
            last = newest(state)
            with closing(Runtime(config, state, SystemClock())) as runtime:
                if own is not None:
                    sense(runtime, last, own)
                measure(runtime, last, chosen.hours)
                foretell(runtime, last, chosen.hours)
    print(f"smallest Polars query: {fixed_ms():.3f} ms")


def newest(state: Path) -> datetime:
    """Newest hour that was observed."""
    with closing(sqlite3.connect(state / DATABASE)) as db:
        (seconds,) = db.execute("SELECT max(time) FROM observations").fetchone()
    return datetime.fromtimestamp(seconds, UTC)


def sense(runtime: Runtime, last: datetime, warmer: float) -> None:
    """Hours of the farm's own outdoor sensors: the station's, and so much warmer."""
    own, station, *_ = source_choice.names(runtime.config.device)
    hours = runtime.store.hourly(station, last - timedelta(days=30), last)
    runtime.store.put_hourly(own, hours.with_columns(pl.col(AIR_TEMPERATURE) + warmer))


def measure(runtime: Runtime, last: datetime, hours: int) -> None:
    """Cycles of the hours up to the last one, then the same under a profiler."""
    # Less than the lookback is observed before the first of them: those have fewer features.
    moments = [last - timedelta(hours=back % 96) for back in range(hours + WARM_UP)]
    spent, cpu = [], []
    for moment in moments:
        start, start_cpu = time.perf_counter(), time.process_time()
        runtime.run_cycle(moment)
        spent.append((time.perf_counter() - start) * 1000)
        cpu.append((time.process_time() - start_cpu) * 1000)
    for what, each in (("wall", spent), ("CPU", cpu)):
        median, high = np.quantile(each[WARM_UP:], [0.5, 0.99])
        print(f"one cycle, {what}: median {median:.1f} ms, p99 {high:.1f} ms, {hours} hours")
    profile = cProfile.Profile()
    with profile:
        for moment in moments[:100]:
            runtime.run_cycle(moment)
    functions = pstats.Stats(profile).get_stats_profile().func_profiles
    for name, about in SHOWN:
        total = functions[name].cumtime if name in functions else 0.0
        print(f"  {about:36}{total / 100 * 1000:8.2f} ms under the profiler")


def foretell(runtime: Runtime, last: datetime, times: int) -> None:
    """What the peer P1 of footprint.py does of it: raw hours in, 48 leads with intervals out."""
    device = runtime.config.device
    raw, rung, _ = source_choice.observe(runtime.store, device, last, forecaster.HISTORY_HOURS)
    release, spent = runtime.release(), []
    for _ in range(times + WARM_UP):
        start = time.process_time()
        forecaster.make(raw, site_of(device), release, last, source=rung)
        spent.append((time.process_time() - start) * 1000)
    print(f"  checks to intervals alone, CPU: mean {np.mean(spent[WARM_UP:]):.1f} ms")


def fixed_ms() -> float:
    """Median time of a query on one row, which is all overhead."""
    frame, spent = pl.DataFrame({"a": [1.0]}), []
    for _ in range(500):
        start = time.perf_counter()
        frame.lazy().select(pl.col("a") * 2).collect()
        spent.append((time.perf_counter() - start) * 1000)
    return float(np.median(spent))


if __name__ == "__main__":
    main()
