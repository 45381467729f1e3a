"""Whether a candidate may go live.

Rules, numbered as tests and refusals name them:

    G1  Without a champion, or with one whose features this code cannot compute any more, each
        target must beat persistence, climatology, damped anomaly and the seed recipe in RMSE at
        24 h on the same holdout hours.
    G2  With a champion each target is judged by itself: the challenger goes in only where its RMSE
        at 24 h is below the champion's on the same hours of the challenger's holdout.
    G3  Targets that lost keep the champion's model; where none won there is no release.
    G4  Models of two releases stand together only on the same normals.
    G5  The ONNX graph that is judged is the file that is published, it matches LightGBM, and its
        features are those of this code.

A champion never saw the challenger's holdout: borders move forward with the days, and its own
training ended before its own border. Every decision is written into the run's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_agent.contract import features, golden
from edge_agent.contract.schema import TARGETS
from edge_agent.errors import BadData, GateRefused, NothingNew
from edge_agent.files import write_atomic
from edge_agent.inference import load_predictors
from trainer import candidate
from trainer.dataset import gather, prepare, scoring_pairs, truth
from trainer.depot import RUN
from trainer.evaluate import common, score
from trainer.release import open_depot
from trainer.scoring import HEADLINE_LEAD, MODEL
from trainer.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest, SiteNormals
    from edge_agent.ports import Clock
    from trainer.dataset import StationSeries
    from trainer.scoring import Metrics
    from trainer.workspace import Workspace

_WITH = "-with-"
REFERENCES = ("persistence", "climatology", "damped_anomaly", "seed_recipe")


class Verdict(msgspec.Struct, frozen=True):
    """One target: RMSE at 24 h of the challenger and of what it had to beat, by name."""

    challenger: float
    against: dict[str, float]
    rows: int
    passed: bool


class Decision(msgspec.Struct, frozen=True):
    """What the gate decided and from what, enough to recompute it.

    Attributes:
        run: The candidate.
        champion: Release it was held against, or None.
        holdout_from: First origin, UTC.
        holdout_to: Newest observation, UTC.
        targets: Verdict per target.
        passed: Whether anything may go live.
        reasons: For every rule that failed, which and with what figures.
    """

    run: str
    champion: int | None
    holdout_from: str
    holdout_to: str
    targets: dict[str, Verdict]
    passed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    """A candidate as loaded."""

    folder: Path
    manifest: Manifest
    files: Mapping[str, bytes]
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class _Champion:
    """What is live on the channel."""

    manifest: Manifest
    files: Mapping[str, bytes]


def champion_of(workspace: Workspace, channel: str, clock: Clock) -> Manifest | None:
    """The live release of a channel, or None."""
    live = open_depot(workspace, clock).live().get(channel)
    return live.manifest if live else None


def stems_from(release: Manifest, folder: Path) -> bool:
    """Whether a release is this run, or was composed of it and the champion before it."""
    run = release.lineage.get(RUN, "")
    return run == folder.name or run.startswith(f"{folder.name}{_WITH}")


def decide(workspace: Workspace, folder: Path, channel: str, clock: Clock) -> Path:
    """Judge a candidate and return the folder of the run to publish.

    That is the candidate itself, or, where only some targets won, a run composed of the winners
    and the champion's models.

    Raises:
        GateRefused: Nothing may go live; the text lists each failed rule with its figures.
        NothingNew: The candidate's models are the champion's.
        BadData: The run is damaged, or was trained on other features than this code computes.
    """
    run = _Run(folder, *candidate.load(folder))
    if run.manifest.features.digest != features.digest():
        raise BadData(f"G5 {folder.name}: trained by other feature code; train again")
    reigning = champion_of(workspace, channel, clock)
    if reigning is None or reigning.features.digest != features.digest():
        decision = _against_references(run)
        champion = None
    else:
        champion = _Champion(reigning, open_depot(workspace, clock).content(reigning))
        if _hashes(run.manifest) == _hashes(reigning):
            raise NothingNew(f"{folder.name}: {channel} holds these models already")
        decision = _against_champion(workspace, run, champion)
    write_atomic(
        folder / f"gate-{channel}.json",
        msgspec.json.format(msgspec.json.encode(decision), indent=1),
    )
    if not decision.passed:
        raise GateRefused(f"{folder.name}: refused for {channel}: " + "; ".join(decision.reasons))
    winners = {target for target, verdict in decision.targets.items() if verdict.passed}
    if champion is None or winners == set(TARGETS):
        return folder
    return _compose(run, champion, winners)


def _hashes(manifest: Manifest) -> dict[str, str]:
    return {target: model.file.sha256 for target, model in manifest.models.items()}


def _against_references(run: _Run) -> Decision:
    verdicts, reasons = {}, []
    for target in TARGETS:
        scores = run.metrics.scores[target]
        own = scores[MODEL][HEADLINE_LEAD]
        against = {name: scores[name][HEADLINE_LEAD].rmse for name in REFERENCES}
        lost = {name: rmse for name, rmse in against.items() if not own.rmse < rmse}
        verdicts[target] = Verdict(own.rmse, against, own.rows, passed=not lost)
        reasons += [
            f"G1 {target}: RMSE {own.rmse:.3f} is not below {name}'s {rmse:.3f}"
            for name, rmse in lost.items()
        ]
    return Decision(
        run=run.folder.name,
        champion=None,
        holdout_from=run.metrics.holdout_from,
        holdout_to=run.metrics.holdout_to,
        targets=verdicts,
        passed=not reasons,
        reasons=tuple(reasons),
    )


def _against_champion(workspace: Workspace, run: _Run, champion: _Champion) -> Decision:
    reigning = champion.manifest
    rows = {
        "challenger": _forecasts(workspace, run, run.manifest, run.files),
        "champion": _forecasts(workspace, run, reigning, champion.files),
    }
    verdicts, reasons = {}, []
    for target in TARGETS:
        observed = rows["challenger"][target][1]
        forecasts = {name: found[target][0] for name, found in rows.items()}
        known = common(observed, forecasts)
        own, theirs = (
            score(forecasts[name][known], observed[known]).rmse
            for name in ("challenger", "champion")
        )
        verdicts[target] = Verdict(own, {"champion": theirs}, int(known.sum()), own < theirs)
        if not own < theirs:
            reasons.append(
                f"G2 {target}: RMSE {own:.4f} is not below release {reigning.release}'s "
                f"{theirs:.4f} on the same {int(known.sum())} hours"
            )
    passed = any(verdict.passed for verdict in verdicts.values())
    if passed and reasons and not _compatible(run.manifest, reigning):
        passed = False
        reasons.append("G4: normals changed, so a target that lost cannot keep its old model")
    return Decision(
        run=run.folder.name,
        champion=champion.manifest.release,
        holdout_from=run.metrics.holdout_from,
        holdout_to=run.metrics.holdout_to,
        targets=verdicts,
        passed=passed,
        reasons=tuple(reasons),
    )


def _forecasts(
    workspace: Workspace, run: _Run, manifest: Manifest, files: Mapping[str, bytes]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per target: forecasts and truth at the headline lead over the challenger's holdout."""
    start = datetime.fromisoformat(run.metrics.holdout_from)
    end = datetime.fromisoformat(run.metrics.holdout_to)
    series = [
        _prepared(workspace, int(number), manifest.sites, end)
        for number in run.manifest.lineage["stations"].split(",")
    ]
    pairs = scoring_pairs(series, start, end, (HEADLINE_LEAD,))
    matrix = gather(series, pairs)
    models = {target: files[one.file.path] for target, one in manifest.models.items()}
    predictors = load_predictors(models, matrix.shape[1])
    return {
        target: (
            predictors[target].predict(matrix).astype(np.float64),
            truth(series, pairs, target),
        )
        for target in TARGETS
    }


def _prepared(
    workspace: Workspace, number: int, sites: Mapping[str, SiteNormals], end: datetime
) -> StationSeries:
    normals = sites.get(str(number))
    if normals is None:
        raise BadData(f"the champion has no normals of station {number}")
    frame = workspace.lake.observations(number, end=end)
    return prepare(number, frame, station_of(number).site, normals.coefficients)


def _compatible(one: Manifest, other: Manifest) -> bool:
    return all(other.sites.get(number) == normals for number, normals in one.sites.items())


def _compose(run: _Run, champion: _Champion, winners: set[str]) -> Path:
    """A run with the winners' models, and the champion's where the challenger lost."""
    manifest, reigning = run.manifest, champion.manifest
    models = {t: (manifest if t in winners else reigning).models[t] for t in TARGETS}
    content = {
        one.file.path: (run.files if target in winners else champion.files)[one.file.path]
        for target, one in models.items()
    }
    predictors = load_predictors(
        {target: content[one.file.path] for target, one in models.items()},
        len(manifest.features.names),
    )
    windows = golden.with_predictions(
        run.files[manifest.golden.path], {t: p.predict for t, p in predictors.items()}
    )
    path, reference = candidate.golden_file(windows)
    composed = msgspec.structs.replace(
        manifest,
        models=models,
        golden=reference,
        residuals={t: (manifest if t in winners else reigning).residuals[t] for t in TARGETS},
        scores={t: (manifest if t in winners else reigning).scores[t] for t in TARGETS},
        lineage={
            **manifest.lineage,
            **{f"kept_{t}": f"release {reigning.release}" for t in TARGETS if t not in winners},
        },
    )
    folder = run.folder.with_name(f"{run.folder.name}{_WITH}{reigning.release}")
    if not (folder / candidate.MANIFEST).exists():
        candidate.write(folder, composed, {**content, path: windows}, run.metrics)
    return folder
