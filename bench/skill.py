"""Skill of a trained run at every lead, and at a station it never saw.

    python bench/skill.py WORKSPACE [--unseen FILE.parquet]

Prints, for each target, the leads at which the newest run is not below the best of persistence,
climatology and damped anomaly on its holdout, and the cover of its 80 % intervals by season. With
--unseen, a Parquet file in KMA's names of a station that took no part in training: RMSE 24 h ahead
beside persistence, over its newest 20 %; its normals are fitted on the older part.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from typing import TYPE_CHECKING

from edge_agent.contract import residuals
from edge_agent.contract.schema import LEADS, TARGETS, TIME
from edge_agent.inference import OnnxPredictor, load_predictors
from trainer import baselines, candidate
from trainer.dataset import (
    Pairs,
    StationSeries,
    fit_normals,
    gather,
    prepare,
    scoring_pairs,
    split,
    times,
    training_pairs,
    truth,
)
from trainer.sources import kma
from trainer.stations import station
from trainer.workspace import Workspace

if TYPE_CHECKING:
    from edge_agent.contract.manifest import ResidualTable

SEASONS = ("DJF", "MAM", "JJA", "SON")


def rmse(forecast: np.ndarray, observed: np.ndarray) -> float:
    """Root mean square error over the rows where both are known."""
    known = np.isfinite(forecast) & np.isfinite(observed)
    return float(np.sqrt(np.mean((forecast[known] - observed[known]) ** 2)))


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--unseen", type=Path)
    chosen = parser.parse_args()
    workspace = Workspace.open(chosen.workspace)
    folder = max(path.parent for path in workspace.runs.glob("*/manifest.json"))
    manifest, files, _ = candidate.load(folder)
    predictors = load_predictors(
        {target: files[one.file.path] for target, one in manifest.models.items()},
        len(manifest.features.names),
    )
    number, normals = next(iter(manifest.sites.items()))
    frame = workspace.lake.observations(int(number))
    borders = split(frame[TIME][0], frame[TIME][-1], 0.2, 168)
    series = [prepare(int(number), frame, station(int(number)).site, normals.coefficients)]
    past = training_pairs(series, borders.train_end, 200_000, 1)
    before = gather(series, past)
    hours = scoring_pairs(series, borders.holdout, borders.last, LEADS)
    for target in TARGETS:
        damped = baselines.DampedAnomaly.fit(
            before, past.leads, truth(series, past, target), target
        )
        lost, shown = [], []
        for lead in LEADS:
            rows = hours.take(hours.leads == lead)
            matrix = gather(series, rows)
            observed = truth(series, rows, target)
            own = predictors[target].predict(matrix).astype(np.float64)
            best = min(
                rmse(other, observed)
                for other in (
                    baselines.persistence(matrix, target),
                    baselines.climatology(matrix, target),
                    damped.predict(matrix, rows.leads),
                )
            )
            if not rmse(own, observed) < best:
                lost.append(lead)
            if lead in {1, 3, 6, 12, 24, 36, 48}:
                shown.append(f"{lead} h {rmse(own, observed):.2f} of {best:.2f}")
            if lead in {6, 24, 48}:
                print(
                    f"{target} {lead:2} h, 80 % covers",
                    _cover(series, rows, target, own, manifest.residuals[target]),
                )
        print(
            f"{target}: RMSE of the best reference's: {', '.join(shown)}; lost at {lost or 'none'}"
        )
    if chosen.unseen:
        _unseen(chosen.unseen, predictors)


def _cover(
    series: list[StationSeries], rows: Pairs, target: str, own: np.ndarray, table: ResidualTable
) -> str:
    valid = times(series, rows)
    around = residuals.apply(table, target, own, valid.to_list(), rows.leads)
    observed = truth(series, rows, target)
    inside = (observed >= around.quantile(0.1)) & (observed <= around.quantile(0.9))
    season, _ = residuals.cells(valid)
    known = np.isfinite(observed)
    parts = (f"{n} {inside[known & (season == i)].mean():.3f}" for i, n in enumerate(SEASONS))
    return f"{inside[known].mean():.3f} ({', '.join(parts)})"


def _unseen(path: Path, predictors: dict[str, OnnxPredictor]) -> None:
    raw = pl.read_parquet(path)
    number = int(raw["station"][0])
    site = station(number).site
    frame = kma.tidy(raw.filter(pl.col("station") == number).drop("station"), site)
    borders = split(frame[TIME][0], frame[TIME][-1], 0.2, 168)
    series = [prepare(number, frame, site, fit_normals(frame, borders.train_end))]
    rows = scoring_pairs(series, borders.holdout, borders.last, (24,))
    matrix = gather(series, rows)
    for target in TARGETS:
        observed = truth(series, rows, target)
        own = rmse(predictors[target].predict(matrix).astype(np.float64), observed)
        same = rmse(baselines.persistence(matrix, target), observed)
        print(
            f"station {number}, never trained on, {target}: {own:.3f} against {same:.3f} "
            f"persistence ({own / same - 1:+.1%})"
        )


if __name__ == "__main__":
    main()
