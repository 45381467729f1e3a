"""Newest hours and forecasts -> the depot's observations role, for farms.

With a key of the API hub the lake is brought up to the running hour first, and with farms in the
settings and a key of data.go.kr so are their grid cells; without, what the lake has is passed on.
A service that is down does not keep the lake's hours from the farms.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl
from msgspec.structs import replace

from edge_agent.contract import official_warnings
from edge_agent.contract.bundles import (
    GUIDANCE,
    ISSUED,
    VALID,
    cell_path,
    guidance_path,
    station_path,
)
from edge_agent.contract.dfs_grid import Cell
from edge_agent.contract.errors import BadData, FarmError, InputMissing, StorageError
from edge_agent.contract.quality import KEPT
from edge_agent.contract.schema import OBSERVED, TIME, flag_column
from trainer.depot.releases import open_depot
from trainer.ingest import warnings
from trainer.ingest.guidance import Archive
from trainer.ingest.registry import RELAYED
from trainer.ingest.source import Selection
from trainer.ingest.sources import village_table
from trainer.ingest.village import cells_of
from trainer.ingest.warning_archive import WarningArchive
from trainer.ingest.warning_archive import bundle as warnings_of
from trainer.ingest.warning_archive import carried_on as warnings_carried_on
from trainer.workspace import parquet
from trainer.workspace.kma_sources import API_HUB, DATA_PORTAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.contract.official_warnings import WarningBundle
    from trainer.ingest.kma_client import KmaClient
    from trainer.workspace.workspace import Workspace


GUIDANCE_SPAN: Final = timedelta(days=2)
"""Age of the oldest issue that is relayed, before the newest. Farms keep what they have."""
WARNINGS_AGE: Final = timedelta(minutes=30)
"""Age at which an unchanged file of warnings is published anew: farms see that KMA was asked."""
_WARNINGS: Final = "warnings-relayed.json.gz"
"""In the lake: the file of warnings that was published last."""


@dataclass(frozen=True, slots=True)
class Relay:
    """What a relay did.

    Attributes:
        newest: Newest hour passed on, by place; a place without observations is left out.
        guidance: Newest issue passed on, by cell.
        added: Hours that KMA's services brought.
        published: Whether anything was new.
        fault: Why a service could not be read, or None.
    """

    newest: Mapping[int | Cell, datetime]
    guidance: Mapping[Cell, datetime]
    added: int
    published: bool
    fault: FarmError | None


@dataclass(frozen=True, slots=True)
class WarningRelay:
    """What a relay of warnings did.

    Attributes:
        bundle: The warnings, as of KMA's last full answer.
        added: Rows of bulletins that were new.
        published: Whether a new file was published.
        fault: Why KMA's service could not be read, or None.
    """

    bundle: WarningBundle
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


def guidance(frame: pl.DataFrame) -> bytes:
    """Forecasts of the archive as the Parquet that agents read.

    Args:
        frame: Columns of `village_table.COLUMNS`, ascending.

    Returns:
        The columns of `contract.bundles.GUIDANCE`. Equal rows give equal bytes.
    """
    chosen = frame.rename({village_table.ISSUED: ISSUED, village_table.VALID: VALID})
    return parquet.encode(chosen.select(GUIDANCE.names()).cast(GUIDANCE))


def relay(client: KmaClient, stations: Sequence[int] = ()) -> Relay:
    """Bring the lake up to the hour where there are keys, and publish each place's newest.

    Args:
        client: Access to KMA. Its workspace has lake, depot, keys and settings; `[depot]
            relay_days` is how far back to go.
        stations: These and their cells; default: those of the settings, and the farms' cells.

    Raises:
        UsageError: Not a station.
        InputMissing: The lake has no observation of any of the places.
        ConfigError, StorageError: The settings or the lake.
        Refused: This machine has not the keys to publish observations.
    """
    workspace, config = client.workspace, client.workspace.config
    chosen = tuple(dict.fromkeys(stations or config.stations))
    farms = () if stations else config.farms
    places: tuple[int | Cell, ...] = (*chosen, *cells_of(chosen, farms))
    added, faults = _bring_up(client, chosen, farms)
    observed, unread = _observed(workspace, places, client.clock.now())
    faults += unread
    forecasts = _forecasts(workspace, places, client.clock.now())
    if not (observed or forecasts):
        if faults:
            raise faults[0]
        raise InputMissing(
            f"lake: no observations of {', '.join(map(str, chosen))}: run `trainer ingest`, or set "
            f"{API_HUB.variable} to relay from the API hub"
        )
    bundles = {_path(place): content for place, (content, _) in observed.items()}
    bundles |= {guidance_path(cell): content for cell, (content, _) in forecasts.items()}
    return Relay(
        newest={place: newest for place, (_, newest) in observed.items()},
        guidance={cell: newest for cell, (_, newest) in forecasts.items()},
        added=added,
        published=open_depot(workspace, client.clock).publish_bundles(bundles),
        fault=faults[0] if faults else None,
    )


def relay_warnings(client: KmaClient) -> WarningRelay:
    """Ask KMA for its official warnings, and publish them for every farm where they are news.

    The service of data.go.kr is asked first, and the API hub where that cannot be read or has no
    key. An answer that cannot be read leaves what farms have as it is, and it grows old there.

    Raises:
        InputMissing: KMA has never answered in full.
        ConfigError, StorageError: The settings or the lake.
        Refused: This machine has not the keys to publish observations.
    """
    workspace, before = client.workspace, _relayed(client.workspace)
    found, added, fault = _warnings_now(client, before)
    order = sorted(found.warnings, key=official_warnings.order)
    now = replace(found, warnings=tuple(order))
    published = (
        before is None
        or now.as_of - before.as_of >= WARNINGS_AGE
        or now.warnings != before.warnings
    )
    if published:
        content = official_warnings.encode(now)
        open_depot(workspace, client.clock).publish_bundles({official_warnings.PATH: content})
        workspace.store.write(_WARNINGS, content)
    return WarningRelay(now, added, published, fault)


def _warnings_now(
    client: KmaClient, before: WarningBundle | None
) -> tuple[WarningBundle, int, FarmError | None]:
    """The warnings of the first service that answers, new rows of bulletins, and a fault."""
    archive, added, fault = WarningArchive(client.workspace.store), 0, None
    hub = client.has_key(API_HUB)
    if client.has_key(DATA_PORTAL) or not hub:
        result = warnings.fetch(client, Selection())
        added, fault = result.added, result.fault
    if hub and (fault is not None or not client.has_key(DATA_PORTAL)):
        try:
            listed = warnings.in_force(client)
            return warnings_carried_on(listed, before, client.clock.now()), added, fault
        except StorageError:
            raise
        except FarmError as problem:
            fault = fault or problem
    as_of = archive.asked_until()
    if before is not None and (as_of is None or as_of < before.as_of):
        return before, added, fault
    if as_of is None:
        raise fault or InputMissing("lake: KMA's warnings were never asked for")
    return warnings_of(archive.since(warnings.oldest(as_of)), as_of), added, fault


def _relayed(workspace: Workspace) -> WarningBundle | None:
    """The warnings that were published last; None where there are none or the note is damaged."""
    content = workspace.store.read(_WARNINGS)
    try:
        return None if content is None else official_warnings.decode(content, _WARNINGS)
    except BadData:
        return None


def _bring_up(
    client: KmaClient, stations: tuple[int, ...], farms: tuple[tuple[float, float], ...]
) -> tuple[int, list[FarmError]]:
    """Hours added from KMA's services, as far as there are keys; a fault for each that failed."""
    added, faults = 0, []
    for source in RELAYED:
        try:
            hours, fault = source.bring_up(client, stations, farms)
        except FarmError as problem:
            hours, fault = 0, problem
        added += hours
        faults += [fault] if fault else []
    return added, faults


def _observed(
    workspace: Workspace, places: Sequence[int | Cell], now: datetime
) -> tuple[dict[int | Cell, tuple[bytes, datetime]], list[FarmError]]:
    """Bundle and newest hour of each place that has observations; a fault for each unread one."""
    bundles: dict[int | Cell, tuple[bytes, datetime]] = {}
    faults: list[FarmError] = []
    span = timedelta(days=workspace.config.depot.relay_days)
    for place in places:
        try:
            last = workspace.lake.newest(place, now)
            if last is not None:
                # Counted back from the newest hour, so that an old lake is relayed too.
                hours = workspace.lake.observations(place, last - span, last)
                bundles[place] = bundle(hours), last
        except StorageError as fault:
            # A damaged file of one place keeps no other from the farms.
            faults.append(fault)
    return bundles, faults


def _forecasts(
    workspace: Workspace, places: Sequence[int | Cell], now: datetime
) -> dict[Cell, tuple[bytes, datetime]]:
    """Bundle and newest issue of each cell that has forecasts."""
    archive = Archive(workspace.store)
    bundles = {}
    for cell in (place for place in places if isinstance(place, Cell)):
        newest = archive.newest(cell, now)
        if newest is not None:
            issues = archive.read(cell, newest - GUIDANCE_SPAN)
            past = issues.filter(pl.col(village_table.ISSUED) <= newest)
            bundles[cell] = guidance(past), newest
    return bundles


def _path(place: int | Cell) -> str:
    return cell_path(place) if isinstance(place, Cell) else station_path(place)
