"""Newest hourly observations -> the depot's observations role, for farms without a sensor.

With a key of the API hub the lake is brought up to the running hour first; without one, what the
lake has is passed on. A hub that is down does not keep the lake's hours from the farms.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.quality import KEPT
from edge_agent.contract.schema import OBSERVED, TIME, flag_column
from edge_agent.errors import FarmError, InputMissing
from trainer import parquet, secrets
from trainer.access import open_service
from trainer.config import HUB_KEY
from trainer.lake import Merge
from trainer.raw_store import pack
from trainer.release import open_depot
from trainer.sources import hub, kma
from trainer.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from edge_agent.ports import Clock
    from trainer.sources.http import Service
    from trainer.workspace import Workspace

_OVERLAP: Final = timedelta(hours=6)
"""Asked for again at each run: winter rain is summed over 3 hours, and late values come in."""

_SEVERAL: Final = 0
"""Station number under which raw answers that hold several stations are kept."""


@dataclass(frozen=True, slots=True)
class Relay:
    """What a relay did.

    Attributes:
        newest: Newest hour passed on, by station; a station without observations is not in it.
        added: Hours that the hub brought.
        published: Whether anything was new.
        fault: Why the hub could not be read, or None.
    """

    newest: Mapping[int, datetime]
    added: int
    published: bool
    fault: FarmError | None


def bundle(frame: pl.DataFrame) -> bytes:
    """Rows of the lake as the Parquet that agents read.

    Args:
        frame: `time`, quantities and flags, ascending.

    Returns:
        `time` and every quantity; what is flagged as not to be used is null. Equal rows give equal
        bytes.
    """
    chosen = frame.select(
        TIME,
        *(
            pl.when(pl.col(flag_column(name)).is_in(KEPT)).then(pl.col(name)).alias(name)
            for name in OBSERVED
        ),
    )
    return parquet.encode(chosen)


def relay(
    workspace: Workspace,
    clock: Clock,
    *,
    stations: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Relay:
    """Bring the lake up to the hour where there is a hub key, and publish each station's newest.

    Args:
        workspace: Lake, depot, keys and settings; `[depot] relay_days` is how far back to go.
        clock: Tells the hour.
        stations: Default: those of the settings.
        env: Environment with the key; the process's own where None.
        sleep: Waits between requests and repeats.
        transport: Stand-in for the network (tests).

    Raises:
        UsageError: Not a station.
        InputMissing: The lake has no observation of any of the stations.
        ConfigError, StorageError: The settings or the lake.
        Refused: This machine has not the keys to publish observations.
    """
    chosen = tuple(dict.fromkeys(stations or workspace.config.stations))
    for number in chosen:
        station_of(number)
    now = clock.now()
    key = _hub_key(workspace, os.environ if env is None else env)
    merge, fault = Merge(), None
    if key is not None:
        url = workspace.config.kma.hub_url
        with open_service(
            workspace,
            clock,
            name=hub.NAME,
            url=url,
            key_field=hub.KEY_FIELD,
            key=key,
            sleep=sleep,
            transport=transport,
        ) as service:
            try:
                with workspace.lake_lock():
                    merge = _catch_up(workspace, service, chosen, now)
            except FarmError as problem:
                fault = problem
    bundles, newest = _bundles(workspace, chosen, now)
    if not bundles:
        if fault is not None:
            raise fault
        raise InputMissing(
            f"lake: no observations of {', '.join(map(str, chosen))}: run `trainer ingest`, or set "
            f"{HUB_KEY} to relay from the API hub"
        )
    published = open_depot(workspace, clock).publish_bundles(bundles)
    return Relay(newest, merge.added, published, fault)


def _hub_key(workspace: Workspace, env: Mapping[str, str]) -> str | None:
    """The hub's key, or None where nobody set one."""
    file = workspace.config.kma.hub_key_file
    credential = Path(env.get("CREDENTIALS_DIRECTORY", "")) / HUB_KEY.lower()
    if not (env.get(HUB_KEY) or file or credential.is_file()):
        return None
    return secrets.kma_key(HUB_KEY, file, env, workspace.root)


def _catch_up(
    workspace: Workspace, service: Service, stations: Sequence[int], now: datetime
) -> Merge:
    """Ask the hub for the hours since each lake's newest, and merge them."""
    lake, raw = workspace.lake, workspace.raw
    oldest = now - timedelta(days=workspace.config.depot.relay_days)
    hour = now.replace(minute=0, second=0, microsecond=0)
    groups: dict[datetime, list[int]] = {}
    for number in stations:
        times = lake.observations(number, oldest, now)[TIME]
        last = times[-1] if len(times) else oldest.replace(minute=0, second=0, microsecond=0)
        groups.setdefault(max(oldest, last - _OVERLAP), []).append(number)
    done = Merge()
    mark = max((number for number, _ in raw.names(hub.NAME, _SEVERAL)), default=0)
    for start, group in sorted(groups.items()):
        for asked, reply in hub.fetch(service, group, start, hour):
            mark += 1
            raw.keep(
                hub.NAME,
                _SEVERAL,
                mark,
                f"{asked['tm1']}-{asked['tm2']}",
                pack(asked, reply.body, now, reply.status),
            )
            for (number,), rows in reply.value.partition_by(
                hub.STATION_FIELD, as_dict=True
            ).items():
                frame = kma.tidy(rows, station_of(int(number)).site)
                done += lake.merge(int(number), frame, hub.NAME, now)
    return done


def _bundles(
    workspace: Workspace, stations: Sequence[int], now: datetime
) -> tuple[dict[int, bytes], dict[int, datetime]]:
    """Bundle and newest hour of each station that has observations."""
    bundles, newest = {}, {}
    span = timedelta(days=workspace.config.depot.relay_days)
    for number in stations:
        last = _newest(workspace, number, now)
        if last is not None:
            # Reckoned from the newest hour, so that an old lake still tells what it knows.
            bundles[number] = bundle(workspace.lake.observations(number, last - span, last))
            newest[number] = last
    return bundles, newest


def _newest(workspace: Workspace, station: int, now: datetime) -> datetime | None:
    hours = workspace.lake.hours(station)
    known = hours[hours <= now.timestamp() // 3600]
    return datetime.fromtimestamp(int(known[-1]) * 3600, UTC) if len(known) else None
