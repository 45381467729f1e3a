"""A thousand farms' corrections in one run: time, memory and size by their number.

    python -m bench.load.farms WORKSPACE FOLDER [--farms 1000] [--dask]

A copy of WORKSPACE in FOLDER gets farms in a generated climate. Each farm has an offset, a swing of
the day and a year and a half of hours of its own. One run corrects them all, on this machine or on
a Dask cluster of two workers. Equal results have the same digest.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import shutil
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from bench.skill.rooftop import HOUR
from bench.skill.site_corrections import newest_folder, settle
from demo.climate import generate
from demo.places import SEOUL, Place
from edge_agent.contract import kma_fields
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, Site
from edge_agent.system.clock import SystemClock
from trainer.evaluation.run_folder import load
from trainer.site_corrections import all_farms, shard_files
from trainer.site_corrections.outcomes import NAME
from trainer.workspace import farms
from trainer.workspace.config import Compute
from trainer.workspace.farms import Farm
from trainer.workspace.places import FarmId
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trainer.workspace.lake import Lake

ORIGIN = datetime(2018, 1, 1)  # noqa: DTZ001 - the climate's axis is Korean time without a zone
DAYS = 548
SEED = 11


def main() -> None:
    """Correct many farms in one run; print time, memory and sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--farms", type=int, default=1000)
    parser.add_argument("--dask", action="store_true")
    chosen = parser.parse_args()
    if not chosen.folder.exists():
        shutil.copytree(chosen.workspace, chosen.folder)
    workspace = Workspace.open(chosen.folder, {})
    until = _add_farms(workspace.lake, chosen.farms)
    folder = newest_folder(workspace)
    with _compute(dask=chosen.dask) as compute:
        config = msgspec.structs.replace(workspace.config, compute=compute)
        began, used = time.perf_counter(), time.process_time()
        corrected_run = all_farms.correct_farms(
            dataclasses.replace(workspace, config=config),
            all_farms.CorrectionRequest(folder, "stable", until),
            SystemClock(),
            progress=lambda text: print(f"{text}, {time.perf_counter() - began:.0f} s"),
        )
        wall, own = time.perf_counter() - began, time.process_time() - used
    manifest, files, _ = load(corrected_run.folder)
    shards = [len(files[ref.path]) for ref in manifest.tuned]
    corrected = shard_files.unpack(manifest, files).values()
    record = workspace.run_store.read(corrected_run.folder.name, NAME) or b""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = children.ru_utime + children.ru_stime
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = sum(len(farm.corrections) for farm in corrected)
    print(f"{corrected_run.outcome.text()}; targets: {count}")
    print(
        f"{wall:.0f} s, CPU {own:.0f} s here and {theirs:.0f} s in "
        f"workers, {(own + theirs) / chosen.farms:.2f} s a farm; peak {peak:.0f} MB "
        f"here and {children.ru_maxrss / 1024:.0f} MB in the largest worker"
    )
    print(
        f"{len(shards)} shards of {np.mean(shards):.0f} bytes, {sum(shards)} in all; record "
        f"{len(record)} bytes; {corrected_run.folder.name}"
    )


@contextmanager
def _compute(*, dask: bool) -> Iterator[Compute]:
    if not dask:
        yield Compute()
        return
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield Compute(backend="dask", scheduler=cluster.scheduler_address)


def _add_farms(lake: Lake, count: int) -> datetime:
    """Add `count` farms around Seoul to the lake; return their newest hour."""
    random = np.random.default_rng(SEED)
    held = set(farms.farm_ids(lake))
    last = ORIGIN + timedelta(days=DAYS, hours=-1)
    for number in range(count):
        north, east = random.uniform(-0.7, 0.7, 2).tolist()
        site = Site(
            SEOUL.latitude + north, SEOUL.longitude + east, float(random.uniform(5.0, 400.0))
        )
        difference = Difference(*random.normal(0.0, (1.5, 1.0, 5.0)))
        farm = Farm(FarmId(f"farm-{number}", "edge-1"), site)
        if farm.id not in held:
            place = Place(1000 + number, site.latitude, site.longitude, site.elevation_m)
            rows = kma_fields.tidy(generate([place], ORIGIN, last, SEED), site)
            settle(lake, farm, difference.apply(rows))
    return last.replace(tzinfo=UTC) - 9 * HOUR


@dataclasses.dataclass(frozen=True)
class Difference:
    """Difference of a farm's sensors: °C all day, °C more at 14 o'clock, % of humidity."""

    warmer: float
    swing: float
    damper: float

    def apply(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The weather as this farm's sensors measure it."""
        hour = pl.col(TIME).dt.offset_by("9h").dt.hour() - 14.0
        day = (hour * (2.0 * np.pi / 24.0)).cos()
        return rows.select(
            TIME,
            (pl.col(AIR_TEMPERATURE) + self.warmer + self.swing * day).round(1),
            (pl.col(RELATIVE_HUMIDITY) + self.damper).clip(1.0, 100.0).round(0),
        )


if __name__ == "__main__":
    main()
