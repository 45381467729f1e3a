"""Corrections of the shared models for single farms: what they bring, and what a thousand cost.

    python bench/farms.py roof WORKSPACE FILE.parquet
    python bench/farms.py many WORKSPACE FOLDER [--farms 1000] [--dask]

`roof`: FILE holds a weather station's minutes (tm in KST, ta, hm), see bench/rooftop.py. Its hours
are forecast by the real cycle of a device under the newest run of WORKSPACE, once as it is and once
corrected: every 30 days by a fit on the hours before, from the 62nd day on. What the device learns
by itself is on in both. Printed by lead: RMSE and cover of the 80 % interval of both, the change of
RMSE by season; then the gate's word on the whole record.

`many`: a copy of WORKSPACE in FOLDER gets farms in a generated climate, each with an offset and a
swing of the day of its own and a year and a half of hours, and corrects all in one run: here, or on
a Dask cluster of two workers on this machine. Equal results have the same digest.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import numpy as np
import polars as pl

from bench.alerts import newest
from bench.rooftop import DAY, HOUR, LEADS, ROOF, SEASONS, errors, hours_of, rmse
from demo.climate import generate
from demo.places import SEOUL, Place
from edge_agent.contract import schema
from edge_agent.contract.farm_identity import Identity
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RELATIVE_HUMIDITY,
    TARGETS,
    TIME,
    Flag,
    Site,
    flag_column,
)
from edge_agent.observations.source_choice import names
from edge_agent.replay import replay
from edge_agent.settings import Config
from edge_agent.system.clock import SystemClock
from trainer.evaluation.run_folder import load
from trainer.gate import gate
from trainer.ingest.sources import kma
from trainer.site_corrections import all_farms, shard_files
from trainer.site_corrections.farm_history import History
from trainer.site_corrections.one_farm import attempt
from trainer.site_corrections.outcomes import NAME
from trainer.workspace import farms
from trainer.workspace.config import Compute
from trainer.workspace.farms import Farm
from trainer.workspace.places import FarmId
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_agent.contract.manifest import Manifest
    from edge_agent.contract.site_correction import Correction
    from edge_agent.core.loaded_release import DeviceRelease
    from edge_agent.system.ports import Predictor
    from trainer.site_corrections.farm_history import Shared
    from trainer.workspace.lake import Lake

FIRST_DAYS, BLOCK_DAYS = 62, 30
ORIGIN = datetime(2018, 1, 1)  # noqa: DTZ001 - the climate's axis is Korean time without a zone
DAYS = 548
SEED = 11


@dataclasses.dataclass
class Monthly:
    """A `forecast.LoadedRelease` whose corrections are renewed on the way."""

    manifest: Manifest
    predictors: Mapping[str, Predictor]
    tuning: Mapping[str, Correction]


def main() -> None:
    """Read the arguments and run one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("roof")
    one.add_argument("workspace", type=Path)
    one.add_argument("file", type=Path)
    one.set_defaults(work=roof)
    other = commands.add_parser("many")
    other.add_argument("workspace", type=Path)
    other.add_argument("folder", type=Path)
    other.add_argument("--farms", type=int, default=1000)
    other.add_argument("--dask", action="store_true")
    other.set_defaults(work=many)
    chosen = parser.parse_args()
    chosen.work(chosen)


def roof(chosen: argparse.Namespace) -> None:
    """One real farm, month by month."""
    hours = hours_of(chosen.file, None)
    farm = Farm(FarmId(ROOF.site, ROOF.id), Site(ROOF.latitude, ROOF.longitude, ROOF.elevation_m))
    given = Workspace.open(chosen.workspace)
    with tempfile.TemporaryDirectory() as lake:
        config = msgspec.structs.replace(given.config, lake_path=lake)
        workspace = dataclasses.replace(given, config=config)
        settle(workspace.lake, farm, hours)
        run = gate.load(_newest(workspace))
        until = hours[TIME][-1]
        shared = all_farms.shared_of(workspace, run, all_farms.terms_of(run, until, 1), until)
        _tell(*_replayed(newest(given), hours, shared, farm))
        said = attempt(shared, farm.id)
    for one in said.decision.findings if said.decision else ():
        if one.rule == "G2" or not one.passed:
            print(one.reason())
    print(f"the gate lets in: {said.tuning.scores if said.tuning else said.fault or 'nothing'}")


def _replayed(
    plain: DeviceRelease, hours: pl.DataFrame, shared: Shared, farm: Farm
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `rooftop.errors`, as the models are and with monthly corrections."""
    known = {at: tuple(both) for at, *both in hours.select(TIME, *TARGETS).iter_rows()}
    start, end = hours[TIME][0] + FIRST_DAYS * DAY, hours[TIME][-1] - 2 * DAY
    print(f"{hours.height} hours; forecasts from {start:%Y-%m-%d} to {end:%Y-%m-%d}")
    found = []
    for corrected in (False, True):
        release = Monthly(plain.manifest, plain.predictors, {})
        rows = []
        if corrected:
            release.tuning = fitted(shared, farm, start)
        cycles = replay.run(Config(device=ROOF), release, {names(ROOF)[0]: hours}, start, end)
        for number, made in enumerate(cycles, start=1):
            rows += errors(made, known)
            if corrected and number % (24 * BLOCK_DAYS) == 0:
                release.tuning = fitted(shared, farm, start + number * HOUR)
        found.append(np.array(rows))
    return found[0], found[1]


def fitted(shared: Shared, farm: Farm, until: datetime) -> dict[str, Correction]:
    """Corrections from the hours until then, whatever the gate says."""
    here = dataclasses.replace(shared, until=until)
    cases = History.of(here, farm).cases(here)
    return {t: case.correction(here.manifest.models[t].file.sha256) for t, case in cases.items()}


def _tell(plain: np.ndarray, tuned: np.ndarray) -> None:
    both = np.isfinite(plain).all(axis=1) & np.isfinite(tuned).all(axis=1)
    for index, target in enumerate(TARGETS):
        for lead in LEADS:
            rows = both & (plain[:, 0] == index) & (plain[:, 1] == lead)
            before, after = plain[rows], tuned[rows]
            seasons = (
                f"{name} {rmse(after[part, 4]) / rmse(before[part, 4]) - 1:+.1%}"
                for number, name in enumerate(SEASONS)
                if (part := before[:, 2] == number).any()
            )
            print(
                f"{target} {lead:2} h: models {rmse(before[:, 3]):.3f} -> {rmse(after[:, 3]):.3f}, "
                f"said {rmse(before[:, 4]):.3f} -> {rmse(after[:, 4]):.3f} "
                f"({rmse(after[:, 4]) / rmse(before[:, 4]) - 1:+.1%}), 80 % covers "
                f"{before[:, 6].mean():.3f} -> {after[:, 6].mean():.3f}; {', '.join(seasons)} "
                f"({rows.sum()} hours)"
            )


def many(chosen: argparse.Namespace) -> None:
    """Many farms in one run."""
    if not chosen.folder.exists():
        shutil.copytree(chosen.workspace, chosen.folder)
    workspace = Workspace.open(chosen.folder, {})
    until = _invent(workspace.lake, chosen.farms)
    folder = _newest(workspace)
    with _compute(dask=chosen.dask) as compute:
        config = msgspec.structs.replace(workspace.config, compute=compute)
        began, used = time.perf_counter(), time.process_time()
        made = all_farms.tune(
            dataclasses.replace(workspace, config=config),
            folder,
            "stable",
            until,
            SystemClock(),
            progress=lambda text: print(f"{text}, {time.perf_counter() - began:.0f} s"),
        )
        wall, own = time.perf_counter() - began, time.process_time() - used
    manifest, files, _ = load(made.folder)
    shards = [len(files[ref.path]) for ref in manifest.tuned]
    corrected = shard_files.unpack(manifest, files).values()
    record = workspace.run_store.read(made.folder.name, NAME) or b""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = children.ru_utime + children.ru_stime
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{made.outcome.text()}; targets: {sum(len(one.corrections) for one in corrected)}")
    print(
        f"{wall:.0f} s, CPU {own:.0f} s here and {theirs:.0f} s in "
        f"workers, {(own + theirs) / chosen.farms:.2f} s a farm; peak {peak:.0f} MB "
        f"here and {children.ru_maxrss / 1024:.0f} MB in the largest worker"
    )
    print(
        f"{len(shards)} shards of {np.mean(shards):.0f} bytes, {sum(shards)} in all; record "
        f"{len(record)} bytes; {made.folder.name}"
    )


@contextmanager
def _compute(*, dask: bool) -> Iterator[Compute]:
    if not dask:
        yield Compute()
        return
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield Compute(backend="dask", scheduler=cluster.scheduler_address)


def _invent(lake: Lake, count: int) -> datetime:
    """Farms around Seoul, as many as wanted; the newest hour of all."""
    random = np.random.default_rng(SEED)
    held = set(farms.farm_ids(lake))
    last = ORIGIN + timedelta(days=DAYS, hours=-1)
    for number in range(count):
        north, east = random.uniform(-0.7, 0.7, 2).tolist()
        site = Site(
            SEOUL.latitude + north, SEOUL.longitude + east, float(random.uniform(5.0, 400.0))
        )
        own = Own(*random.normal(0.0, (1.5, 1.0, 5.0)))
        farm = Farm(FarmId(f"farm-{number}", "edge-1"), site)
        if farm.id not in held:
            place = Place(1000 + number, site.latitude, site.longitude, site.elevation_m)
            rows = kma.tidy(generate([place], ORIGIN, last, SEED), site)
            settle(lake, farm, own.heard(rows))
    return last.replace(tzinfo=UTC) - 9 * HOUR


@dataclasses.dataclass(frozen=True)
class Own:
    """What a farm's two sensors differ by: degrees all day and at 14 o'clock, and % of humidity."""

    warmer: float
    swing: float
    damper: float

    def heard(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Weather as this farm's sensors tell it."""
        hour = pl.col(TIME).dt.offset_by("9h").dt.hour() - 14.0
        day = (hour * (2.0 * np.pi / 24.0)).cos()
        return rows.select(
            TIME,
            (pl.col(AIR_TEMPERATURE) + self.warmer + self.swing * day).round(1),
            (pl.col(RELATIVE_HUMIDITY) + self.damper).clip(1.0, 100.0).round(0),
        )


def settle(lake: Lake, farm: Farm, hours: pl.DataFrame) -> None:
    """Bring a farm and its hours in."""
    given = [name for name in schema.OBSERVED if name in hours.columns]
    columns = {
        name: pl.col(name) if name in given else pl.lit(None, pl.Float64)
        for name in schema.OBSERVED
    }
    flags = {
        flag_column(name): pl.when(column.is_null())
        .then(pl.lit(Flag.MISSING, pl.UInt8))
        .otherwise(pl.lit(Flag.GOOD, pl.UInt8))
        for name, column in columns.items()
    }
    lake.merge(farm.id, hours.select(TIME, **columns, **flags), "parquet", hours[TIME][0])
    site = farm.site
    identity = Identity(
        site=farm.id.site,
        device=farm.id.device,
        latitude=site.latitude,
        longitude=site.longitude,
        elevation_m=site.elevation_m,
        source="sensor:outdoor",
    )
    farms.enrol(lake, identity)


def _newest(workspace: Workspace) -> Path:
    """The newest run without corrections."""
    from trainer.commands.options import chosen_run

    return chosen_run(workspace, None)


if __name__ == "__main__":
    main()
