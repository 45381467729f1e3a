"""Whether a candidate may go live: scores it and its champion, and acts on the decision.

The rules are those of `trainer.gate.decision`. Two files in the run's folder let the decision be
computed again: `gate-<channel>.json` with terms and findings, `gate-<channel>.parquet` with the
daily sums that they follow from.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from edge_agent.contract import features, guidance_features
from edge_agent.contract.errors import BadData, GateRefused, InputMissing, NothingNew
from edge_agent.contract.hours import korean_date
from edge_agent.contract.schema import TARGETS
from edge_agent.contract.stations import station
from edge_agent.forecasting import optional_models
from trainer.depot.publisher import RUN
from trainer.depot.releases import open_depot
from trainer.evaluation import daily_sums, run_folder
from trainer.evaluation.daily_sums import CHALLENGER, CHAMPION, GUIDED
from trainer.evaluation.hindcast import ReleaseModels
from trainer.evaluation.period_sums import Period, collect
from trainer.gate import rules_floor
from trainer.gate.attempts import Attempt, alpha_of, count, quarter_of
from trainer.gate.composed_run import WITH, Champion, Replaced, Run, compose
from trainer.gate.decision import Decision, Terms, conclude
from trainer.ingest.station_guidance import guidance_at

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date
    from pathlib import Path

    import polars as pl

    from edge_agent.contract.manifest import Manifest
    from edge_agent.system.ports import Clock
    from trainer.workspace.workspace import Workspace

TRAINED_TO = "trained_to"
"""Key of the lineage: end of the training targets, UTC."""

RECIPE = ("parameters", "features_digest", "code_sha256")
"""Keys of the lineage that are equal where only data and seeds differ."""

SEED = 1


def champion_of(workspace: Workspace, channel: str, clock: Clock) -> Manifest | None:
    """The live release of a channel, or None."""
    live = open_depot(workspace, clock).live().get(channel)
    return live.manifest if live else None


def check_length(champion: Manifest | None, days: Collection[date]) -> None:
    """Refuse before a training what G11 would refuse after it.

    Args:
        champion: What is live, or None; hours that it was trained on do not count.
        days: Korean days of the candidate's holdout with observations.

    Raises:
        BadData: There are too few; the text says how many are needed.
    """
    if champion is not None and _comparable(champion):
        seen = korean_date(datetime.fromisoformat(champion.lineage[TRAINED_TO]))
        days = [day for day in days if day >= seen]
    finding = rules_floor.length(days)
    if not finding.passed:
        raise BadData(f"nothing is trained, as the gate would refuse it: {finding.text}")


def stems_from(release: Manifest, folder: Path) -> bool:
    """Whether a release is this run, or was composed of it and the champion before it."""
    run = release.lineage.get(RUN, "")
    return run == folder.name or run.startswith(f"{folder.name}{WITH}")


def run_of(workspace: Workspace, release: Manifest) -> Path:
    """Folder of the run that the gate judged before this release."""
    return workspace.run_store.folder(release.lineage.get(RUN, "").partition(WITH)[0])


def daily_sums_of(folder: Path, channel: str) -> bytes:
    """Daily sums behind the gate's decision: for the channel, else for another one.

    Raises:
        InputMissing: The run was never judged here.
    """
    paths = [folder / f"gate-{channel}.parquet", *sorted(folder.glob("gate-*.parquet"))]
    for path in paths:
        if path.exists():
            return path.read_bytes()
    raise InputMissing(f"{folder}: no evidence of the gate: judge the run here first")


def decide(workspace: Workspace, folder: Path, channel: str, clock: Clock) -> Path:
    """Judge a candidate and return the folder of the run to publish.

    That is the candidate itself, or, where only one target is better, a run composed of its model
    and the champion's other one. Where its corrections of KMA's forecasts fail, it has the
    champion's, or none.

    Raises:
        GateRefused: Nothing may go live; the text lists each failed rule with its figures.
        NothingNew: The candidate's models are the champion's.
        BadData: The run is damaged, or was trained on other features than this code computes.
    """
    run = load(folder)
    champion = _champion(workspace, channel, clock)
    if champion and _hashes(run.manifest) == _hashes(champion.manifest):
        raise NothingNew(f"{folder.name}: {channel} holds these models already")
    terms = _terms(run, champion, channel)
    attempt = Attempt(
        at=f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
        channel=channel,
        quarter=terms.quarter,
        run=folder.name,
        champion=terms.champion or 0,
    )
    number = count(workspace.records, attempt)
    terms = msgspec.structs.replace(terms, attempt=number, alpha=alpha_of(number))
    content = _daily_sums(workspace, run, champion, terms)
    decision = conclude(terms, content)
    runs = workspace.run_store
    runs.add(folder.name, f"gate-{channel}.parquet", content)
    runs.add(
        folder.name,
        f"gate-{channel}.json",
        msgspec.json.format(msgspec.json.encode(decision), indent=1),
    )
    if not decision.passed:
        raise GateRefused(f"{folder.name}: refused for {channel}: " + "; ".join(decision.reasons))
    replaced = Replaced(decision.unguided, decision.kept_guided, decision.refused)
    every_target_won = champion is None or len(decision.winners) == len(TARGETS)
    if every_target_won and not replaced.why:
        return folder
    composed = compose(runs, run, champion, set(decision.winners), replaced)
    if champion and _hashes(load(composed).manifest) == _hashes(champion.manifest):
        raise NothingNew(f"{folder.name}: {channel} holds these models already; {replaced.why}")
    return composed


def examine(workspace: Workspace, folder: Path) -> tuple[Decision, bytes]:
    """The decision on a run as if nothing were live, and its daily sums; nothing is written.

    Raises:
        BadData: See `decide`.
        InputMissing: The folder is no candidate.
    """
    run = load(folder)
    terms = _terms(run, None, "")
    content = _daily_sums(workspace, run, None, terms)
    return conclude(terms, content), content


def recompute(folder: Path, channel: str) -> tuple[Decision, Decision]:
    """The recorded decision, and the one that follows from its terms and daily sums now.

    Raises:
        InputMissing: The run was never judged for the channel.
        BadData: A file is damaged, or the daily sums are not the decision's.
    """
    path = folder / f"gate-{channel}.json"
    try:
        recorded = _recorded(path)
        content = path.with_suffix(".parquet").read_bytes()
    except FileNotFoundError as fault:
        raise InputMissing(f"{fault.filename}: missing; judge the run first") from fault
    if hashlib.sha256(content).hexdigest() != recorded.evidence:
        raise BadData(f"{path.with_suffix('.parquet')}: not the evidence of this decision")
    return recorded, conclude(recorded.terms, content)


def why_not_approved(folder: Path) -> str:
    """Why no channel may have a run, in words; empty where the gate let it through for one.

    Raises:
        BadData: A decision is damaged.
    """
    if WITH in folder.name:
        # It was composed after the gate let it through.
        return ""
    decisions = [_recorded(path) for path in sorted(folder.glob("gate-*.json"))]
    if not decisions:
        return f"the gate has not judged it; `trainer evaluate {folder.name}` says what it lacks"
    if any(decision.passed for decision in decisions):
        return ""
    return "; ".join(
        f"refused for {decision.terms.channel}: {'; '.join(decision.reasons)}"
        for decision in decisions
    )


def _recorded(path: Path) -> Decision:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Decision)
    except msgspec.DecodeError as fault:
        raise BadData(f"{path}: is damaged: judge the run anew") from fault


def load(folder: Path) -> Run:
    """A candidate that this code can judge.

    Raises:
        InputMissing: The folder is no candidate.
        BadData: It is damaged, or was trained on other features than this code computes.
    """
    run = Run(folder, *run_folder.load(folder))
    if run.manifest.features.digest != features.digest():
        raise BadData(f"G5 {folder.name}: trained by other feature code; train again")
    if run.manifest.guidance and not _corrects(run.manifest):
        raise BadData(f"G5 {folder.name}: corrects KMA's forecasts by other code; train again")
    if len(optional_models.computable(run.manifest)) < len(run.manifest.optional):
        raise BadData(f"G5 {folder.name}: forecasts an optional target by other code; train again")
    if TRAINED_TO not in run.manifest.lineage or not run.metrics.damped:
        raise BadData(f"G5 {folder.name}: trained before the gate knew its rules; train again")
    return run


def _champion(workspace: Workspace, channel: str, clock: Clock) -> Champion | None:
    """What is live; None where this code cannot run it or its training range is unknown."""
    depot = open_depot(workspace, clock)
    live = depot.live().get(channel)
    if live is None or not _comparable(live.manifest):
        return None
    return Champion(live.manifest, depot.content(live.manifest))


def _comparable(release: Manifest) -> bool:
    return release.features.digest == features.digest() and TRAINED_TO in release.lineage


def _corrects(manifest: Manifest) -> bool:
    return guidance_features.computable(manifest.guidance) is not None


def _hashes(manifest: Manifest) -> dict[str, str]:
    models = manifest.models | {t: part.model for t, part in manifest.optional.items()}
    if manifest.guidance:
        models |= {f"{GUIDED} {target}": m for target, m in manifest.guidance.models.items()}
    return {name: model.file.sha256 for name, model in models.items()}


def _terms(run: Run, champion: Champion | None, channel: str) -> Terms:
    lineage = run.manifest.lineage
    embargo = int(lineage["embargo_hours"])
    start = datetime.fromisoformat(run.metrics.holdout_from)
    if champion:
        # Hours that the champion was trained on are no fair test of it.
        seen = datetime.fromisoformat(champion.manifest.lineage[TRAINED_TO])
        start = max(start, seen + timedelta(hours=embargo))
    return Terms(
        run=run.folder.name,
        channel=channel,
        champion=champion.manifest.release if champion else None,
        trained_to=lineage[TRAINED_TO],
        embargo_hours=embargo,
        holdout_from=f"{start:%Y-%m-%dT%H:%M}Z",
        holdout_to=run.metrics.holdout_to,
        quarter=quarter_of(datetime.fromisoformat(run.metrics.holdout_to)),
        attempt=1,
        alpha=alpha_of(1),
        same_recipe=champion is not None
        and all(lineage.get(key) == champion.manifest.lineage.get(key) for key in RECIPE),
        same_normals=champion is not None and _same_normals(run.manifest, champion.manifest),
        seed=SEED,
        parity=run.metrics.parity,
        guided=run.manifest.guidance is not None,
        live_guided=champion is not None and _corrects(champion.manifest),
        optional=tuple(run.manifest.optional),
    )


def _daily_sums(workspace: Workspace, run: Run, champion: Champion | None, terms: Terms) -> bytes:
    models = {CHALLENGER: ReleaseModels.tried(run.manifest, run.files)}
    if champion:
        models[CHAMPION] = ReleaseModels.tried(champion.manifest, champion.files)
    period = Period(
        stations=tuple(map(int, run.manifest.lineage["stations"].split(","))),
        start=datetime.fromisoformat(terms.holdout_from),
        end=datetime.fromisoformat(terms.holdout_to),
        trained_to=datetime.fromisoformat(terms.trained_to),
        damped=run.metrics.damped,
    )

    def guidance(number: int) -> pl.DataFrame:
        return guidance_at(workspace.store, station(number).site)

    return daily_sums.to_bytes(collect(workspace.lake, period, models, guidance))


def _same_normals(manifest: Manifest, other: Manifest) -> bool:
    return all(other.sites.get(number) == normals for number, normals in manifest.sites.items())
