"""Corrections for single farms: tried for every farm of the lake, and put into a release.

    runs/<run>-with-farms-<digest>/   a run with shards of corrections, to be published

The digest is that of the shards. What the gate decided of each farm: see `outcomes`.
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
from trainer.site_corrections.farm_history import SharedModels
from trainer.site_corrections.one_farm import FarmResult, correct_farm
from trainer.workspace.farms import farm, farm_ids
from trainer.workspace.parallel import each_of
from trainer.workspace.runs import WITH_FARMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edge_agent.contract.site_correction import Tuning
    from edge_agent.system.ports import Clock
    from trainer.gate.composed_run import Run
    from trainer.site_corrections.outcomes import CorrectionSummary
    from trainer.workspace.places import FarmId
    from trainer.workspace.workspace import Workspace

CHANNEL: Final = "farms"
"""Under which attempts are counted, however many farms are tried."""

_REPORTED: Final = 100
"""Farms between two reports of progress."""


@dataclass(frozen=True, slots=True)
class CorrectionRequest:
    """What is to be corrected.

    Attributes:
        folder: Run without corrections.
        channel: Whose live corrections count where a farm is not tried or cannot be judged; those
            of other models never do.
        until: Newest hour that counts, UTC.
        only: Farms to try; all where empty.
        write: Whether run, decisions and attempt are written.
    """

    folder: Path
    channel: str
    until: datetime
    only: tuple[FarmId, ...] = ()
    write: bool = True


@dataclass(frozen=True, slots=True)
class CorrectedRun:
    """A run with its farms' corrections.

    Attributes:
        folder: Run to publish; the run itself where no farm is corrected.
        outcome: What became of the farms.
    """

    folder: Path
    outcome: CorrectionSummary


def correct_farms(
    workspace: Workspace,
    request: CorrectionRequest,
    clock: Clock,
    *,
    progress: Callable[[str], None],
) -> CorrectedRun:
    """Try to correct a run's models for the farms of the lake.

    The same run, hours and corrections that are live give the same bytes.

    Args:
        workspace: Lake, runs and depot.
        request: Run, farms and hours.
        clock: For the log of attempts.
        progress: Told how far it is.

    Raises:
        InputMissing: No such run or farm.
        BadData: The run is damaged, or of other features than this code computes.
        TryLater: See `parallel.each_of`.
    """
    run, until = gate.load(request.folder), request.until
    farms = tuple(farm(workspace.lake, name).id for name in request.only) or farm_ids(
        workspace.lake
    )
    number = _count(workspace, run, until, clock) if request.write and farms else 1
    shared = shared_models(workspace, run, farm_terms(run, until, number), until)
    live = live_corrections(workspace, request.channel, clock)
    fitting = shard_files.fitting(live, run.manifest)
    corrected = dict(fitting) if request.only else {}
    record = outcomes.Record()
    for done, result in enumerate(_results(shared, farms), start=1):
        record.add(result)
        corrected.pop(result.farm, None)
        correction = result.tuning if result.decision else fitting.get(result.farm)
        if correction is not None:
            corrected[result.farm] = correction
        if done % _REPORTED == 0:
            progress(f"farms: {done} of {len(farms)}")
    outcome = record.outcome(tuple(sorted(live.keys() - corrected.keys())))
    folder = request.folder
    if request.write and corrected:
        folder = _compose(workspace, run, corrected, outcome)
    if request.write and farms:
        workspace.run_store.add(folder.name, outcomes.NAME, record.content())
    return CorrectedRun(folder, outcome)


def _results(shared: SharedModels, farms: Sequence[FarmId]) -> Iterator[FarmResult]:
    if farms:
        with each_of(shared.workspace.config.compute) as each:
            yield from each(partial(correct_farm, shared), farms)


def live_corrections(workspace: Workspace, channel: str, clock: Clock) -> dict[str, Tuning]:
    """Corrections of a channel's live release by farm.

    Raises:
        InputMissing, BadData: A file of it is gone or damaged.
    """
    depot = open_depot(workspace, clock)
    live = depot.live().get(channel)
    if live is None or not live.manifest.tuned:
        return {}
    return shard_files.unpack(live.manifest, depot.content(live.manifest))


def recompute(workspace: Workspace, folder: Path, farm_id: FarmId) -> tuple[FarmResult, FarmResult]:
    """The recorded result of a farm, and the one that follows from its hours in the lake now.

    Args:
        workspace: Lake and runs.
        folder: Run with a record.
        farm_id: One of its farms.

    Raises:
        InputMissing: The run has no record of the farm.
        BadData: The record is damaged.
    """
    content = workspace.run_store.read(folder.name, outcomes.NAME)
    for result in outcomes.read(content) if content else ():
        if result.farm == str(farm_id) and result.decision is not None:
            until = datetime.fromisoformat(result.until)
            shared = shared_models(workspace, gate.load(folder), result.decision.terms, until)
            return result, correct_farm(shared, farm_id)
    raise InputMissing(f"{folder.name}: {farm_id} was not judged with it")


def shared_models(workspace: Workspace, run: Run, terms: Terms, until: datetime) -> SharedModels:
    """A run's models with what every farm's correction needs."""
    files = {ref.file.path: run.files[ref.file.path] for ref in run.manifest.models.values()}
    return SharedModels(workspace, run.manifest, files, run.metrics.damped, terms, until)


def farm_terms(run: Run, until: datetime, number: int) -> Terms:
    """The gate's terms without the farm's name and its holdout.

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
    """Number of this attempt; attempts differ by their recipe, not by their day.

    Each day's decision takes the place of the one before, so at any time a farm has one chance to
    be called better by luck.
    """
    recipe = {key: run.manifest.lineage.get(key, "") for key in gate.RECIPE}
    content = msgspec.json.encode([recipe, regression.PARAMETERS], order="deterministic")
    name = f"recipe-{sha256(content).hexdigest()[:12]}"
    at = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    return count(workspace.records, Attempt(at, CHANNEL, quarter_of(until), name, champion=0))


def _compose(
    workspace: Workspace, run: Run, corrected: Mapping[str, Tuning], outcome: CorrectionSummary
) -> Path:
    """The run with corrections, in a folder of its own."""
    refs, shards = shard_files.pack(corrected)
    digest = sha256("".join(ref.sha256 for ref in refs).encode()).hexdigest()
    name = f"{run.folder.name}{WITH_FARMS}{digest[:12]}"
    runs = workspace.run_store
    folder = runs.folder(name)
    if not (folder / run_folder.MANIFEST).exists():
        counts = f"{len(corrected)} corrected; {outcome.counts()}"
        lineage = {**run.manifest.lineage, FARMS: counts}
        composed = msgspec.structs.replace(run.manifest, tuned=refs, lineage=lineage)
        run_folder.write(folder, composed, {**run.files, **shards}, run.metrics)
    return runs.folder(name)
