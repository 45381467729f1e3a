"""Alerts of the real cycle on hours that no model saw, beside bare thresholds.

    python -m bench.skill.alerts WORKSPACE

Replays the holdout of WORKSPACE's newest run: the built-in rules on the whole cycle of a device,
what it learns by itself included. Beside it, on the same hours 24 h ahead: bare thresholds on the
point forecast of the seed recipe (trained on the same part), of the release and of persistence.
A flap is an alert that was raised and cleared within three hours.
"""

from __future__ import annotations

import argparse
import resource
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from edge_agent.contract.schema import OBSERVED, TARGETS, TIME
from edge_agent.contract.stations import station
from edge_agent.core.loaded_release import DeviceRelease
from edge_agent.core.rules import rules_of
from edge_agent.forecasting.inference import release_predictors
from edge_agent.replay import replay
from edge_agent.replay.alert_scores import AlertScorer
from edge_agent.settings import Config, Device
from trainer.evaluation import run_folder
from trainer.evaluation.dataset import gather, prepare, scoring_pairs, split, times, truth
from trainer.evaluation.holdout_scores import HEADLINE_LEAD
from trainer.training import seed_recipe
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from trainer.evaluation.dataset import Split

HISTORY = timedelta(days=20)


def newest(workspace: Workspace) -> DeviceRelease:
    """The newest run's models in memory."""
    folder = max(path.parent for path in workspace.runs.glob("*/manifest.json"))
    manifest, files, _ = run_folder.load(folder)
    return DeviceRelease(manifest, release_predictors(manifest, lambda file: files[file.path]))


def seed_points(frame: pl.DataFrame, borders: Split, release: DeviceRelease) -> pl.DataFrame:
    """The seed recipe's values 24 h ahead over the holdout, by valid hour."""
    number, normals = next(iter(release.manifest.sites.items()))
    series = [prepare(int(number), frame, station(int(number)).site, normals.coefficients)]
    past = scoring_pairs(series, borders.first, borders.train_end, (HEADLINE_LEAD,))
    pairs = scoring_pairs(series, borders.holdout, borders.last, (HEADLINE_LEAD,))
    before, matrix = gather(series, past), gather(series, pairs)
    columns = {
        target: seed_recipe.SeedRecipe.fit(before, truth(series, past, target), threads=1).predict(
            matrix
        )
        for target in TARGETS
    }
    return pl.DataFrame({TIME: times(series, pairs)} | columns).sort(TIME)


def main() -> None:
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    workspace = Workspace.open(parser.parse_args().workspace)
    release = newest(workspace)
    number = next(iter(release.manifest.sites))
    frame = workspace.lake.observations(int(number))
    options = workspace.config.training
    borders = split(frame[TIME][0], frame[TIME][-1], options.holdout_share, options.embargo_hours)
    points = seed_points(frame, borders, release)
    site = station(int(number)).site
    config = Config(
        device=Device(
            latitude=site.latitude,
            longitude=site.longitude,
            elevation_m=site.elevation_m,
            station=int(number),
        )
    )
    hours = frame.filter(pl.col(TIME) >= borders.holdout - HISTORY).select(
        TIME, *(pl.col(name).cast(pl.Float64) for name in OBSERVED if name in frame.columns)
    )
    rules = [rule for rule in rules_of(config) if not rule.now]
    scorers = [AlertScorer(rule, hours, {"seed": points}) for rule in rules]
    began, count = time.process_time(), 0
    first, last = borders.holdout, borders.last
    for decision in replay.run(config, release, {f"station:{number}": hours}, first, last):
        count += 1
        for scorer in scorers:
            scorer.add(decision)
    spent = time.process_time() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} hours in {spent:.0f} s of CPU, {spent / count * 8766:.0f} s a year")
    print(f"peak memory {peak_mb:.0f} MB, the seed's training included")
    for rule, scorer in zip(rules, scorers, strict=True):
        score = scorer.score()
        print(
            f"{rule.name}: {score.alerts} alerts ({score.alerts_per_week} a week), {score.flaps} "
            f"flaps; window POD {score.pod} FAR {score.far} CSI {score.csi}, onsets "
            f"{score.onsets_warned} of {score.onsets}, median lead {score.median_lead_h} h"
        )
        for name, ahead in score.ahead.items():
            limit = f", P >= {rule.probability:g}" if name == "chance" else ""
            print(
                f"  {name + limit:18} POD {ahead.pod} FAR {ahead.far} CSI {ahead.csi}; bare alert: "
                f"{ahead.alerts} alerts, {ahead.flaps} flaps ({ahead.hours} hours)"
            )


if __name__ == "__main__":
    main()
