"""New corrections for the farms of what is live: the same models, a new release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.contract.errors import BadData, InputMissing, NothingNew
from edge_agent.contract.hours import start_of_hour
from trainer.depot.publisher import RUN
from trainer.depot.releases import publish_run
from trainer.gate import gate
from trainer.site_corrections.all_farms import tune
from trainer.workspace.farms import farm_ids
from trainer.workspace.runs import plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest
    from edge_agent.system.ports import Clock
    from trainer.site_corrections.outcomes import Outcome
    from trainer.workspace.places import FarmId
    from trainer.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Retuned:
    """What came of it; `release` is None where nothing was to be published."""

    release: int | None
    outcome: Outcome


def retune(
    workspace: Workspace,
    channel: str,
    clock: Clock,
    *,
    only: Iterable[FarmId] = (),
    publish: bool = True,
    progress: Callable[[str], None],
) -> Retuned:
    """Try the farms of the lake under a channel's live models, and publish what came of it.

    Args:
        workspace: Lake, runs and depot.
        channel: Whose live release.
        clock: Hours up to its full one count.
        only: Farms to try; the others keep what they have. All where empty.
        publish: False = only look: nothing is written, and it counts as no attempt.
        progress: Told how far it is.

    Raises:
        NothingNew: The release has these corrections, or there is no farm.
        InputMissing: Nothing is live, its run is not here, or there is no such farm.
        BadData: The run is damaged or not that of the live models.
        Refused: A signing key is not on this machine.
        TryLater: The day's work is being done, or see `parallel.each_of`.
    """
    with workspace.day_lock():
        live = gate.champion_of(workspace, channel, clock)
        if live is None:
            raise InputMissing(f"channel {channel} has no release; publish one with `promote`")
        if not (live.tuned or farm_ids(workspace.lake)):
            raise NothingNew(
                "the lake has no farm to correct for: bring hours in with `trainer farm import` "
                "or `trainer farm collect`"
            )
        folder = _run_of(workspace, live)
        until = start_of_hour(clock.now())
        tuned = tune(
            workspace,
            folder,
            channel,
            until,
            clock,
            only=only,
            progress=progress,
            kept=publish,
        )
        if not publish:
            return Retuned(None, tuned.outcome)
        # Every device is told the reason: it names no farm.
        reason = f"farms: {tuned.outcome.counts()}"
        number = publish_run(workspace, tuned.folder, channel, reason, clock, rollout=live.rollout)
        return Retuned(number, tuned.outcome)


def _run_of(workspace: Workspace, live: Manifest) -> Path:
    """The run with the live models and without corrections."""
    name = plain_name(live.lineage.get(RUN, ""))
    folder = workspace.run_store.folder(name)
    if gate.load(folder).manifest.models != live.models:
        raise BadData(f"{name}: not the models of release {live.release}")
    return folder
