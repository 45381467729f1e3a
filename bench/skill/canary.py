"""The canary's trial on real days: good retrains and bad ones against a stable release.

    python -m bench.skill.canary FILE.parquet [--workspace DIR]

FILE: hourly observations of one station in KMA's names, 2013 to 2018. Stable is trained on what was
known in June 2017. Canaries are: the retrain of half a year later; the same day's training with
another seed; a training on the first 26 months only; a training on a thermometer that reads 1 C too
much; the good retrain with wrong normals. Each goes live on ten days of 2018 in a depot of its own
and is judged on each day as `trainer canary` does it, until it is promoted or halted.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, pstdev
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from bench.skill.drift import OFFSET_C
from bench.speed.training import make_workspace
from edge_agent.contract import manifest as contract
from edge_agent.contract.schema import AIR_TEMPERATURE
from edge_agent.system.console import limit_threads
from tests.fakes.clock import FakeClock
from trainer.depot.roles import CANARY, STABLE
from trainer.gate import canary
from trainer.gate.canary_rules import EARLY_DAYS
from trainer.setup import create
from trainer.training import candidate
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from trainer.gate.canary_rules import Trial

STABLE_DAY = datetime(2017, 6, 1, tzinfo=UTC)
STARTS = [datetime(2018, 1, 8, tzinfo=UTC) + timedelta(days=32 * step) for step in range(10)]
NOTHING = "wait"
WRONG_NORMALS_C = 3.0


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of canary: what it is trained on, and how."""

    about: str
    day: datetime
    seed: int = 0
    warmer_c: float = 0.0
    normals_c: float = 0.0


VARIANTS = (
    Variant("retrained half a year later", datetime(2017, 12, 1, tzinfo=UTC)),
    Variant("trained on 26 months only", datetime(2015, 3, 1, tzinfo=UTC)),
    Variant(f"thermometer {OFFSET_C:g} C too high in training", STABLE_DAY, warmer_c=OFFSET_C),
    Variant(
        f"normals {WRONG_NORMALS_C:g} C too high",
        datetime(2017, 12, 1, tzinfo=UTC),
        normals_c=WRONG_NORMALS_C,
    ),
    Variant("the same day, another seed", STABLE_DAY, seed=1),
)


def main() -> None:
    """Train, try, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--workspace", type=Path)
    chosen = parser.parse_args()
    limit_threads()
    with tempfile.TemporaryDirectory() as folder:
        root = chosen.workspace or Path(folder) / "central"
        workspace = make_workspace(root, chosen.data)
        stable = _train(workspace, STABLE_DAY)
        for number, variant in enumerate(VARIANTS):
            run = _train(_fed(workspace, variant), variant.day)
            if variant.normals_c:
                run = _spoilt(run, variant.normals_c, Path(folder) / "spoilt")
            trials = [
                _try(workspace, stable, run, start, Path(folder) / f"{number}-{start:%m%d}")
                for start in STARTS
            ]
            _told(variant, trials)


def _fed(workspace: Workspace, variant: Variant) -> Workspace:
    """The workspace with the variant's seed, and its lake where that reads otherwise."""
    config = workspace.config
    training = msgspec.structs.replace(config.training, seed=config.training.seed + variant.seed)
    lake_path = config.lake_path
    if variant.warmer_c:
        lake_path = "lake-warmer"
        (number,) = config.stations
        warmer = pl.col(AIR_TEMPERATURE) + variant.warmer_c
        frame = workspace.lake.observations(number).drop("source").with_columns(warmer)
        fed = Workspace(workspace.root, msgspec.structs.replace(config, lake_path=lake_path))
        fed.lake.merge(number, frame, "asos", STABLE_DAY)
    return Workspace(
        workspace.root, msgspec.structs.replace(config, training=training, lake_path=lake_path)
    )


def _train(workspace: Workspace, day: datetime) -> Path:
    return candidate.train(workspace, day, champion=None, progress=lambda _: None)


def _spoilt(run: Path, offset_c: float, copy: Path) -> Path:
    """A copy of a run whose temperature normals are wrong."""
    shutil.copytree(run, copy)
    manifest = contract.decode((copy / "manifest.json").read_bytes())
    sites = {}
    for number, site in manifest.sites.items():
        mean, *waves = site.coefficients[AIR_TEMPERATURE]
        wrong = site.coefficients | {AIR_TEMPERATURE: (mean + offset_c, *waves)}
        sites[number] = msgspec.structs.replace(site, coefficients=wrong)
    spoilt = msgspec.structs.replace(manifest, sites=sites)
    (copy / "manifest.json").write_bytes(contract.encode(spoilt))
    return copy


def _try(workspace: Workspace, stable: Path, run: Path, start: datetime, root: Path) -> Trial:
    """One trial in a depot of its own, from a day on until it is decided."""
    from trainer.depot.releases import publish_run

    created = create(root, single_key=True)
    lake = str((workspace.root / workspace.config.lake_path).resolve())
    place = Workspace(created.root, msgspec.structs.replace(workspace.config, lake_path=lake))
    clock = FakeClock(start)
    publish_run(place, stable, STABLE, "bench", clock)
    publish_run(place, run, CANARY, "bench", clock)
    clock.advance(EARLY_DAYS * 86_400)
    while True:
        clock.advance(86_400)
        trial = canary.assess(place, clock)
        if trial.outcome != NOTHING:
            canary.act(place, trial, clock)
            shutil.rmtree(root)
            return trial


def _told(variant: Variant, trials: list[Trial]) -> None:
    outcomes = Counter(trial.outcome for trial in trials)
    print(f"{variant.about}: {len(trials)} trials, {dict(outcomes)}")
    for outcome in sorted(outcomes):
        days = [trial.days for trial in trials if trial.outcome == outcome]
        print(f"  {outcome} after {median(days):g} days in the median, {min(days)} to {max(days)}")
    for target in trials[0].targets:
        ratios = [trial.targets[target].ratio for trial in trials]
        print(
            f"  {target}: ratio {median(ratios):.3f} in the median, {min(ratios):.3f} to "
            f"{max(ratios):.3f}, standard deviation {pstdev(ratios):.3f}"
        )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
