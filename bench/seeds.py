"""The gate on pairs of real models that differ by nothing but their seed (A/A pairs).

    python bench/seeds.py FILE.parquet [--seeds 6] [--pairs 150000] [--workspace DIR]

FILE: hourly observations of one station in KMA's names. Trains one candidate a seed with the whole
pipeline, at --pairs of origin and lead instead of `training.PAIRS` so that it ends today, and holds
each against each other, both ways, under all rules. None is truly better: a "better" is luck.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import numpy as np

from bench.training import make_workspace
from edge_agent.contract.schema import TARGETS
from edge_agent.system.console import calm_threads
from trainer.evaluation import daily_sums, run_folder
from trainer.evaluation.daily_sums import CHALLENGER, CHAMPION, REFERENCES, DailySums, lead_slice
from trainer.evaluation.hindcast import ReleaseModels
from trainer.evaluation.period_sums import Period, collect
from trainer.gate import gate
from trainer.gate.decision import conclude
from trainer.gate.resampled_sums import ResampledSums, rmse_ratio
from trainer.gate.rules_champion import Route
from trainer.training import candidate, fit
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trainer.gate.decision import Decision, Terms

HEADLINE = lead_slice(24)


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--pairs", type=int, default=150_000)
    parser.add_argument("--workspace", type=Path)
    chosen = parser.parse_args()
    calm_threads()
    fit.PAIRS = chosen.pairs
    # One of them must bear the name by which the references are made.
    names = [CHALLENGER, *(f"seed {seed}" for seed in range(2, chosen.seeds + 1))]
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(chosen.workspace or Path(folder) / "central", chosen.data)
        found, terms = _evidence(workspace, names)
    decisions = [
        conclude(terms, daily_sums.to_bytes(_pair(found, *pair)))
        for pair in itertools.permutations(names, 2)
    ]
    _tell(decisions)
    for target in TARGETS:
        _differences(found, names, target)


def _evidence(workspace: Workspace, names: Sequence[str]) -> tuple[DailySums, Terms]:
    """Daily sums of all candidates on the same hours, and the terms of a comparison."""
    settings = workspace.root / "trainer.toml"
    until = datetime(2026, 1, 1, tzinfo=UTC)
    models, folder = {}, workspace.runs
    for seed, name in enumerate(names, start=1):
        text = re.sub(r"(?m)^(# )?seed = \d+", f"seed = {seed}", settings.read_text())
        settings.write_text(text)
        opened = Workspace.open(workspace.root, {})
        folder = candidate.train(opened, until, champion=None, progress=lambda _: None)
        print(f"{name}: {folder.name}", flush=True)
        models[name] = ReleaseModels.of(*run_folder.load(folder)[:2])
    terms = gate.examine(workspace, folder)[0].terms
    start, end, trained_to = map(
        datetime.fromisoformat, (terms.holdout_from, terms.holdout_to, terms.trained_to)
    )
    damped = run_folder.load(folder)[2].damped
    period = Period(workspace.config.stations, start, end, trained_to, damped)
    terms = msgspec.structs.replace(terms, champion=1, same_recipe=True, same_normals=True)
    return collect(workspace.lake, period, models), terms


def _pair(found: DailySums, own: str, other: str) -> DailySums:
    """Evidence in which `own` challenges `other`."""
    roles = {own: CHALLENGER, other: CHAMPION}
    roles |= {name: name for name in REFERENCES}
    losses, warnings = (
        {(t, part, roles[name]): sums for (t, part, name), sums in table.items() if name in roles}
        for table in (found.losses, found.warnings)
    )
    return replace(found, losses=losses, warnings=warnings, absent={})


def _tell(decisions: Sequence[Decision]) -> None:
    better = sum(Route.BETTER in one.routes.values() for one in decisions)
    passed = sum(one.passed for one in decisions)
    rules = Counter(
        rule for one in decisions for rule in {f.rule for f in one.findings if not f.passed}
    )
    print(
        f"{len(decisions)} comparisons: {better} called better by a target, {passed} passed all "
        f"rules; refused by {dict(sorted(rules.items())) or 'none'}"
    )
    for reason, count in Counter(
        re.sub(r":.*", "", text) for one in decisions for text in one.reasons
    ).most_common():
        print(f"  {count} x {reason}")


def _differences(found: DailySums, names: Sequence[str], target: str) -> None:
    ratios, spreads = [], []
    for own, other in itertools.combinations(names, 2):
        sums = ResampledSums(_pair(found, own, other), gate.SEED)
        mine, theirs = (sums.losses(target, HEADLINE, name) for name in (CHALLENGER, CHAMPION))
        ratios.append(abs(rmse_ratio(mine, theirs)[0] - 1.0))
        daily = sums.daily(target, HEADLINE, CHALLENGER, CHAMPION)
        spreads.append(daily.std() / theirs.rmse() ** 2)
    print(
        f"{target}, 24 h: RMSE differs by {np.median(ratios):.2%} in the median, "
        f"{max(ratios):.2%} at most; daily difference of squared errors, standard deviation "
        f"{np.median(spreads):.3f} of the mean squared error"
    )


if __name__ == "__main__":
    main()
