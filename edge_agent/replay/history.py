"""What a replay works on: hours and forecasts from files, cut to what a device has at each hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.bundles import ISSUED
from edge_agent.contract.errors import InputMissing, UsageError
from edge_agent.contract.schema import TIME, Site
from edge_agent.observations import source_choice
from edge_agent.replay import history_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from edge_agent.settings import Device

HISTORY: Final = timedelta(days=20)
"""Observations before the first hour that the device has."""
GUIDANCE_HISTORY: Final = timedelta(days=2)
"""Age of the oldest issue at the first hour: as much as a relay gives to a new device."""
_AFTER: Final = timedelta(hours=49)
"""Observations after the last hour: alerts are scored by them, and no forecast sees them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFiles:
    """Files for a replay: of the relayed station, of the farm's own sensors, of KMA's forecasts."""

    station: Sequence[Path] = ()
    own: Sequence[Path] = ()
    guidance: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What a replay works on.

    Attributes:
        observations: Hours by source, in the order of `source_choice.names`.
        guidance: Columns of `contract.bundles.GUIDANCE`, or None.
        first: First hour that is worked, UTC.
        last: Last hour that is worked, UTC.
    """

    observations: Mapping[str, pl.DataFrame]
    guidance: pl.DataFrame | None
    first: datetime
    last: datetime


def read(files: HistoryFiles, device: Device, first: datetime, last: datetime) -> History:
    """What the files have of a period and of the time before it.

    Args:
        files: Observations, at least one file, and forecasts.
        device: Where, and which station is relayed.
        first: First hour that is worked, UTC.
        last: Last hour that is worked, UTC.

    Raises:
        UsageError: The last hour is before the first.
        InputMissing: A file is not there, or has nothing of the period.
        StorageError: A file cannot be read.
        BadData: A file is not what its name says, too large, or has no such rows.
    """
    if last < first:
        raise UsageError(f"the last hour {last:%Y-%m-%d %H:%M} is before the first")
    own, station, *_ = source_choice.names(device)
    hours = {
        source: past_hours(paths, device, first, last, relayed=source == station)
        for source, paths in ((own, files.own), (station, files.station))
        if paths
    }
    if not files.guidance:
        return History(hours, None, first, last)
    issues = history_files.guidance(files.guidance)
    return History(hours, _between(issues, first - GUIDANCE_HISTORY, last, ISSUED), first, last)


def past_hours(
    paths: Sequence[Path],
    device: Device,
    first: datetime,
    last: datetime,
    *,
    relayed: bool = False,
) -> pl.DataFrame:
    """Hours of files from `HISTORY` before the first hour on; errors as `read`.

    Args:
        paths: Files, at least one.
        device: Where, and which station is taken of a file with several.
        first: First hour that is worked, UTC.
        last: Last hour that is worked, UTC.
        relayed: The files are said to be of the device's station.
    """
    site = Site(device.latitude, device.longitude, device.elevation_m)
    hours = history_files.observations(paths, device.station, site, relayed=relayed)
    return _between(hours, first - HISTORY, last + _AFTER, TIME)


def _between(frame: pl.DataFrame, start: datetime, end: datetime, column: str) -> pl.DataFrame:
    """Rows of a period, both ends included."""
    rows = frame.filter(pl.col(column).is_between(start, end))
    if rows.height == 0:
        what = "observations" if column == TIME else "guidance"
        raise InputMissing(f"no {what} between {start:%Y-%m-%d} and {end:%Y-%m-%d}")
    return rows
