"""Places of a workspace as a training takes them: read from the lake when their turn comes.

A source is small until it is loaded, and can be handed to another machine that reaches the lake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from edge_agent.contract import features
from edge_agent.contract.errors import BadData, InputMissing
from edge_agent.contract.manifest import SiteNormals
from edge_agent.contract.nearest import nearest_station
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import TARGETS, TIME
from edge_agent.contract.stations import station as station_of
from edge_agent.forecasting.forecaster import place_of
from trainer.evaluation.dataset import HOURS_OF_YEAR, fit_normals, prepare, split
from trainer.training import farm_check
from trainer.workspace.farms import farms, observations
from trainer.workspace.places import FarmId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from edge_agent.contract.schema import Site
    from trainer.evaluation.dataset import Split, StationSeries
    from trainer.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class LakeRecord:
    """A place's hours in the lake from `first` to `last`, the newest up to `until`."""

    workspace: Workspace
    id: int | FarmId
    site: Site
    until: datetime
    first: datetime
    last: datetime

    def observations(self) -> pl.DataFrame:
        """Hourly rows as the lake holds them."""
        return self.workspace.lake.observations(self.id, self.first, self.until)


@dataclass(frozen=True, slots=True)
class LakeSource:
    """A `dataset.Source` that keeps nothing in memory but its normals."""

    record: LakeRecord
    place: features.Place

    @property
    def number(self) -> int:
        """KMA number of a station, `FarmId.number` of a farm."""
        return self.record.id.number if isinstance(self.record.id, FarmId) else self.record.id

    @property
    def first(self) -> datetime:
        """First observed hour, UTC."""
        return self.record.first

    @property
    def hours(self) -> int:
        """Number of hours from the first to the last observed one."""
        return int((self.record.last - self.first) / timedelta(hours=1)) + 1

    def load(self) -> StationSeries:
        """Read and prepare."""
        rows, place = self.record.observations(), self.place
        lent = isinstance(self.record.id, FarmId)
        return prepare(self.number, rows, place.site, place.normals, lent=lent)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Places that a candidate is trained on.

    Attributes:
        stations: Configured stations, with normals.
        farms: Farms beside them, where `[training] farms` says so.
        borders: Of training and holdout.
        left_out: Stations that take no part, each with its reason.
    """

    stations: Sequence[LakeSource]
    farms: Sequence[LakeSource]
    borders: Split
    left_out: Sequence[str]

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        until: datetime,
        known: Mapping[str, SiteNormals],
        progress: Callable[[str], None],
    ) -> TrainingData:
        """Places of a workspace that have enough hours up to `until`.

        Args:
            workspace: Lake and parameters.
            until: Newest hour that counts, UTC.
            known: Normals of a release by station, which are kept.
            progress: Told who is left out, and why.

        Raises:
            InputMissing, BadData: See `stations_until`, `dataset.split` and `ready`.
        """
        options = workspace.config.training
        left_out: list[str] = []

        def leave_out(reason: str) -> None:
            left_out.append(reason)
            progress(reason)

        records = stations_until(workspace, until, leave_out)
        borders = split(
            min(record.first for record in records),
            max(record.last for record in records),
            options.holdout_share,
            options.embargo_hours,
        )
        progress("normals")
        stations = ready(records, borders, known, leave_out)
        data = cls(stations, (), borders, left_out)
        if not options.farms:
            return data
        farms_ = ready_farms(workspace, borders, until, data.sites, progress)
        return replace(data, farms=farms_)

    @property
    def sites(self) -> dict[str, SiteNormals]:
        """Coordinates and normals of the stations, as a manifest names them."""
        return {
            str(source.number): SiteNormals(
                source.place.site.latitude,
                source.place.site.longitude,
                source.place.site.elevation_m,
                source.place.normals,
            )
            for source in self.stations
        }


def stations_until(
    workspace: Workspace, until: datetime, progress: Callable[[str], None]
) -> list[LakeRecord]:
    """Configured stations that measure every target up to an hour, ascending.

    A station that lacks a target in more than half of the hours it observed is left out of both
    models, as each forecasts from both.

    Args:
        workspace: Its settings name the stations, its lake has their hours.
        until: Newest hour that counts, UTC.
        progress: Told who is left out, and why.

    Raises:
        InputMissing: The lake holds no hours of any.
        BadData: None measures every target.
    """
    records, lacking = [], []
    for number in sorted(set(workspace.config.stations)):
        rows = workspace.lake.observations(number, end=until)
        if rows.is_empty():
            continue
        # A gap in the record lacks every quantity alike: only hours with values count.
        fault = _lacking_target(clean(rows), rows.height)
        if fault:
            progress(f"station {number}: left out, {fault}")
            lacking.append(f"station {number}: {fault}")
            continue
        site = station_of(number).site
        records.append(LakeRecord(workspace, number, site, until, rows[TIME][0], rows[TIME][-1]))
    if records:
        return records
    if lacking:
        raise BadData(
            f"no station measures what is forecast: {'; '.join(lacking)}; name a station with "
            f"hourly {' and '.join(TARGETS)} in trainer.toml (stations), or import these hours"
        )
    several = len(workspace.config.stations) > 1
    raise InputMissing(
        f"station{'s' * several} {', '.join(map(str, workspace.config.stations))}: the lake "
        f"holds no observations up to {until:%Y-%m-%d %H:%M}Z; "
        "run `trainer ingest` or `trainer import`"
    )


def ready(
    records: Sequence[LakeRecord],
    borders: Split,
    known: Mapping[str, SiteNormals],
    progress: Callable[[str], None],
) -> list[LakeSource]:
    """Stations with their normals: those of a release where it has them, else fitted here.

    A station that is new, with less than a year before the training ends (or half of the oldest
    one's training hours, where these are fewer than two years), or with too few values there for
    normals, is left out and named.

    Raises:
        BadData: None is left.
    """
    sources, lacking = [], []
    for record in records:
        normals = known.get(str(record.id))
        if normals is None and record.first > _latest_start(borders):
            progress(f"station {record.id}: left out, it is new: {record.first:%Y-%m-%d} on")
            continue
        try:
            coefficients = (
                normals.coefficients
                if normals
                else fit_normals(record.observations(), borders.train_end)
            )
        except BadData as fault:
            progress(f"station {record.id}: left out, {fault}")
            lacking.append(f"station {record.id}: {fault}")
            continue
        sources.append(LakeSource(record, features.Place(record.site, dict(coefficients))))
    if not sources:
        raise BadData(
            f"no station has normals before {borders.train_end:%Y-%m-%d}, when the training ends: "
            f"{'; '.join(lacking)}; ingest or import more"
        )
    return sources


def ready_farms(
    workspace: Workspace,
    borders: Split,
    until: datetime,
    stations: Mapping[str, SiteNormals],
    progress: Callable[[str], None],
) -> list[LakeSource]:
    """Farms that are trained on beside the stations, by name.

    A farm is new as a station is; one that lacks temperature or humidity in more than half of its
    hours is left out too, as what is drawn of it would teach little. Its normals are those of the
    nearest station, as its device takes them: with normals of its own it would be trained on other
    inputs than it forecasts from. `farm_check` leaves out farms whose hours are of no such place.

    Args:
        workspace: Its lake has the farms.
        borders: Of the stations' record; hours before it are not looked at.
        until: Newest hour that counts, UTC.
        stations: Normals of the stations.
        progress: Told who is left out.

    Raises:
        StorageError: What the lake has of a farm cannot be read.
    """
    sources = []

    @cache
    def station_rows(number: str) -> pl.DataFrame:
        return clean(workspace.lake.observations(int(number), borders.first, until))

    for farm in farms(workspace.lake):
        rows = observations(workspace.lake, farm, borders.first, until)
        fault = _lacking(rows, borders)
        if not fault:
            near = nearest_station(farm.site, stations)
            up_m = farm.site.elevation_m - stations[near].elevation_m
            fault = farm_check.fault_of(clean(rows), station_rows(near), up_m)
        if fault:
            progress(f"farm {farm.id}: left out, {fault}")
            continue
        record = LakeRecord(workspace, farm.id, farm.site, until, rows[TIME][0], rows[TIME][-1])
        sources.append(LakeSource(record, place_of(farm.site, stations)))
    return sources


def _lacking(rows: pl.DataFrame, borders: Split) -> str:
    """What a farm's record lacks to be trained on; empty = nothing."""
    if rows.is_empty() or rows[TIME][0] > _latest_start(borders):
        return "it has too few hours before the training ends"
    return _lacking_target(rows, (rows[TIME][-1] - rows[TIME][0]) / timedelta(hours=1) + 1)


def _lacking_target(rows: pl.DataFrame, hours: float) -> str:
    """The target that a record lacks in more than half of these hours; empty = none."""
    for target in TARGETS:
        if rows[target].count() < hours / 2:
            return f"most of its hours lack {target}"
    return ""


def _latest_start(borders: Split) -> datetime:
    span = borders.train_end - borders.first
    return borders.train_end - min(timedelta(hours=HOURS_OF_YEAR), span / 2)
