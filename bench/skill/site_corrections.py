"""What corrections of the shared models bring at one farm, month by month.

    python -m bench.skill.site_corrections WORKSPACE FILE.parquet

FILE holds a weather station's minutes (tm in KST, ta, hm), see `bench.skill.rooftop`. The real
cycle of a device forecasts its hours under the newest run of WORKSPACE: once without corrections,
and once with corrections that are fitted every 30 days on the hours before, from the 62nd day on.
What the device learns by itself is on in both. Printed by lead: RMSE of both, cover of their 80 %
intervals, change of RMSE by season. The gate's decision on all hours of the record comes last.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from bench.skill.alerts import newest
from bench.skill.rooftop import DAY, HOUR, LEADS, ROOF, SEASONS, errors, hours_of, rmse
from edge_agent.contract import schema
from edge_agent.contract.farm_identity import Identity
from edge_agent.contract.schema import (
    TARGETS,
    TIME,
    Flag,
    Site,
    flag_column,
)
from edge_agent.observations.source_choice import names
from edge_agent.replay import replay
from edge_agent.settings import Config
from trainer.gate import gate
from trainer.site_corrections import all_farms
from trainer.site_corrections.farm_history import FarmHistory
from trainer.site_corrections.one_farm import correct_farm
from trainer.workspace import farms
from trainer.workspace.farms import Farm
from trainer.workspace.places import FarmId
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edge_agent.contract.manifest import Manifest
    from edge_agent.contract.site_correction import Correction
    from edge_agent.core.loaded_release import DeviceRelease
    from edge_agent.forecasting.optional_models import OptionalModel
    from edge_agent.system.ports import Predictor
    from trainer.site_corrections.farm_history import SharedModels
    from trainer.workspace.lake import Lake

FIRST_DAYS, BLOCK_DAYS = 62, 30


@dataclasses.dataclass
class Monthly:
    """A `forecast.LoadedRelease` whose corrections are renewed on the way."""

    manifest: Manifest
    predictors: Mapping[str, Predictor]
    tuning: Mapping[str, Correction]
    guided: Mapping[str, Predictor]
    optional: Mapping[str, OptionalModel]


def main() -> None:
    """Forecast one farm's record with and without corrections; print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("file", type=Path)
    chosen = parser.parse_args()
    hours = hours_of(chosen.file, None)
    farm = Farm(FarmId(ROOF.site, ROOF.id), Site(ROOF.latitude, ROOF.longitude, ROOF.elevation_m))
    given = Workspace.open(chosen.workspace)
    with tempfile.TemporaryDirectory() as lake:
        config = msgspec.structs.replace(given.config, lake_path=lake)
        workspace = dataclasses.replace(given, config=config)
        settle(workspace.lake, farm, hours)
        run = gate.load(newest_folder(workspace))
        until = hours[TIME][-1]
        shared = all_farms.shared_models(workspace, run, all_farms.farm_terms(run, until, 1), until)
        _tell(*_replayed(newest(given), hours, shared, farm))
        outcome = correct_farm(shared, farm.id)
    for finding in outcome.decision.findings if outcome.decision else ():
        if finding.rule == "G2" or not finding.passed:
            print(finding.reason())
    admitted = outcome.tuning.scores if outcome.tuning else outcome.fault or "nothing"
    print(f"the gate lets in: {admitted}")


def _replayed(
    plain: DeviceRelease, hours: pl.DataFrame, shared: SharedModels, farm: Farm
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `rooftop.errors`, as the models are and with monthly corrections."""
    observed = {at: tuple(both) for at, *both in hours.select(TIME, *TARGETS).iter_rows()}
    start, end = hours[TIME][0] + FIRST_DAYS * DAY, hours[TIME][-1] - 2 * DAY
    print(f"{hours.height} hours; forecasts from {start:%Y-%m-%d} to {end:%Y-%m-%d}")
    tables = []
    for corrected in (False, True):
        release = Monthly(plain.manifest, plain.predictors, {}, plain.guided, plain.optional)
        rows = []
        if corrected:
            release.tuning = fitted(shared, farm, start)
        cycles = replay.run(Config(device=ROOF), release, {names(ROOF)[0]: hours}, start, end)
        for number, decision in enumerate(cycles, start=1):
            rows += errors(decision, observed)
            if corrected and number % (24 * BLOCK_DAYS) == 0:
                release.tuning = fitted(shared, farm, start + number * HOUR)
        tables.append(np.array(rows))
    return tables[0], tables[1]


def fitted(shared: SharedModels, farm: Farm, until: datetime) -> dict[str, Correction]:
    """Corrections from the hours until then, whatever the gate says."""
    here = dataclasses.replace(shared, until=until)
    targets = FarmHistory.of(here, farm).targets(here)
    models = here.manifest.models
    return {t: history.correction(models[t].file.sha256) for t, history in targets.items()}


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


def settle(lake: Lake, farm: Farm, hours: pl.DataFrame) -> None:
    """Write a farm and its hours into the lake."""
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


def newest_folder(workspace: Workspace) -> Path:
    """Folder of the newest run without corrections."""
    from trainer.commands.options import chosen_run

    return chosen_run(workspace, None)


if __name__ == "__main__":
    main()
