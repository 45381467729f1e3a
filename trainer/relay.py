"""Newest hourly observations -> the depot's observations role, for farms without a sensor.

With a key of the API hub the lake is brought up to the running hour first; without one, what the
lake has is passed on. A hub that is down does not keep the lake's hours from the farms.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from edge_agent.contract.quality import KEPT
from edge_agent.contract.schema import OBSERVED, TIME, flag_column
from edge_agent.errors import FarmError, InputMissing
from trainer import parquet
from trainer.config import HUB_KEY
from trainer.lake import Merge
from trainer.near_time import catch_up, hub_key
from trainer.release import open_depot
from trainer.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from edge_agent.ports import Clock
    from trainer.workspace import Workspace


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
    key = hub_key(workspace, os.environ if env is None else env)
    merge, fault = Merge(), None
    if key is not None:
        try:
            merge = catch_up(workspace, clock, chosen, key, sleep=sleep, transport=transport)
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
