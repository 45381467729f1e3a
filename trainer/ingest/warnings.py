"""The warning source: KMA's bulletins about official warnings, of the whole country.

KMA gives the bulletins of 60 days, which is longer than a warning stands. The first run asks for
all of these days; later ones for the days since the last run that was answered in full. A day is
asked for again in the first hours of the next one, since rows may appear late.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from edge_agent.contract.errors import FarmError, NothingNew, UsageError
from edge_agent.contract.hours import korean_date
from trainer.ingest.source import RequestPlan, silent
from trainer.ingest.sources import hub_warnings
from trainer.ingest.sources import warnings as service_warnings
from trainer.ingest.warning_archive import WarningArchive
from trainer.workspace.kma_sources import HUB, WARNING
from trainer.workspace.raw import SEVERAL, pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from edge_agent.contract.official_warnings import OfficialWarning
    from trainer.ingest.kma_client import KmaClient
    from trainer.ingest.source import Selection, ShowProgress
    from trainer.ingest.sources.http import Reply, Service
    from trainer.workspace.lake import Lake
    from trainer.workspace.raw import RawStore

IN_FORCE: Final = "warning-now"
"""Folder of the hub's answers."""
DAYS: Final = 60
"""Days that KMA still has."""
_LATE: Final = timedelta(hours=3)
"""How long after its day a row may appear."""


@dataclass(frozen=True, slots=True)
class WarningResult:
    """What a run brought.

    Attributes:
        days: Days that were answered.
        added: Rows of bulletins that are new.
        fault: Why a day was not answered, or None.
    """

    days: int
    added: int
    fault: FarmError | None = None

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {"days": self.days, "added": self.added}

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"warning: {self.added} new rows of bulletins from {self.days} days"

    def check(self) -> None:
        """Raise the fault, or `NothingNew` where no bulletin was new."""
        if self.fault is not None:
            raise self.fault
        if not self.added:
            raise NothingNew("the lake has every bulletin of KMA's warnings")


def plan(client: KmaClient, selection: Selection) -> RequestPlan:
    """See `source.SourceModule`."""
    return RequestPlan(len(_days(client, selection)))


def fetch(client: KmaClient, selection: Selection, show: ShowProgress = silent) -> WarningResult:
    """See `source.SourceModule`: every bulletin that may be new. Oldest day first.

    A day that is not answered ends the run: the bulletins behind it could not be told apart from
    the newest, so the next run begins there.
    """
    workspace, added, answered = client.workspace, 0, 0
    with workspace.warnings_lock(), client.connect(WARNING) as service:
        days, now = _days(client, selection), client.clock.now()
        archive = WarningArchive(workspace.store)
        with show(WARNING.name, len(days)) as progress:
            for day in days:
                try:
                    added += _ask(client, service, archive, day)
                except FarmError as fault:
                    return WarningResult(answered, added, fault)
                answered += 1
                progress.advance(f"{day}")
        archive.note_asked(now)
    return WarningResult(answered, added)


def rebuild(raw: RawStore, lake: Lake) -> int:
    """See `source.SourceModule`. Bulletins go into the archive beside the lake."""
    archive, read = WarningArchive(lake.store), 0
    for _, answer, body in raw.since(WARNING.name, SEVERAL, 0):
        archive.append(service_warnings.parse(body, answer.status))
        read += 1
    return read


def in_force(client: KmaClient) -> tuple[OfficialWarning, ...]:
    """What the API hub says is in force now; an answer that says something new is kept.

    Raises:
        ConfigError: There is no key of the hub.
        FarmError: It cannot be read.
    """
    workspace = client.workspace
    with workspace.warnings_lock(), client.connect(HUB) as service:
        reply = service.ask(hub_warnings.QUERY, hub_warnings.parse, path=hub_warnings.PATH)
        _keep(client, IN_FORCE, hub_warnings.QUERY, "now", reply)
        return reply.value


def oldest(now: datetime) -> datetime:
    """Issue of the oldest bulletin that counts at a time."""
    return now - timedelta(days=DAYS)


def _days(client: KmaClient, selection: Selection) -> list[date]:
    """Days in Korea to ask for, oldest first."""
    if selection.first or selection.last:
        raise UsageError("--from and --to are not for warning: KMA keeps bulletins for 60 days")
    now = client.clock.now()
    today = korean_date(now)
    first = today - timedelta(days=DAYS)
    asked = WarningArchive(client.workspace.store).asked_until()
    if asked is not None and asked <= now:
        first = max(first, korean_date(asked - _LATE))
    return [first + timedelta(days=number) for number in range((today - first).days + 1)]


def _ask(client: KmaClient, service: Service, archive: WarningArchive, day: date) -> int:
    """Rows added by the bulletins of a day; an answer that says something new is kept."""
    query = service_warnings.query(day)
    reply = service.ask(query, service_warnings.parse, path=service_warnings.OPERATION)
    if not reply.value.height:
        return 0
    _keep(client, WARNING.name, query, f"{day:%Y%m%d}", reply)
    return archive.append(reply.value)


def _keep(
    client: KmaClient, folder: str, query: dict[str, str], label: str, reply: Reply[Any]
) -> None:
    """Keep an answer, unless the last one of that label was the same."""
    raw = client.workspace.raw
    earlier = [name for _, name in raw.names(folder, SEVERAL) if name.endswith(f"_{label}.gz")]
    digest = hashlib.sha256(reply.body).hexdigest()
    if not earlier or raw.read(earlier[-1])[0].sha256 != digest:
        packed = pack(query, reply.body, client.clock.now(), reply.status)
        raw.keep(folder, SEVERAL, raw.next_number(folder, SEVERAL), label, packed)
