"""The newest hours from KMA's API hub into the lake: what the day's archive does not have yet."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.hours import start_of_hour
from edge_agent.contract.schema import TIME
from trainer.ingest import secrets
from trainer.ingest.kma_client import open_service
from trainer.ingest.sources import hub, kma
from trainer.ingest.sources.http import QuotaSpent
from trainer.workspace.config import HUB_KEY
from trainer.workspace.lake import Merge
from trainer.workspace.raw import SEVERAL, pack
from trainer.workspace.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import httpx

    from edge_agent.system.ports import Clock
    from trainer.ingest.sources.http import Service
    from trainer.workspace.workspace import Workspace

_OVERLAP: Final = timedelta(hours=6)
"""Asked for again at each run: winter rain is summed over 3 hours, and late values come in."""


def hub_key(workspace: Workspace, env: Mapping[str, str]) -> str | None:
    """The hub's key, or None where nobody set one.

    Raises:
        ConfigError: A key file is named and cannot be read.
    """
    file = workspace.config.kma.hub_key_file
    if not secrets.has_key(HUB_KEY, file, env):
        return None
    return secrets.kma_key(HUB_KEY, file, env, workspace.root)


def catch_up(
    workspace: Workspace,
    clock: Clock,
    stations: Sequence[int],
    key: str,
    *,
    span: tuple[datetime, datetime] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Merge:
    """Ask the hub for hours and merge them; what was answered before a fault is kept.

    Args:
        workspace: Lake and settings.
        clock: Tells the hour.
        stations: KMA's numbers.
        key: The hub's key.
        span: First and last hour; by default from each station's newest hour in the lake, at most
            `[depot] relay_days` back, to the running hour.
        sleep: Waits between requests and repeats.
        transport: Stand-in for the network (tests).

    Raises:
        Transient, QuotaSpent, Refused, ProtocolFault: See `sources.hub`.
        TryLater: Another process works on the lake.
        StorageError: The lake cannot be read or written.
    """
    now = clock.now()
    with (
        workspace.lake_lock(),
        open_service(
            workspace,
            clock,
            name=hub.NAME,
            url=workspace.config.kma.hub_url,
            key_field=hub.KEY_FIELD,
            key=key,
            sleep=sleep,
            transport=transport,
        ) as service,
    ):
        done = Merge()
        windows = plan_only(workspace, clock, stations, span)
        for answered, window in enumerate(windows):
            try:
                done += _fetch(workspace, service, window, now)
            except QuotaSpent as fault:
                raise QuotaSpent(
                    f"{fault}; {answered} requests answered and kept, {len(windows) - answered} "
                    "left: run the same command tomorrow (KST)"
                ) from fault
        return done


def plan_only(
    workspace: Workspace,
    clock: Clock,
    stations: Sequence[int],
    span: tuple[datetime, datetime] | None = None,
) -> list[hub.Window]:
    """The requests that `catch_up` would make; asks nothing.

    Raises:
        StorageError: The lake cannot be read.
    """
    groups = _groups(workspace, stations, clock.now(), span)
    return [window for group in groups for window in hub.windows(*group)]


def _groups(
    workspace: Workspace,
    stations: Sequence[int],
    now: datetime,
    span: tuple[datetime, datetime] | None,
) -> Iterable[hub.Window]:
    """Stations, first and last hour that they lack."""
    if span is not None:
        return [(stations, *span)]
    hour = start_of_hour(now)
    oldest = start_of_hour(now - timedelta(days=workspace.config.depot.relay_days))
    groups: dict[datetime, list[int]] = {}
    for number in stations:
        times = workspace.lake.observations(number, oldest, now)[TIME]
        last = times[-1] if len(times) else oldest
        groups.setdefault(max(oldest, last - _OVERLAP), []).append(number)
    return [(group, start, hour) for start, group in sorted(groups.items())]


def _fetch(
    workspace: Workspace,
    service: Service,
    window: hub.Window,
    now: datetime,
) -> Merge:
    lake, raw = workspace.lake, workspace.raw
    mark = max((number for number, _ in raw.names(hub.NAME, SEVERAL)), default=0)
    done = Merge()
    for asked, reply in hub.fetch(service, *window):
        mark += 1
        label = f"{asked['tm1']}-{asked['tm2']}"
        raw.keep(hub.NAME, SEVERAL, mark, label, pack(asked, reply.body, now, reply.status))
        parts = reply.value.partition_by(hub.STATION_FIELD, as_dict=True)
        for (number,), rows in parts.items():
            frame = kma.tidy(rows, station_of(int(number)).site)
            done += lake.merge(int(number), frame, hub.NAME, now)
    return done
