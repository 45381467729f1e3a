"""Recorded hours for a replay, checked and turned into features block by block.

Checks and features depend only on the hours of their window. So an hour has the same flags and the
same features in a long frame as in the last hours that a device reads, and a replay decides as the
device would have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract import quality
from edge_agent.contract.bundles import GUIDANCE
from edge_agent.contract.forecast import Source
from edge_agent.contract.schema import TARGETS, TIME
from edge_agent.core.stored_weather import site_of
from edge_agent.forecasting import forecaster
from edge_agent.observations import source_choice, source_gap
from edge_agent.observations.source_choice import Choice

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from edge_agent.contract.forecast import Forecast, NoForecast
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.settings import Device

_HOUR: Final = timedelta(hours=1)
BLOCK: Final = timedelta(days=28)
"""Hours whose features are computed together: a few megabytes."""
BEFORE: Final = timedelta(days=40)
"""History in front of a block: more than any caller needs."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class RecordedWeather:
    """A `CycleContext.weather` over recorded hours.

    Args:
        frames: Raw hours by source, ascending by time, in the order of `source_choice.names`.
        device: Which sources, and where.
        guidance: KMA's forecasts, as the store has them.
    """

    frames: Mapping[str, pl.DataFrame]
    device: Device
    guidance: pl.DataFrame = field(default_factory=GUIDANCE.to_frame)
    _believed: Mapping[str, pl.DataFrame] = field(init=False)
    _times: dict[str, np.ndarray] = field(init=False)
    _known: dict[str, pl.Series] = field(init=False)
    _block: int = field(init=False, default=-1)
    _checked: dict[Choice, pl.DataFrame] = field(init=False, default_factory=dict)
    _series: dict[Choice, forecaster.CheckedSeries] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._times = {name: frame[TIME].to_numpy() for name, frame in self.frames.items()}
        self._believed = source_choice.believed(self.frames, lambda: self.guidance, self.device)
        self._known = {n: source_choice.known_hours(frame) for n, frame in self._believed.items()}

    def forecast(
        self, release: LoadedRelease | None, now: datetime
    ) -> tuple[Forecast | NoForecast, str]:
        """See `CycleContext.weather`."""
        choice = self._choose(now, forecaster.HISTORY_HOURS)
        if release is None:
            return forecaster.no_release(now), choice.source
        return self._forecast(choice, release, now)

    def relayed(self, release: LoadedRelease, now: datetime) -> tuple[Forecast | NoForecast, str]:
        """See `CycleContext.weather`."""
        self._enter(now)
        warmer = source_gap.heights(self.device, release.manifest.sites)
        frames, known = self._until(now, forecaster.HISTORY_HOURS)
        choice = source_choice.choose_relayed(frames, now, warmer, known)
        return self._forecast(choice, release, now)

    def raw(self, now: datetime, hours: int) -> Mapping[str, pl.DataFrame]:
        """See `CycleContext.weather`."""
        return self._between(self.frames, now - hours * _HOUR, now)

    def checked(self, now: datetime, hours: int) -> pl.DataFrame:
        """See `CycleContext.weather`."""
        return self._last(self._choose(now, hours + quality.LOOKBACK_HOURS), now, hours)

    def truth(self, now: datetime, hours: int) -> pl.DataFrame:
        """See `CycleContext.weather`."""
        self._enter(now)
        own = next(iter(self.frames))
        more = (hours + quality.LOOKBACK_HOURS) * _HOUR
        frame = self._between(self._believed, now - more, now)[own]
        if all(source_choice.knows(frame, name) for name in TARGETS):
            return self._last(Choice(own, Source.MODEL, ()), now, hours)
        return self.checked(now, hours)

    def _forecast(
        self, choice: Choice, release: LoadedRelease, now: datetime
    ) -> tuple[Forecast | NoForecast, str]:
        series = self._series.get(choice)
        if series is None:
            place = forecaster.place_of(site_of(self.device), release.manifest.sites)
            series = forecaster.CheckedSeries.of(self._checked_block(choice), place)
            self._series[choice] = series
        return forecaster.continued(series, release, now, source=choice.rung), choice.source

    def _last(self, choice: Choice, now: datetime, hours: int) -> pl.DataFrame:
        block = self._checked_block(choice)
        first: datetime = block[TIME][0]
        end = int((now - first) / _HOUR) + 1
        return block[end - hours : end]

    def _choose(self, now: datetime, hours: int) -> Choice:
        self._enter(now)
        frames, known = self._until(now, hours)
        return source_choice.choose(frames, now, known)

    def _until(
        self, now: datetime, hours: int
    ) -> tuple[Mapping[str, pl.DataFrame], Mapping[str, pl.Series]]:
        """Believed hours by source, and `source_choice.known_hours` of them."""
        known = {}
        for name, times in self._known.items():
            begin = times.search_sorted(now - hours * _HOUR, "left")
            known[name] = times[begin : times.search_sorted(now, "right")]
        return self._between(self._believed, now - hours * _HOUR, now), known

    def _enter(self, now: datetime) -> None:
        block = (now - _EPOCH) // BLOCK
        if block != self._block:
            self._block = block
            self._checked.clear()
            self._series.clear()

    def _checked_block(self, choice: Choice) -> pl.DataFrame:
        """Checked hours of the block and of what lies before it."""
        if choice not in self._checked:
            start = _EPOCH + self._block * BLOCK - BEFORE
            end = start + BEFORE + BLOCK - _HOUR
            raw = source_choice.join(self._between(self._believed, start, end), choice)
            self._checked[choice] = quality.clean(raw, start=start, end=end)
        return self._checked[choice]

    def _between(
        self, of: Mapping[str, pl.DataFrame], start: datetime, end: datetime
    ) -> dict[str, pl.DataFrame]:
        first, last = (np.datetime64(time.replace(tzinfo=None), "us") for time in (start, end))
        frames = {}
        for name, frame in of.items():
            times = self._times[name]
            rows = slice(times.searchsorted(first), times.searchsorted(last, "right"))
            frames[name] = frame[rows]
        return frames
