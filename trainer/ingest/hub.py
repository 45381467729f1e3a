"""The API hub source: the newest hours, which the archive of records does not have yet."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import kma_fields
from edge_agent.contract.errors import (
    ConfigError,
    FarmError,
    Refused,
    StorageError,
    UsageError,
)
from edge_agent.contract.hours import KST, korean_midnight, start_of_hour
from edge_agent.contract.schema import OBSERVED, TIME, Flag, flag_column
from edge_agent.contract.stations import station as station_of
from trainer.ingest.source import MergeResult, RequestPlan, silent
from trainer.ingest.sources import hub
from trainer.ingest.sources.http import QuotaSpent
from trainer.workspace.kma_sources import API_HUB, HUB
from trainer.workspace.lake import Merge
from trainer.workspace.raw import SEVERAL, pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trainer.ingest.kma_client import KmaClient
    from trainer.ingest.source import Selection, ShowProgress
    from trainer.ingest.sources.http import Service
    from trainer.workspace.lake import Lake
    from trainer.workspace.raw import RawStore
    from trainer.workspace.workspace import Workspace

_log = logging.getLogger(__name__)

_OVERLAP: Final = timedelta(hours=6)
"""Asked for again at each run: winter rain is summed over 3 hours, and late values come in."""


def plan(client: KmaClient, selection: Selection) -> RequestPlan:
    """See `source.SourceModule`."""
    return RequestPlan(len(_windows(client, *_chosen(client, selection))))


def fetch(client: KmaClient, selection: Selection, show: ShowProgress = silent) -> MergeResult:
    """See `source.SourceModule`."""
    del show
    stations, span = _chosen(client, selection)
    if not client.has_key(API_HUB):
        raise ConfigError(
            f"no key for the API hub: set {API_HUB.variable} (free at apihub.kma.go.kr)"
        )
    return catch_up(client, stations, span)


def bring_up(
    client: KmaClient, stations: tuple[int, ...], farms: tuple[tuple[float, float], ...]
) -> tuple[int, FarmError | None]:
    """See `source.NearRealTime`; the hub has stations only."""
    del farms
    if not client.has_key(API_HUB):
        return 0, None
    result = catch_up(client, stations)
    return result.merge.added, result.fault


def rebuild(raw: RawStore, lake: Lake) -> int:
    """See `source.SourceModule`; each answer may hold several stations."""
    for _, answer, body in raw.since(HUB.name, SEVERAL, 0):
        _merge(lake, _asked_for(hub.read(body, answer.status), answer.query), answer.received)
    return len(raw.names(HUB.name, SEVERAL))


def catch_up(
    client: KmaClient,
    stations: Sequence[int],
    span: tuple[datetime, datetime] | None = None,
) -> MergeResult:
    """Ask the hub for hours and merge them; what was answered beside a fault is kept.

    Args:
        client: Access to KMA; its workspace has the lake.
        stations: KMA's numbers.
        span: First and last hour; by default from each station's newest hour in the lake, at most
            `[depot] relay_days` back, to the running hour.

    Returns:
        What came, and the first fault: of a spent quota or a refused key, which end the run, or
        of a request, beside which the others went on.

    Raises:
        ConfigError: There is no key.
        TryLater: Another process works on the lake.
        StorageError: The lake cannot be read or written.
    """
    workspace, now = client.workspace, client.clock.now()
    merge, answered = Merge(), 0
    first: FarmError | None = None
    with workspace.lake_lock(), client.connect(HUB) as service:
        windows = _windows(client, stations, span)
        for window in windows:
            try:
                merge += _fetch(workspace, service, window, now)
                answered += 1
            except QuotaSpent as fault:
                first = QuotaSpent(
                    f"{fault}; {answered} requests answered and kept, {len(windows) - answered} "
                    "left: run the same command tomorrow (KST)"
                )
                break
            except StorageError:
                raise
            except FarmError as fault:
                first = first or fault
                if isinstance(fault, (ConfigError, Refused)):
                    break
    return MergeResult(HUB.name, merge, "the hub has nothing that the lake lacks", first)


def _chosen(
    client: KmaClient, selection: Selection
) -> tuple[tuple[int, ...], tuple[datetime, datetime] | None]:
    """Stations and span of hours of a selection."""
    stations = tuple(dict.fromkeys(selection.stations or client.workspace.config.stations))
    for number in stations:
        station_of(number)
    first, last = selection.first, selection.last
    if first is None:
        if last is not None:
            raise UsageError("--to needs --from with --source hub")
        return stations, None
    now = client.clock.now()
    end = min(korean_midnight(last) + timedelta(hours=23), now) if last else now
    if korean_midnight(first) > end:
        raise UsageError(f"--from {first} lies behind --to {last or 'now'}")
    return stations, (korean_midnight(first), end)


def _windows(
    client: KmaClient, stations: Sequence[int], span: tuple[datetime, datetime] | None
) -> list[hub.Window]:
    """The requests that bring the hours of `span`, or those that the stations lack."""
    if span is not None:
        return list(hub.windows(stations, *span))
    now = client.clock.now()
    hour = start_of_hour(now)
    oldest = start_of_hour(now - timedelta(days=client.workspace.config.depot.relay_days))
    groups: dict[datetime, list[int]] = {}
    for number in stations:
        times = client.workspace.lake.observations(number, oldest, now)[TIME]
        last = times[-1] if len(times) else oldest
        groups.setdefault(max(oldest, last - _OVERLAP), []).append(number)
    return [
        window
        for start, group in sorted(groups.items())
        for window in hub.windows(group, start, hour)
    ]


def _fetch(workspace: Workspace, service: Service, window: hub.Window, now: datetime) -> Merge:
    raw = workspace.raw
    first = raw.next_number(HUB.name, SEVERAL)
    merge = Merge()
    for number, (query, reply) in enumerate(hub.fetch(service, *window), first):
        label = f"{query['tm1']}-{query['tm2']}"
        packed = pack(query, reply.body, now, reply.status)
        raw.keep(HUB.name, SEVERAL, number, label, packed)
        answer = _asked_for(reply.value, query)
        if answer.left_out:
            _log.warning("API hub: %d rows left out: %s", len(answer.left_out), answer.left_out[0])
        merge += _merge(workspace.lake, answer, now)
    return merge


def _asked_for(answer: hub.HubAnswer, query: Mapping[str, str]) -> hub.HubAnswer:
    return hub.of_stations(answer, [int(number) for number in query["stn"].split(":")])


def _merge(lake: Lake, answer: hub.HubAnswer, when: datetime) -> Merge:
    merge = Merge()
    for (number,), part in answer.rows.partition_by(hub.STATION_FIELD, as_dict=True).items():
        station = int(number)
        frame = kma_fields.tidy(part, station_of(station).site)
        span = frame[TIME][0], frame[TIME][-1]
        unreadable = _unreadable(frame)
        before = _unreadable(lake.observations(station, *span)) if unreadable else set()
        merge += lake.merge(station, frame, HUB.name, when)
        if unreadable - before:
            taken = unreadable & _unreadable(lake.observations(station, *span))
            _tell(station, sorted(taken - before))
    return merge


def _unreadable(frame: pl.DataFrame) -> set[tuple[datetime, str]]:
    """Time and quantity of the values that are flagged as wrong."""
    return {
        (time, name)
        for name in OBSERVED
        for time in frame.filter(pl.col(flag_column(name)) == Flag.SOURCE)[TIME]
    }


def _tell(station: int, values: Sequence[tuple[datetime, str]]) -> None:
    """Warn of values that are no numbers; the lake knows them from now on, so once."""
    if values:
        time, name = values[0]
        _log.warning(
            "API hub: station %d: %d unreadable, left out: %s of %s",
            station,
            len(values),
            name,
            f"{time.astimezone(KST):%Y-%m-%d %H:%M} (KST)",
        )
