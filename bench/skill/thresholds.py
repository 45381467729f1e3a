"""Probability from which each built-in rule warns, chosen on the training part alone.

    python -m bench.skill.thresholds WORKSPACE [--test]

The training part of WORKSPACE (what lies before the holdout) is cut into four. Each quarter is
forecast by models, normals and residual tables fitted on the other three, a week apart. On those
hours, 24 h ahead, the threshold with the highest CSI is taken among
those that reach the aims for POD and FAR; with none, the one that misses them by least in sum. With
--test the newest run is then scored at the thresholds chosen, on its holdout, beside persistence
and the seed recipe's point forecast held against the limit.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.contract import residuals
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME
from edge_agent.contract.stations import station
from edge_agent.forecasting.inference import release_predictors
from trainer.evaluation import baselines, run_folder
from trainer.evaluation.dataset import (
    Split,
    fit_normals,
    gather,
    prepare,
    scoring_pairs,
    split,
    times,
    truth,
)
from trainer.evaluation.event_scores import Contingency, contingency
from trainer.evaluation.events import Event
from trainer.evaluation.holdout_scores import HEADLINE_LEAD
from trainer.training import seed_recipe
from trainer.training.fit import fit_candidate
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edge_agent.contract.manifest import ResidualTable
    from trainer.evaluation.dataset import StationSeries

STEPS = np.arange(0.05, 0.61, 0.05).round(2)
QUARTERS = 4
EMBARGO = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Aim:
    """An event and what a warning of it must reach."""

    event: Event
    pod: float
    far: float = 1.0


AIMS = (
    Aim(Event("heat", AIR_TEMPERATURE, ">=", 30.0, 0.0), pod=0.85, far=0.30),
    Aim(Event("frost", AIR_TEMPERATURE, "<=", 0.0, 0.0), pod=0.85),
    Aim(Event("frost-watch", AIR_TEMPERATURE, "<=", 2.0, 0.0), pod=0.95),
    Aim(Event("dryness", RELATIVE_HUMIDITY, "<=", 30.0, 0.0), pod=0.50),
)


def hours_of(
    series: list[StationSeries], borders: Split, target: str, matrix: np.ndarray
) -> tuple[np.ndarray, pl.Series]:
    """Truth and target hours 24 h after every origin of the holdout."""
    pairs = scoring_pairs(series, borders.holdout, borders.last, (HEADLINE_LEAD,))
    assert len(pairs) == len(matrix)
    return truth(series, pairs, target), times(series, pairs)


def chances(event: Event, points: np.ndarray, table: ResidualTable, valid: pl.Series) -> np.ndarray:
    """Probability of the event at each hour."""
    leads = np.full(len(points), HEADLINE_LEAD)
    around = residuals.apply(table, event.target, points, valid.to_list(), leads)
    return around.probability(event.operator, event.threshold)


def unseen(
    number: int, frame: pl.DataFrame, borders: Split, start: datetime, end: datetime
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By event: its chance and whether it came in a quarter that no model saw."""
    others = frame.filter(~pl.col(TIME).is_between(start - EMBARGO, end + EMBARGO))
    site, normals = station(number).site, fit_normals(others, borders.train_end)
    pieces = [others.filter(pl.col(TIME) < start), others.filter(pl.col(TIME) > end)]
    fitted = fit_candidate(
        [prepare(number, piece, site, normals) for piece in pieces if piece.height],
        borders,
        seed=1,
        threads=1,
        progress=lambda text: print(f"  {text}", file=sys.stderr),
    )
    quarter = replace(borders, holdout=start, last=end)
    series = [prepare(number, frame.filter(pl.col(TIME) <= end), site, normals)]
    pairs = scoring_pairs(series, quarter.holdout, quarter.last, (HEADLINE_LEAD,))
    matrix = gather(series, pairs)
    by_event = {}
    for aim in AIMS:
        event = aim.event
        came, valid = hours_of(series, quarter, event.target, matrix)
        points = fitted.models[event.target].predict(matrix)
        chance = chances(event, points, fitted.residuals[event.target], valid)
        known = np.isfinite(came)
        by_event[event.name] = (chance[known], event.happened(came[known]))
    return by_event


def choose(aim: Aim, chance: np.ndarray, came: np.ndarray) -> float:
    """The threshold of `STEPS` that the module's text describes; the whole curve is printed."""
    tables = {float(p): contingency(chance >= p, came) for p in STEPS}
    for p, table in tables.items():
        print(f"  P >= {p:.2f}  {words(table)}")

    def missed(p: float) -> float:
        return max(aim.pod - tables[p].pod, 0.0) + max(tables[p].far - aim.far, 0.0)

    return min(tables, key=lambda p: (missed(p), -tables[p].csi))


def words(table: Contingency) -> str:
    """The figures that are aimed at."""
    return f"POD {table.pod:.3f}  FAR {table.far:.3f}  CSI {table.csi:.3f}"


def test(workspace: Workspace, frame: pl.DataFrame, chosen: Mapping[str, float]) -> None:
    """Score the newest run at the thresholds chosen, beside two point forecasts."""
    folder = max(path.parent for path in workspace.runs.glob("*/manifest.json"))
    manifest, files, _ = run_folder.load(folder)
    predictors = release_predictors(manifest, lambda file: files[file.path])
    number, normals = next(iter(manifest.sites.items()))
    borders = _borders(workspace, frame)
    series = [prepare(int(number), frame, station(int(number)).site, normals.coefficients)]
    matrix = gather(series, scoring_pairs(series, borders.holdout, borders.last, (HEADLINE_LEAD,)))
    past = scoring_pairs(series, borders.first, borders.train_end, (HEADLINE_LEAD,))
    before = gather(series, past)
    for aim in AIMS:
        event = aim.event
        came, valid = hours_of(series, borders, event.target, matrix)
        points = predictors[event.target].predict(matrix).astype(np.float64)
        chance = chances(event, points, manifest.residuals[event.target], valid)
        recipe = seed_recipe.SeedRecipe.fit(before, truth(series, past, event.target), threads=1)
        seed = recipe.predict(matrix)
        same = baselines.persistence(matrix, event.target)
        known = np.isfinite(came) & np.isfinite(seed) & np.isfinite(same)
        happened = event.happened(came[known])
        print(f"{event.name}: {len(happened)} hours, {happened.mean():.1%} with the event")
        warned = {
            f"rule, P >= {chosen[event.name]:.2f}": chance >= chosen[event.name],
            "model's point": event.happened(points),
            "seed's point rule": event.happened(seed),
            "persistence": event.happened(same),
        }
        for name, warning in warned.items():
            print(f"  {name:20} {words(contingency(warning[known], happened))}")


def _borders(workspace: Workspace, frame: pl.DataFrame) -> Split:
    options = workspace.config.training
    return split(frame[TIME][0], frame[TIME][-1], options.holdout_share, options.embargo_hours)


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--test", action="store_true")
    given = parser.parse_args()
    workspace = Workspace.open(given.workspace)
    number = workspace.config.stations[0]
    frame = workspace.lake.observations(number)
    borders = _borders(workspace, frame)
    length = timedelta(hours=(borders.train_end - borders.first) // timedelta(hours=QUARTERS))
    seen = frame.filter(pl.col(TIME) <= borders.train_end)
    parts = []
    for quarter in range(QUARTERS):
        start = borders.first + quarter * length
        print(f"{start:%Y-%m-%d} to {start + length:%Y-%m-%d}", file=sys.stderr)
        parts.append(unseen(number, seen, borders, start, start + length))
    chosen = {}
    for aim in AIMS:
        columns = zip(*(part[aim.event.name] for part in parts), strict=True)
        chance, came = (np.concatenate(column) for column in columns)
        print(f"{aim.event.name}: {len(came)} hours, {came.mean():.1%} with the event")
        chosen[aim.event.name] = choose(aim, chance, came)
        print(f"  chosen: {chosen[aim.event.name]:.2f}", flush=True)
    if given.test:
        test(workspace, frame, chosen)


if __name__ == "__main__":
    main()
