"""Skill of a trained run at every lead, and at a station it never saw.

    python -m bench.skill.leads WORKSPACE [--unseen FILE.parquet [--there WORKSPACE]]

Prints for each target of the newest run, on its holdout: RMSE by lead beside the best of
persistence, climatology and damped anomaly, and the leads at which it is not below it; the cover of
its 80 % intervals by season, from the release's table alone and with the factor that the newest
verified month asks for; RMSE and cover without groups of inputs.

With --unseen, a Parquet file in KMA's names of a station that took no part in training: RMSE 24 h
ahead over its newest 20 %, normals fitted on the older part, beside persistence and, with --there,
beside the newest run of a workspace that trained at that station.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.contract import kma_fields, missing_inputs, residuals
from edge_agent.contract.schema import LEADS, TARGETS, TIME
from edge_agent.contract.stations import station
from edge_agent.forecasting.inference import OnnxPredictor, release_predictors
from trainer.evaluation import baselines, run_folder
from trainer.evaluation.dataset import (
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
from trainer.evaluation.holdout_scores import ALL_BUT_HUMIDITY
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from edge_agent.contract.manifest import Manifest
    from trainer.evaluation.dataset import Split

SEASONS = ("DJF", "MAM", "JJA", "SON")
TOLD = (1, 3, 6, 12, 24, 36, 48)
COVERED = (6, 24, 48)


@dataclass(frozen=True, slots=True)
class Run:
    """A trained run with its models in memory."""

    manifest: Manifest
    predictors: dict[str, OnnxPredictor]

    @classmethod
    def newest(cls, workspace: Workspace) -> Run:
        """Newest run of a workspace."""
        folder = max(path.parent for path in workspace.runs.glob("*/manifest.json"))
        manifest, files, _ = run_folder.load(folder)
        return cls(manifest, release_predictors(manifest, lambda file: files[file.path]))


@dataclass(frozen=True, slots=True)
class Hours:
    """Every origin of a holdout at one lead: inputs and target hours."""

    series: list[StationSeries]
    lead: int
    matrix: np.ndarray
    valid: pl.Series
    observed: dict[str, np.ndarray]

    @classmethod
    def of(cls, series: list[StationSeries], borders: Split, lead: int) -> Hours:
        """Gather them; every lead has the same origins."""
        pairs = scoring_pairs(series, borders.holdout, borders.last, LEADS)
        pairs = pairs.take(pairs.leads == lead)
        return cls(
            series,
            lead,
            gather(series, pairs),
            times(series, pairs),
            {target: truth(series, pairs, target) for target in TARGETS},
        )

    @property
    def leads(self) -> np.ndarray:
        """Lead of each row."""
        return np.full(len(self.matrix), self.lead)


def recent(reach: np.ndarray) -> float:
    """Half of the factor that the intervals of a month's verified forecasts ask for."""
    known = reach[~np.isnan(reach)]
    return float(np.clip(np.quantile(known, 0.8) ** 0.5, 0.7, 1.5)) if len(known) >= 168 else 1.0


def rmse(forecast: np.ndarray, observed: np.ndarray) -> float:
    """Root mean square error over the rows where both are known."""
    known = np.isfinite(forecast) & np.isfinite(observed)
    return float(np.sqrt(np.mean((forecast[known] - observed[known]) ** 2)))


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("--there", type=Path)
    chosen = parser.parse_args()
    workspace = Workspace.open(chosen.workspace)
    run = Run.newest(workspace)
    number, normals = next(iter(run.manifest.sites.items()))
    frame = workspace.lake.observations(int(number))
    borders = split(frame[TIME][0], frame[TIME][-1], 0.2, 168)
    series = [prepare(int(number), frame, station(int(number)).site, normals.coefficients)]
    by_lead = [Hours.of(series, borders, lead) for lead in LEADS]
    for target in TARGETS:
        _skill(run, target, by_lead, borders)
        for hours in by_lead:
            if hours.lead in COVERED:
                _cover(run, target, hours)
                _lacking(run, target, hours)
    if chosen.unseen:
        there = Run.newest(Workspace.open(chosen.there)) if chosen.there else None
        _unseen(chosen.unseen, run, there)


def _skill(run: Run, target: str, by_lead: list[Hours], borders: Split) -> None:
    series = by_lead[0].series
    past = training_pairs(series, borders.train_end, 200_000, 1)
    damped = baselines.DampedAnomaly.fit(
        gather(series, past), past.leads, truth(series, past, target), target
    )
    lost, shown = [], []
    for hours in by_lead:
        observed = hours.observed[target]
        own = rmse(run.predictors[target].predict(hours.matrix), observed)
        best = min(
            rmse(other, observed)
            for other in (
                baselines.persistence(hours.matrix, target),
                baselines.climatology(hours.matrix, target),
                damped.predict(hours.matrix, hours.leads),
            )
        )
        if not own < best:
            lost.append(hours.lead)
        if hours.lead in TOLD:
            shown.append(f"{hours.lead} h {own:.3f} of {best:.3f}")
    print(f"{target}: RMSE of the best reference's: {', '.join(shown)}; lost at {lost or 'none'}")


def _cover(run: Run, target: str, hours: Hours) -> None:
    errors = hours.observed[target] - run.predictors[target].predict(hours.matrix)
    around = residuals.spread(run.manifest.residuals[target], hours.valid, hours.leads)
    reach = residuals.reach(around, errors)
    adapted = np.ones(len(reach))
    for row in range(0, len(reach), 24):
        # Origins whose target hour has come when the forecasts of this day are made.
        verified = max(0, row - hours.lead + 1)
        adapted[row : row + 24] = recent(reach[max(0, verified - 720) : verified])
    season, _ = residuals.cells(hours.valid)
    known = ~np.isnan(reach)
    for name, factor in (("the table", np.ones(len(reach))), ("it and the newest month", adapted)):
        inside = reach <= factor
        parts = (f"{n} {inside[known & (season == i)].mean():.3f}" for i, n in enumerate(SEASONS))
        print(
            f"{target} {hours.lead:2} h: 80 % covers {inside[known].mean():.3f} "
            f"({', '.join(parts)}) by {name}"
        )


def _lacking(run: Run, target: str, hours: Hours) -> None:
    """What lacking inputs cost, and whether the widened intervals hold."""
    observed = hours.observed[target]
    table = run.manifest.residuals[target]
    around = residuals.spread(table, hours.valid, hours.leads)
    whole = rmse(run.predictors[target].predict(hours.matrix), observed)
    cases: dict[str, tuple[str, ...]] = {group: (group,) for group in missing_inputs.GROUPS}
    cases[ALL_BUT_HUMIDITY] = missing_inputs.ALL_BUT_HUMIDITY
    texts = []
    for name, groups in cases.items():
        own = run.predictors[target].predict(missing_inputs.blanked(hours.matrix, groups))
        factors = run.manifest.widening[target]
        widened = missing_inputs.widening(factors, groups, table.leads, hours.leads)
        reach = residuals.reach(around * widened[:, None], observed - own)
        inside = np.mean(reach[~np.isnan(reach)] <= 1.0)
        lost = rmse(own, observed) / whole - 1
        texts.append(f"{name} {lost:+.1%} (x {widened[0]:.3f} covers {inside:.3f})")
    print(f"{target} {hours.lead:2} h, {whole:.3f}, without {', '.join(texts)}")


def _unseen(path: Path, run: Run, there: Run | None) -> None:
    raw = pl.read_parquet(path)
    number = int(raw["station"][0])
    site = station(number).site
    frame = kma_fields.tidy(raw.filter(pl.col("station") == number).drop("station"), site)
    borders = split(frame[TIME][0], frame[TIME][-1], 0.2, 168)
    series = [prepare(number, frame, site, fit_normals(frame, borders.train_end))]
    hours = Hours.of(series, borders, 24)
    for target in TARGETS:
        observed = hours.observed[target]
        own = rmse(run.predictors[target].predict(hours.matrix), observed)
        same = rmse(baselines.persistence(hours.matrix, target), observed)
        text = (
            f"station {number}, never trained on, {target}: {own:.3f} against {same:.3f} "
            f"persistence ({own / same - 1:+.1%})"
        )
        if there:
            local = rmse(there.predictors[target].predict(hours.matrix), observed)
            text += f" and {local:.3f} trained there ({own / local - 1:+.1%})"
        print(text)
        _cover(run, target, hours)


if __name__ == "__main__":
    main()
