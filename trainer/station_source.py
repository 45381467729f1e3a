"""The stations of a workspace as a training takes them: read from the lake when their turn comes.

A station is small until it is loaded, and can be handed to another machine that reaches the lake.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from edge_agent.contract import features
from edge_agent.contract.schema import TIME
from edge_agent.errors import InputMissing
from trainer.dataset import HOURS_OF_YEAR, fit_normals, prepare
from trainer.stations import station as station_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from edge_agent.contract.manifest import SiteNormals
    from trainer.dataset import Split, StationSeries
    from trainer.workspace import Workspace


@dataclass(frozen=True, slots=True)
class StationRecord:
    """A station's hours in the lake up to `until`, with their extent."""

    workspace: Workspace
    station: int
    until: datetime
    first: datetime
    last: datetime

    def observations(self) -> pl.DataFrame:
        """Hourly rows as the lake holds them."""
        return self.workspace.lake.observations(self.station, end=self.until)


@dataclass(frozen=True, slots=True)
class StationSource:
    """A `dataset.Source` that keeps nothing in memory but its normals."""

    record: StationRecord
    place: features.Place

    @property
    def station(self) -> int:
        """KMA number."""
        return self.record.station

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
        rows = self.record.observations()
        return prepare(self.station, rows, self.place.site, self.place.normals)


def stations_until(workspace: Workspace, until: datetime) -> list[StationRecord]:
    """Configured stations that have observations up to an hour, ascending.

    Raises:
        InputMissing: None has.
    """
    found = []
    for number in sorted(set(workspace.config.stations)):
        times = workspace.lake.observations(number, end=until)[TIME]
        if len(times):
            found.append(StationRecord(workspace, number, until, times[0], times[-1]))
    if not found:
        several = len(workspace.config.stations) > 1
        raise InputMissing(
            f"station{'s' * several} {', '.join(map(str, workspace.config.stations))}: the lake "
            f"holds no observations up to {until:%Y-%m-%d %H:%M}Z; "
            "run `trainer ingest` or `trainer import`"
        )
    return found


def ready(
    records: Sequence[StationRecord],
    borders: Split,
    known: Mapping[str, SiteNormals],
    progress: Callable[[str], None],
) -> list[StationSource]:
    """Stations with their normals: those of a release where it has them, else fitted here.

    A station that is new, with less than a year before the training ends (or half of the oldest
    one's training hours, where these are fewer than two years), is left out and named.

    Raises:
        BadData: Too few values for normals.
    """
    span = borders.train_end - borders.first
    latest = borders.train_end - min(timedelta(hours=HOURS_OF_YEAR), span / 2)
    found = []
    for one in records:
        normals = known.get(str(one.station))
        if normals is None and one.first > latest:
            progress(f"station {one.station}: left out, it is new: {one.first:%Y-%m-%d} on")
            continue
        coefficients = (
            normals.coefficients if normals else fit_normals(one.observations(), borders.train_end)
        )
        site = station_of(one.station).site
        found.append(StationSource(one, features.Place(site, dict(coefficients))))
    return found
