"""New corrections for the farms of what is live: the same models, a new release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.contract.errors import BadData, InputMissing, NothingNew
from edge_agent.contract.hours import start_of_hour
from trainer.depot.publisher import RUN
from trainer.depot.releases import publish_run
from trainer.gate import gate
from trainer.site_corrections.all_farms import CorrectionRequest, correct_farms
from trainer.workspace.farms import farm_ids
from trainer.workspace.runs import plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest
    from edge_agent.system.ports import Clock
    from trainer.site_corrections.outcomes import CorrectionSummary
    from trainer.workspace.places import FarmId
    from trainer.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Republished:
    """The new release, None where nothing was to be published, and what became of the farms."""

    release: int | None
    outcome: CorrectionSummary


def republish(
    workspace: Workspace,
    channel: str,
    clock: Clock,
    *,
    only: Iterable[FarmId] = (),
    publish: bool = True,
    progress: Callable[[str], None],
) -> Republished:
    """Fit corrections of a channel's live models for the farms of the lake, and publish them.

    Args:
        workspace: Lake, runs and depot.
        channel: Whose live release.
        clock: Hours up to its full one count.
        only: Farms to try; the others keep what they have. All where empty.
        publish: False = nothing is written, and it counts as no attempt.
        progress: Told how far it is.

    Raises:
        NothingNew: The release has these corrections, or there is no farm.
        InputMissing: Nothing is live, its run is not here, or there is no such farm.
        BadData: The run is damaged or not that of the live models.
        Refused: A signing key is not on this machine.
        TryLater: The day's work is being done, or see `parallel.each_of`.
    """
    with workspace.day_lock():
        live = _live(workspace, channel, clock)
        request = CorrectionRequest(
            _run_of(workspace, live),
            channel,
            until=start_of_hour(clock.now()),
            only=tuple(only),
            write=publish,
        )
        corrected = correct_farms(workspace, request, clock, progress=progress)
        if not publish:
            return Republished(None, corrected.outcome)
        # Every device gets the reason, so it names no farm.
        reason = f"farms: {corrected.outcome.counts()}"
        release = publish_run(
            workspace, corrected.folder, channel, reason, clock, rollout=live.rollout
        )
        return Republished(release, corrected.outcome)


def _live(workspace: Workspace, channel: str, clock: Clock) -> Manifest:
    """What is live, where there is any farm to correct it for."""
    live = gate.champion_of(workspace, channel, clock)
    if live is None:
        raise InputMissing(f"channel {channel} has no release; publish one with `promote`")
    if not (live.tuned or farm_ids(workspace.lake)):
        raise NothingNew(
            "the lake has no farm to correct for: bring hours in with `trainer farm import` "
            "or `trainer farm collect`"
        )
    return live


def _run_of(workspace: Workspace, live: Manifest) -> Path:
    """The run with the live models and without corrections."""
    name = plain_name(live.lineage.get(RUN, ""))
    folder = workspace.run_store.folder(name)
    if gate.load(folder).manifest.models != live.models:
        raise BadData(f"{name}: not the models of release {live.release}")
    return folder
