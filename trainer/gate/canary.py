"""The live canary against the live stable release on new hours; promoted or halted by itself.

The rules are in `canary_rules`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_agent.contract import features
from edge_agent.contract.errors import BadData, InputMissing, NothingNew, TryLater
from edge_agent.contract.hours import korean_clock, start_of_hour
from edge_agent.contract.schema import TARGETS
from trainer.depot import releases
from trainer.depot.publisher import RUN
from trainer.depot.release_log import ReleaseLog
from trainer.depot.roles import CANARY, STABLE
from trainer.evaluation.dataset import WARM_UP_HOURS, gather, scoring_pairs, times, truth
from trainer.evaluation.hindcast import ReleaseModels, hindcast, station_series
from trainer.evaluation.holdout_scores import SCORED_LEADS
from trainer.gate.canary_rules import daily_errors, decide
from trainer.workspace.runs import plain_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.contract.manifest import Manifest
    from edge_agent.system.ports import Clock
    from trainer.evaluation.dataset import StationSeries
    from trainer.gate.canary_rules import DailyErrors, Trial
    from trainer.workspace.workspace import Workspace


def assess(workspace: Workspace, clock: Clock) -> Trial:
    """Score the live canary on the hours of the lake; nothing is changed.

    Raises:
        NothingNew: There is no canary, it holds stable's models, or trials are off.
        InputMissing: There is no stable release to hold it against.
        BadData: One of the two cannot be computed by this code.
    """
    needed = workspace.config.depot.canary_days
    if not needed:
        raise NothingNew("canary: trials are off ([depot] canary_days = 0)")
    depot = releases.open_depot(workspace, clock)
    live = depot.live()
    if CANARY not in live:
        raise NothingNew("canary: no release on that channel")
    if STABLE not in live:
        raise InputMissing(
            "canary: no stable release to hold it against; publish the first one with "
            "`trainer promote --channel stable`"
        )
    canary, stable = live[CANARY].manifest, live[STABLE].manifest
    if _hashes(canary) == _hashes(stable):
        raise NothingNew(f"canary: release {canary.release} has the models of stable")
    since = _since(workspace, canary)
    own, theirs = (_models(manifest, depot.content(manifest)) for manifest in (canary, stable))
    errors = _errors(workspace, own, theirs, since, clock.now())
    return decide(errors, (canary.release, stable.release), since, needed)


def act(workspace: Workspace, trial: Trial, clock: Clock) -> int | None:
    """Do what a trial came to, and write it down.

    Returns:
        The release that was published on stable (promoted) or canary (halted); None = wait.

    Raises:
        TryLater: Another release was published meanwhile.
        Refused: A signing key is not on this machine.
    """
    live = releases.open_depot(workspace, clock).live()
    for channel, number in ((CANARY, trial.canary), (STABLE, trial.stable)):
        if channel not in live or live[channel].manifest.release != number:
            raise TryLater(f"canary: {channel} changed while it was judged: run it again")
    workspace.records.write(
        f"state/canary/{trial.canary}.json",
        msgspec.json.format(msgspec.json.encode(trial), indent=1),
    )
    why = "; ".join(trial.reasons)
    if trial.outcome == "promote":
        return releases.carry(
            workspace, live[CANARY].manifest, STABLE, f"canary {trial.canary}: {why}", clock
        )
    if trial.outcome == "halt":
        return releases.rollback(
            workspace, trial.stable, f"canary {trial.canary} halted: {why}", clock, channel=CANARY
        )
    return None


def _errors(
    workspace: Workspace,
    canary: ReleaseModels,
    stable: ReleaseModels,
    since: datetime,
    now: datetime,
) -> dict[str, DailyErrors]:
    series = [_series(workspace, models, canary, since, now) for models in (canary, stable)]
    pairs = scoring_pairs(series[0], since, now, SCORED_LEADS) if series[0] else None
    if pairs is None or len(pairs) == 0:
        return {}
    own, theirs = (
        hindcast(models, gather(hours, pairs), pairs.leads)
        for models, hours in zip((canary, stable), series, strict=True)
    )
    korea = korean_clock(times(series[0], pairs)).dt.date()
    days = (korea - korea.min()).dt.total_days().to_numpy().astype(np.intp)
    return {
        target: daily_errors(
            own[target].values,
            theirs[target].values,
            truth(series[0], pairs, target),
            pairs,
            days,
        )
        for target in TARGETS
    }


def _series(
    workspace: Workspace,
    models: ReleaseModels,
    canary: ReleaseModels,
    since: datetime,
    now: datetime,
) -> Sequence[StationSeries]:
    """Stations of the canary with hours, each on the normals of `models`."""
    start = since - timedelta(hours=WARM_UP_HOURS)
    owner = f"canary: release {models.manifest.release}"
    frames = {
        number: workspace.lake.observations(number, start, now)
        for number in map(int, canary.manifest.lineage["stations"].split(","))
    }
    return [
        station_series(models.manifest, number, frame, owner)
        for number, frame in frames.items()
        if frame.height
    ]


def _models(manifest: Manifest, files: Mapping[str, bytes]) -> ReleaseModels:
    if manifest.features.digest != features.digest():
        raise BadData(
            f"canary: release {manifest.release} ({manifest.channel}) has other features than "
            "this code and cannot be scored: publish one of this version"
        )
    return ReleaseModels.tried(manifest, files)


def _since(workspace: Workspace, canary: Manifest) -> datetime:
    """First full hour with these models; giving them to more devices begins no new trial."""
    began = canary.created_at
    for entry in reversed(ReleaseLog(workspace.records).entries()):
        if entry.channel != CANARY:
            continue
        # Other corrections for farms are no other models.
        if plain_name(entry.run) != plain_name(canary.lineage.get(RUN, "")):
            break
        began = min(began, entry.at)
    at = datetime.fromisoformat(began).astimezone(UTC)
    return start_of_hour(at) + timedelta(hours=1)


def _hashes(manifest: Manifest) -> dict[str, str]:
    return {target: model.file.sha256 for target, model in manifest.models.items()}
