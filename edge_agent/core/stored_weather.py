"""Observed hours from the store, and the forecast from them: see `CycleContext.weather`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from edge_agent.contract import quality
from edge_agent.contract.hours import start_of_hour
from edge_agent.contract.schema import TARGETS, TIME, Site
from edge_agent.forecasting import forecaster
from edge_agent.observations import source_choice, source_gap

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edge_agent.contract.forecast import Forecast, NoForecast
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.observations.store import Store
    from edge_agent.settings import Device


class StoredWeather:
    """A `CycleContext.weather` that reads the store anew at each call.

    Args:
        store: Observations.
        device: Which sources, and where.
    """

    def __init__(self, store: Store, device: Device) -> None:
        self._store = store
        self._device = device

    def forecast(
        self, release: LoadedRelease | None, now: datetime
    ) -> tuple[Forecast | NoForecast, str]:
        """See `CycleContext.weather`."""
        frame, rung, source = source_choice.observe(
            self._store, self._device, now, forecaster.HISTORY_HOURS
        )
        return forecaster.make(frame, site_of(self._device), release, now, source=rung), source

    def relayed(self, release: LoadedRelease, now: datetime) -> tuple[Forecast | NoForecast, str]:
        """See `CycleContext.weather`."""
        frames = self.raw(now, forecaster.HISTORY_HOURS)
        warmer = source_gap.heights(self._device, release.manifest.sites)
        choice = source_choice.choose_relayed(frames, now, warmer)
        frame, site = source_choice.join(frames, choice), site_of(self._device)
        return forecaster.make(frame, site, release, now, source=choice.rung), choice.source

    def raw(self, now: datetime, hours: int) -> Mapping[str, pl.DataFrame]:
        """See `CycleContext.weather`."""
        return source_choice.hours(self._store, self._device, now, hours)

    def checked(self, now: datetime, hours: int) -> pl.DataFrame:
        """See `CycleContext.weather`."""
        more = hours + quality.LOOKBACK_HOURS
        frame, _, _ = source_choice.observe(self._store, self._device, now, more)
        return last_hours(frame, now, hours)

    def truth(self, now: datetime, hours: int) -> pl.DataFrame:
        """See `CycleContext.weather`."""
        more = hours + quality.LOOKBACK_HOURS
        own = source_choice.names(self._device)[0]
        frames = source_choice.believed_hours(self._store, self._device, now, more)
        frame = frames[own]
        if not all(source_choice.knows(frame, name) for name in TARGETS):
            frame = source_choice.join(frames, source_choice.choose(frames, now))
        return last_hours(frame, now, hours)


def site_of(device: Device) -> Site:
    """Location of a device."""
    return Site(device.latitude, device.longitude, device.elevation_m)


def last_hours(frame: pl.DataFrame, now: datetime, hours: int) -> pl.DataFrame:
    """The `hours` newest hours up to `now`, checked with those before them.

    Args:
        frame: Raw hours, `quality.LOOKBACK_HOURS` more than are returned.
        now: UTC.
        hours: Number of hours.
    """
    end = start_of_hour(now)
    start = end - timedelta(hours=hours + quality.LOOKBACK_HOURS - 1)
    recent = frame.filter(pl.col(TIME).is_between(start, end))
    return quality.clean(recent, start=start, end=end).tail(hours)
