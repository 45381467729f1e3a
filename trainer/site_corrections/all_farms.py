"""Corrections for single farms: tried for every farm of the lake, and put into a release.

    runs/<run>-with-farms-<digest>/   a run with shards of corrections, to be published

The digest is that of the shards. What the gate decided of each farm: see `tuning_record`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import InputMissing
from trainer.depot.publisher import FARMS
from trainer.depot.releases import open_depot
from trainer.evaluation import run_folder
from trainer.gate import gate
from trainer.gate.attempts import Attempt, alpha_of, count, quarter_of
from trainer.gate.decision import Terms
from trainer.site_corrections import outcomes, regression, shard_files
from trainer.site_corrections.farm_history import Shared
from trainer.site_corrections.one_farm import Tried, attempt
from trainer.workspace.farms import farm, farm_ids
from trainer.workspace.parallel import each_of
from trainer.workspace.runs import WITH_FARMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edge_agent.contract.site_correction import Tuning
    from edge_agent.system.ports import Clock
    from trainer.gate.gate import Run
    from trainer.site_corrections.outcomes import Outcome
    from trainer.workspace.places import FarmId
    from trainer.workspace.workspace import Workspace

CHANNEL: Final = "farms"
"""Under which attempts are counted, however many farms are tried."""

_TOLD: Final = 100
"""Farms between two words on progress."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A run with its farms' corrections.

    Attributes:
        folder: Run to publish; the run itself where no farm is corrected.
        outcome: What became of the farms.
    """

    folder: Path
    outcome: Outcome


def tune(
    workspace: Workspace,
    folder: Path,
    channel: str,
    until: datetime,
    clock: Clock,
    *,
    only: Iterable[FarmId] = (),
    progress: Callable[[str], None],
    kept: bool = True,
) -> Tuned:
    """Try to correct a run's models for the farms of the lake.

    The same run, hours and corrections that are live give the same bytes.

    Args:
        workspace: Lake, runs and depot.
        folder: Run without corrections.
        channel: Whose live corrections count where a farm is not tried or cannot be judged; those
            of other models never do.
        until: Newest hour that counts, UTC.
        clock: For the log of attempts.
        only: Farms to try; all where empty.
        progress: Told how far it is.
        kept: Whether run, decisions and attempt are written; False = only look.

    Raises:
        InputMissing: No such run or farm.
        BadData: The run is damaged, or of other features than this code computes.
        TryLater: See `parallel.each_of`.
    """
    run = gate.load(folder)
    chosen = tuple(farm(workspace.lake, one).id for one in only) or farm_ids(workspace.lake)
    number = _count(workspace, run, until, clock) if kept and chosen else 1
    shared = shared_of(workspace, run, terms_of(run, until, number), until)
    live = live_tunings(workspace, channel, clock)
    held = shard_files.fitting(live, run.manifest)
    corrected = dict(held) if only else {}
    record = outcomes.Record()
    for done, tried in enumerate(_attempts(shared, chosen), start=1):
        record.add(tried)
        corrected.pop(tried.farm, None)
        now = tried.tuning if tried.decision else held.get(tried.farm)
        if now is not None:
            corrected[tried.farm] = now
        if done % _TOLD == 0:
            progress(f"farms: {done} of {len(chosen)}")
    outcome = record.outcome(tuple(sorted(live.keys() - corrected.keys())))
    if not kept:
        return Tuned(folder, outcome)
    made = _compose(workspace, run, corrected, outcome) if corrected else folder
    if chosen:
        workspace.run_store.add(made.name, outcomes.NAME, record.content())
    return Tuned(made, outcome)


def _attempts(shared: Shared, chosen: Sequence[FarmId]) -> Iterator[Tried]:
    if chosen:
        with each_of(shared.workspace.config.compute) as each:
            yield from each(partial(attempt, shared), chosen)


def live_tunings(workspace: Workspace, channel: str, clock: Clock) -> dict[str, Tuning]:
    """Corrections of a channel's live release by farm.

    Raises:
        InputMissing, BadData: A file of it is gone or damaged.
    """
    depot = open_depot(workspace, clock)
    live = depot.live().get(channel)
    if live is None or not live.manifest.tuned:
        return {}
    return shard_files.unpack(live.manifest, depot.content(live.manifest))


def recompute(workspace: Workspace, folder: Path, farm_id: FarmId) -> tuple[Tried, Tried]:
    """What is on record of a farm, and what follows from its hours in the lake now.

    Args:
        workspace: Lake and runs.
        folder: Run with a record.
        farm_id: One of its farms.

    Raises:
        InputMissing: The run has no record of the farm.
        BadData: The record is damaged.
    """
    content = workspace.run_store.read(folder.name, outcomes.NAME)
    for one in outcomes.read(content) if content else ():
        if one.farm == str(farm_id) and one.decision is not None:
            until = datetime.fromisoformat(one.until)
            shared = shared_of(workspace, gate.load(folder), one.decision.terms, until)
            return one, attempt(shared, farm_id)
    raise InputMissing(f"{folder.name}: {farm_id} was not judged with it")


def shared_of(workspace: Workspace, run: Run, terms: Terms, until: datetime) -> Shared:
    """What every farm's attempt on a run needs."""
    models = {ref.file.path: run.files[ref.file.path] for ref in run.manifest.models.values()}
    return Shared(workspace, run.manifest, models, run.metrics.damped, terms, until)


def terms_of(run: Run, until: datetime, number: int) -> Terms:
    """The gate's terms, but for whose they are and where that farm's holdout lies.

    Args:
        run: The shared models.
        until: Newest hour that counts, UTC.
        number: Of the attempt within its quarter.
    """
    lineage = run.manifest.lineage
    return Terms(
        run=run.folder.name,
        channel=CHANNEL,
        champion=0,
        trained_to=lineage[gate.TRAINED_TO],
        embargo_hours=int(lineage["embargo_hours"]),
        holdout_from="",
        holdout_to="",
        quarter=quarter_of(until),
        attempt=number,
        alpha=alpha_of(number),
        same_recipe=False,
        same_normals=True,
        seed=gate.SEED,
        parity={},
    )


def _count(workspace: Workspace, run: Run, until: datetime, clock: Clock) -> int:
    """Number of this attempt: another recipe is another one.

    The same recipe on another day is not: each day's decision takes the place of the one before, so
    at any time a farm has one chance to be called better by luck.
    """
    recipe = {key: run.manifest.lineage.get(key, "") for key in gate.RECIPE}
    content = msgspec.json.encode([recipe, regression.PARAMETERS], order="deterministic")
    name = f"recipe-{sha256(content).hexdigest()[:12]}"
    at = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    made = Attempt(at, CHANNEL, quarter_of(until), name, champion=0)
    return count(workspace.records, made)


def _compose(
    workspace: Workspace, run: Run, corrected: Mapping[str, Tuning], outcome: Outcome
) -> Path:
    """The run with corrections, in a folder of its own."""
    refs, shards = shard_files.pack(corrected)
    digest = sha256("".join(ref.sha256 for ref in refs).encode()).hexdigest()
    name = f"{run.folder.name}{WITH_FARMS}{digest[:12]}"
    runs = workspace.run_store
    folder = runs.folder(name)
    if not (folder / run_folder.MANIFEST).exists():
        told = f"{len(corrected)} corrected; {outcome.counts()}"
        lineage = {**run.manifest.lineage, FARMS: told}
        composed = msgspec.structs.replace(run.manifest, tuned=refs, lineage=lineage)
        run_folder.write(folder, composed, {**run.files, **shards}, run.metrics)
    return runs.folder(name)
