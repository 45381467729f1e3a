"""What a farm's own history in the shared training does for that farm.

    python bench/farm_history.py WORKSPACE FILE.parquet [YEARS ...]

WORKSPACE has a trained run of stations; FILE has hours of another station in KMA's names, which
plays the farm. Its newest 20 % are never trained on. For each number of years that the farm has
measured before them (default: 1 and 4) a copy of the workspace is trained with `farms = true`, and
forecasts the 20 % as a device there does: with normals of the nearest station of the release. RMSE
beside that of the workspace's newest run.

The farm's calendar is moved back by four years at a time until its history lies before the end of
the training: it adds what it measured, and not the stations' weather of the hours it is tried on.
The stations' own holdout is told too; it flatters where the farm's hours are, unmoved, of its time.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.skill import Hours, Run, rmse
from edge_agent.contract.farm_identity import Identity
from edge_agent.contract.schema import TARGETS, TIME, Site
from edge_agent.forecasting.forecaster import place_of
from trainer.evaluation.dataset import prepare, split
from trainer.ingest.sources import kma
from trainer.training import candidate
from trainer.workspace.farms import admit
from trainer.workspace.stations import station
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from trainer.evaluation.dataset import Split

FOUR_YEARS = timedelta(days=1461)
TOLD = (1, 6, 24, 48)


def main() -> None:
    """Read the arguments, train, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("years", type=float, nargs="*", default=[1.0, 4.0])
    chosen = parser.parse_args()
    base = Workspace.open(chosen.workspace)
    run = Run.newest(base)
    site, frame, borders = _farm(chosen.file, run)
    print(f"the farm's newest 20 %: {borders.holdout:%Y-%m-%d} to {borders.last:%Y-%m-%d}, moved")
    before = _scores(run, site, frame, borders)
    _tell("stations alone", before, before)
    for years in chosen.years:
        first = borders.train_end - timedelta(days=365.25 * years)
        history = frame.filter(pl.col(TIME).is_between(first, borders.train_end))
        with tempfile.TemporaryDirectory() as folder:
            trained = _train(base, run, Path(folder) / "copy", site, history)
        _tell(f"and {years:g} years of the farm", _scores(trained, site, frame, borders), before)
        for target in TARGETS:
            then, now = (one.manifest.scores[target]["rmse_24h_model"] for one in (run, trained))
            print(f"  the stations' own holdout, {target}, 24 h: {now:.3f} ({now / then - 1:+.1%})")


def _farm(path: Path, run: Run) -> tuple[Site, pl.DataFrame, Split]:
    """Place and hours of the farm, moved in time, and where its holdout begins."""
    raw = pl.read_parquet(path)
    number = int(raw["station"][0])
    site = station(number).site
    frame = kma.tidy(raw.filter(pl.col("station") == number).drop("station"), site)
    end = datetime.fromisoformat(run.manifest.lineage["trained_to"])
    borders = split(frame[TIME][0], frame[TIME][-1], 0.2, 168)
    while borders.train_end > end:
        frame = frame.with_columns(pl.col(TIME) - FOUR_YEARS)
        borders = split(frame[TIME][0], frame[TIME][-1], 0.2, 168)
    return site, frame, borders


def _train(base: Workspace, run: Run, root: Path, site: Site, history: pl.DataFrame) -> Run:
    shutil.copytree(base.root, root, ignore=shutil.ignore_patterns("runs", "depot", "raw"))
    training = msgspec.structs.replace(base.config.training, farms=True)
    workspace = Workspace(root, msgspec.structs.replace(base.config, training=training))
    whose = Identity(
        site="bench",
        device="farm",
        latitude=site.latitude,
        longitude=site.longitude,
        elevation_m=site.elevation_m,
        source="bench",
    )
    until = datetime.fromisoformat(run.manifest.lineage["data_to"])
    admit(workspace.lake, whose, history, "parquet", until)
    candidate.train(workspace, until, champion=None, progress=lambda _: None)
    return Run.newest(workspace)


def _scores(
    run: Run, site: Site, frame: pl.DataFrame, borders: Split
) -> dict[tuple[str, int], float]:
    """RMSE by target and lead on the farm's holdout, as a device there forecasts."""
    series = [prepare(0, frame, site, place_of(site, run.manifest.sites).normals)]
    found = {}
    for lead in TOLD:
        hours = Hours.of(series, borders, lead)
        for target in TARGETS:
            forecast = run.predictors[target].predict(hours.matrix)
            found[target, lead] = rmse(forecast, hours.observed[target])
    return found


def _tell(
    what: str, scores: dict[tuple[str, int], float], before: dict[tuple[str, int], float]
) -> None:
    for target in TARGETS:
        numbers = []
        for lead in TOLD:
            now, then = scores[target, lead], before[target, lead]
            numbers.append(f"{lead} h {now:.2f} ({now / then - 1:+.1%})")
        print(f"{what}, {target}: {', '.join(numbers)}", flush=True)


if __name__ == "__main__":
    main()
