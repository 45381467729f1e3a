"""The day's work by date: ingest, relay, canary, train, gate, farms, publish. Idempotent.

The logical date D (Korean) stands for what is known when D begins: hours up to 24:00 of the day
before. Each step uses what an earlier, killed run of the same date left. The date's journal is
written last, and a date with a journal is not done again, unless stations were late: a date stays
open until its data are in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from edge_agent.contract.errors import (
    BadData,
    FarmError,
    GateRefused,
    InputMissing,
    NothingNew,
    ProtocolFault,
    Refused,
    TryLater,
    UsageError,
)
from edge_agent.contract.hours import KST, korean_date, korean_midnight
from trainer.depot.publisher import FARMS
from trainer.depot.releases import check_publishable, publish_run, reconcile
from trainer.depot.roles import CANARY
from trainer.evaluation.run_folder import notes
from trainer.gate import canary, drift, gate
from trainer.ingest import newest_day, pipeline
from trainer.ingest.kma_client import KmaClient
from trainer.relay import relay
from trainer.site_corrections.all_farms import CorrectionRequest, correct_farms
from trainer.training import candidate
from trainer.workspace.journal import Journal, Page
from trainer.workspace.runs import content_of
from trainer.workspace.s3_errors import BucketFault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.system.ports import Clock
    from trainer.gate.canary_rules import Outcome
    from trainer.ingest.newest_day import LackingStations
    from trainer.workspace.journal import Drift
    from trainer.workspace.workspace import Workspace


NOON: Final = time(12)
"""Korean time of the logical date until which all of several stations are waited for."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How the caller hears of progress: `step` before each part, `ingest` runs the fetch."""

    step: Callable[[str], None]
    ingest: Callable[[pipeline.Request], pipeline.Summary]


def logical_date(wanted: date | None, clock: Clock) -> date:
    """The date asked for, else today in Korea.

    Raises:
        UsageError: It lies in the future.
    """
    today = korean_date(clock.now())
    if wanted is not None and wanted > today:
        raise UsageError(f"--date {wanted} lies in the future; today is {today} in Korea")
    return wanted or today


def run(workspace: Workspace, when: date, channel: str, clock: Clock, steps: Steps) -> Journal:
    """Do the work of a date.

    Args:
        workspace: Where.
        when: Logical date.
        channel: Where to publish.
        clock: For signatures, and for what KMA has published.
        steps: Progress and ingest.

    Returns:
        What was published. Where it names stations that are `awaited`, the date is still open.

    Raises:
        NothingNew: The date is done; nothing was changed. Or `channel` is the canary's and one is
            on trial.
        GateRefused: The candidate did not pass; recorded, and the date is done.
        TryLater: Observations of the day before are not out yet, KMA does not answer, or another
            process does the day's work for this depot. Of several stations one that has the day
            is enough from noon on; once the others have it, the date is worked again.
        FarmError: See `pipeline.run`, `candidate.train`, `releases.publish_run`. What can be known
            before (too short a record, no key, no room) is raised before the training.
    """
    with workspace.day_lock():
        return _work(workspace, when, channel, clock, steps)


def _work(workspace: Workspace, when: date, channel: str, clock: Clock, steps: Steps) -> Journal:
    page = Page(workspace.records, when)
    done = page.done()
    if done is not None and not done.awaited:
        raise NothingNew(f"{when}: done already ({done.outcome()})")
    steps.step("ingest")
    lacking = _fetch(workspace, when, clock, steps)
    if done is not None:
        _check_come(done, lacking.all)
    journal = Journal(str(when), run="", laggards=lacking.all, awaited=lacking.late)
    steps.step("relay")
    _relay(workspace, clock, steps)
    steps.step("canary")
    outcome, words = _try_canary(workspace, clock, steps)
    journal = replace(journal, canary=words)
    if channel == CANARY and outcome == "wait":
        # A canary that is replaced every day never reaches its number of days.
        page.write(journal)
        raise NothingNew(f"{when}: nothing is trained for {CANARY} while one is on trial: {words}")
    steps.step("drift")
    journal = replace(journal, drift=_drift(workspace, channel, when, clock, steps))
    champion = gate.champion_of(workspace, channel, clock)
    check_publishable(workspace, clock)
    folder = candidate.train(
        workspace,
        korean_midnight(when),
        champion=champion,
        progress=steps.step,
        judge=partial(gate.check_length, champion),
    )
    journal = replace(journal, run=folder.name, notes=notes(content_of(folder)[0].lineage))
    if champion is not None and gate.stems_from(champion, folder):
        # A killed run of this date published and did not write its journal.
        reconcile(workspace, clock)
        farms = champion.lineage.get(FARMS, "")
        journal = replace(journal, release=champion.release, farms=farms)
        page.write(journal)
        return journal
    steps.step("gate")
    try:
        winner = gate.decide(workspace, folder, channel, clock)
        journal = replace(journal, notes=notes(content_of(winner)[0].lineage))
        steps.step("farms")
        winner, summary = _correct(
            workspace, winner, channel, korean_midnight(when), clock, step=steps.step
        )
        journal = replace(journal, farms=summary)
        steps.step("sign and publish")
        release = publish_run(workspace, winner, channel, f"daily {when}", clock)
    except GateRefused as refusal:
        page.write(replace(journal, refused=str(refusal)))
        raise
    except NothingNew:
        live = gate.champion_of(workspace, channel, clock)
        page.write(replace(journal, release=live.release if live else None))
        raise
    journal = replace(journal, release=release)
    page.write(journal)
    return journal


def _correct(
    workspace: Workspace,
    winner: Path,
    channel: str,
    until: datetime,
    clock: Clock,
    *,
    step: Callable[[str], None],
) -> tuple[Path, str]:
    """The run with corrections for the farms of the lake, and what became of them."""
    try:
        request = CorrectionRequest(winner, channel, until)
        corrected = correct_farms(workspace, request, clock, progress=step)
    except BucketFault:
        # The date stays open, and its next run goes on here.
        raise
    except FarmError as fault:
        # The day's own release does not depend on it, and old corrections fit no new model.
        summary = f"none is corrected in this release: {fault}"
        step(f"farms: {summary}")
        return winner, summary
    outcome = corrected.outcome
    if not outcome.tried and not outcome.lost:
        return winner, ""
    step(f"farms: {outcome.text()}")
    return corrected.folder, outcome.text()


def _fetch(workspace: Workspace, when: date, clock: Clock, steps: Steps) -> LackingStations:
    """Ingest up to the day before; the stations that lack it, where the others may go on.

    Raises:
        TryLater, ProtocolFault: Something is incomplete, and it is not noon yet or no station has
            the day.
    """
    request = pipeline.request(workspace, clock, last=when - timedelta(days=1))
    fault = _ingest(request, steps)
    now = clock.now()
    lacking = newest_day.lacking(workspace.lake, request, now, answered=fault is None)
    early = now < datetime.combine(when, NOON, KST)
    if fault is not None and (early or len(request.stations) == 1):
        raise fault
    if lacking.all and (early or len(lacking.all) == len(request.stations)):
        raise fault or TryLater(
            f"{when}: KMA does not have {request.last} (KST) of {_numbers(lacking.all)} yet: "
            "nothing is trained, and the date stays open: run it again later"
        )
    if fault is not None:
        steps.step(f"ingest: {fault}")
    if lacking.all:
        steps.step(f"ingest: going on without the newest day of {_numbers(lacking.all)}")
    return lacking


def _ingest(request: pipeline.Request, steps: Steps) -> TryLater | ProtocolFault | None:
    """Fetch; the fault after which the other stations' hours were kept, if any."""
    try:
        steps.ingest(request).check()
    except NothingNew as reason:
        steps.step(f"ingest: {reason}")
    except (TryLater, ProtocolFault) as fault:
        return fault
    return None


def _check_come(done: Journal, lacking: tuple[int, ...]) -> None:
    """Raise `TryLater` unless every station has come that the date's work was done without."""
    still = tuple(station for station in done.awaited if station in lacking)
    if still:
        raise TryLater(done.still_open(still))


def _numbers(stations: tuple[int, ...]) -> str:
    return ", ".join(map(str, stations))


def _relay(workspace: Workspace, clock: Clock, steps: Steps) -> None:
    """Send the newest hours to the farms first: their rules use them without a new model."""
    try:
        fault = relay(KmaClient(workspace, clock)).fault
    except (Refused, InputMissing) as reason:
        # Another machine has the relay's keys, or there is nothing to relay yet.
        fault = reason
    if fault is not None:
        steps.step(f"relay: {fault}")


def _drift(
    workspace: Workspace, channel: str, when: date, clock: Clock, steps: Steps
) -> tuple[Drift, ...]:
    """Verified error of what is live; an alarm is reported; the training follows."""
    until = korean_midnight(when)
    try:
        drifts = drift.verify(workspace, channel, until, clock)
    except (BadData, InputMissing) as fault:
        # The day's own release does not depend on it.
        steps.step(f"drift: not judged: {fault}")
        return ()
    for entry in drifts:
        if entry.alarm:
            steps.step(f"drift ALARM: {drift.text(entry)}")
    return drifts


def _try_canary(workspace: Workspace, clock: Clock, steps: Steps) -> tuple[Outcome | None, str]:
    """Go on with the canary's trial; its outcome, and that in words."""
    try:
        trial = canary.assess(workspace, clock)
        number = canary.act(workspace, trial, clock)
    except NothingNew:
        return None, ""
    except (BadData, InputMissing, Refused, TryLater) as fault:
        # The day's own release does not depend on it.
        steps.step(f"canary: {fault}")
        return None, str(fault)
    outcomes = {
        "wait": "waits",
        "promote": f"is stable as {number}",
        "halt": f"is halted by {number}",
    }
    text = f"canary {trial.canary} {outcomes[trial.outcome]}: {'; '.join(trial.reasons)}"
    steps.step(text)
    return trial.outcome, text
